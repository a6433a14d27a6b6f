//! Output on a terminal: plain where that is wanted, and never controlled by the text of others.

use std::process::{Command, Stdio};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use windrow_client::proto;

use super::command::{run, stdout};
use crate::support::database::new_database;
use crate::support::{PATIENCE, QUICK, Windrow, job, parameters, program};

/// Runs the command on a terminal of its own; returns what it shows.
async fn on_terminal(arguments: &[&str], environment: &[(&'static str, &'static str)]) -> String {
    let mut command = terminal("windrow", arguments);
    command.envs(environment.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// A program of this workspace on a terminal of its own, which is copied to stdout.
fn terminal(name: &str, arguments: &[&str]) -> Command {
    let program = program::command(name).get_program().to_str().unwrap().to_owned();
    let line = [&[program.as_str()], arguments].concat().join(" ");
    let mut command = Command::new("script");
    command.args(["--quiet", "--flush", "--return", "--command", &line, "/dev/null"]);
    for variable in ["COLORTERM", "DATABASE_URL", "NO_COLOR", "WINDROW_OUTPUT"] {
        command.env_remove(variable);
    }
    command.env("TERM", "xterm").stdin(Stdio::null());
    command
}

#[tokio::test]
async fn colors_and_cursor_movements_end_where_they_are_unwanted() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let address = windrow.address();
    let plain = [("TERM", "dumb")];
    let no_color = [("NO_COLOR", "1")];
    let list = ["jobs", "list", "--server", &address];
    let watch = ["trigger", "job", "--watch", "--server", &address];
    assert!(on_terminal(&list, &[]).await.contains('\u{1b}'));
    assert!(!on_terminal(&list, &no_color).await.contains('\u{1b}'));
    for arguments in [&list[..], &watch] {
        let shown = on_terminal(arguments, &plain).await;
        assert!(shown.contains("job") && !shown.contains('\u{1b}'), "{shown}");
    }
    windrow.stop().await;
}

#[tokio::test]
async fn the_log_of_a_server_has_colors_only_where_they_are_wanted() {
    let url = new_database().await;
    let log = async |environment: &[(&'static str, &'static str)]| {
        let directory = tempfile::tempdir().unwrap();
        let mut command = tokio::process::Command::from(terminal("windrow-server", &[]));
        command.envs(environment.iter().copied()).current_dir(directory.path());
        command.env("DATABASE_URL", &url).env("WINDROW_LISTEN", "127.0.0.1:0");
        // Its terminal goes with it, which ends the server.
        let mut process = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut shown = String::new();
        while !shown.contains("Serving on") {
            let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
            shown += &line.expect("the server does not start").unwrap().unwrap();
        }
        shown.contains('\u{1b}')
    };

    assert!(log(&[]).await);
    assert!(!log(&[("NO_COLOR", "1")]).await);
    assert!(!log(&[("TERM", "dumb")]).await);
    assert!(log(&[("NO_COLOR", "")]).await);
}

#[tokio::test]
async fn text_of_others_is_escaped_as_text_and_exact_as_json() {
    let windrow = Windrow::start().await;
    let name = "invoice\u{202e}gpj.exe \u{200b}Łódź 👩‍👩‍👧";
    let hostile = proto::ScheduledJob {
        name: name.to_owned(),
        parameters: Some(proto::ScrapeParameters {
            locations: vec!["a\u{2066}b".to_owned()],
            ..parameters(QUICK)
        }),
        ..job("job")
    };
    windrow.create_as(hostile).await.unwrap();
    let escape = proto::ScheduledJob { name: "a\u{1b}[2Jb".to_owned(), ..job("other") };
    let refused = windrow.create_as(escape).await.unwrap_err();
    let address = windrow.address();

    for arguments in [
        &["jobs", "list"][..],
        &["jobs", "get", "job"],
        &["jobs", "update", "job", "--past-days", "3"],
        &["jobs", "get", "job", "--json"],
    ] {
        let shown = stdout(&run(&address, arguments).await);
        assert!(shown.contains("invoice\\u202egpj.exe \\u200bŁódź 👩‍👩‍👧"), "{shown}");
        assert!(!shown.contains(['\u{202e}', '\u{2066}']), "{shown}");
    }
    let exact: Value =
        serde_json::from_str(&stdout(&run(&address, &["jobs", "get", "job", "--json"]).await))
            .unwrap();
    assert_eq!(exact["scheduled_job"]["name"], name);
    let yaml = stdout(&run(&address, &["jobs", "get", "job", "-o", "yaml"]).await);
    assert!(!yaml.contains('\u{202e}'), "{yaml}");
    assert!(refused.to_string().contains("must not contain control characters"), "{refused}");
    windrow.stop().await;
}
