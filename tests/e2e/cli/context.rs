//! The server that a command uses: of flags, of the environment, or of a context.

use std::path::Path;
use std::process::Output;

use tempfile::TempDir;

use crate::support::program;

/// Nothing listens at any of these, so that the error names the server that was tried.
const SERVERS: [(&str, &str); 3] =
    [("a", "127.0.0.1:1"), ("b", "127.0.0.1:2"), ("tls", "127.0.0.1:3")];
const OTHER: &str = "127.0.0.1:4";

/// A home with a context for each server; `a` is the current one.
fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    for (name, server) in SERVERS {
        assert!(
            run(home.path(), &[], &["context", "set", name, "--server", server]).status.success()
        );
    }
    assert!(run(home.path(), &[], &["context", "use", "a"]).status.success());
    home
}

fn run(home: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = program::command("windrow");
    command.env("XDG_CONFIG_HOME", home).envs(variables.iter().copied());
    command.args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_strongest_setting_decides_which_server_is_used() {
    let home = home();
    let check = |variables: &[(&str, &str)], flags: &[&str], expected: &str| {
        let output = run(home.path(), variables, &[flags, &["jobs", "list"]].concat());
        let said = stderr(&output);
        let tried = format!("cannot reach Windrow at {expected};");
        assert!(said.contains(&tried), "{variables:?} {flags:?}: {said}");
    };
    let server = ("WINDROW_SERVER", OTHER);
    let context = ("WINDROW_CONTEXT", "b");

    check(&[server, context], &["--server", "127.0.0.1:5", "--context", "b"], "127.0.0.1:5");
    check(&[server], &["--context", "a"], "127.0.0.1:1");
    check(&[context], &["--context", "a"], "127.0.0.1:1");
    check(&[server, context], &[], OTHER);
    check(&[context], &[], "127.0.0.1:2");
    check(&[("WINDROW_SERVER", "")], &[], "127.0.0.1:1");
    check(&[], &[], "127.0.0.1:1");
}

#[test]
fn a_named_context_is_stronger_than_the_environment_in_all_its_settings() {
    let home = home();
    let (certificates, token) = (home.path().join("ca.pem"), home.path().join("token"));
    let files = [certificates.to_str().unwrap(), token.to_str().unwrap()];
    let set = ["context", "set", "tls", "--server", "https://127.0.0.1:3"];
    let of_context = |flags: &[&str]| {
        assert!(run(home.path(), &[], &[&set, flags].concat()).status.success());
        let variables = [("WINDROW_CA_FILE", "/variable.pem"), ("WINDROW_TOKEN", "variable")];
        stderr(&run(home.path(), &variables, &["--context", "tls", "jobs", "list"]))
    };

    // The files do not exist, so the error names the one that is read.
    let said = of_context(&["--ca-file", files[0]]);
    assert!(said.contains(&format!("CA file {}", files[0])), "{said}");
    let said = of_context(&["--token-file", files[1]]);
    assert!(said.contains(&format!("token file {}", files[1])), "{said}");
    let said = of_context(&[]);
    assert!(said.contains("CA file /variable.pem"), "{said}");
}

#[test]
fn the_current_context_is_shown_with_the_variable_that_overrides_it() {
    let home = home();
    let current = |variables: &[(&str, &str)], command: &[&str]| {
        let output = run(home.path(), variables, command);
        assert!(output.status.success(), "{output:?}");
        (String::from_utf8_lossy(&output.stdout).into_owned(), stderr(&output))
    };
    let show = ["context", "current"];

    let (shown, said) = current(&[("WINDROW_SERVER", OTHER)], &show);
    assert_eq!(shown, "a  127.0.0.1:1\n");
    assert!(said.contains("WINDROW_SERVER overrides") && said.contains(OTHER), "{said}");
    let (_, said) = current(&[("WINDROW_CONTEXT", "b")], &show);
    assert!(said.contains("WINDROW_CONTEXT overrides") && said.contains("context b"), "{said}");
    let (_, said) = current(&[("WINDROW_SERVER", OTHER)], &["context", "use", "a"]);
    assert!(said.contains("WINDROW_SERVER overrides"), "{said}");
    assert_eq!(current(&[], &show).1, "");
}

#[test]
fn a_token_without_tls_is_refused_with_the_flag_that_allows_it() {
    let home = home();
    let token = [("WINDROW_TOKEN", "secret")];
    // An address for documentation: nothing is sent there.
    let said = stderr(&run(home.path(), &token, &["jobs", "list", "--server", "192.0.2.1:1"]));
    assert!(said.contains("unencrypted to 192.0.2.1:1"), "{said}");
    assert!(said.contains("allow it with --plaintext-token"), "{said}");
}

#[test]
fn a_file_that_cannot_be_written_is_named_with_a_remedy() {
    let mut set = program::command("windrow");
    set.env_remove("XDG_CONFIG_HOME").env("HOME", "/dev/null");
    let said = stderr(&set.args(["context", "set", "a", "--server", OTHER]).output().unwrap());
    let file = "/dev/null/.config/windrow/contexts.toml";
    assert!(said.contains(&format!("cannot write {file}: ")), "{said}");
    assert!(said.contains("set XDG_CONFIG_HOME"), "{said}");

    let man = program::command("windrow").args(["man", "/dev/null/man"]).output().unwrap();
    let said = stderr(&man);
    assert!(said.contains("cannot write to /dev/null/man: "), "{said}");
}
