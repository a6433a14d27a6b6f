//! The command without a usable home directory, as in containers and in cron.

use crate::support::{Windrow, program};

#[tokio::test]
async fn no_command_needs_a_home_unless_it_names_a_context() {
    let windrow = Windrow::start().await;
    let address = windrow.address();
    let outputs = tokio::task::spawn_blocking(move || {
        let run = |home: Option<&str>, arguments: &[&str]| {
            let mut command = program::command("windrow");
            command.env_remove("XDG_CONFIG_HOME").env_remove("HOME").args(arguments);
            command.envs(home.map(|home| ("HOME", home))).output().unwrap()
        };
        let list = ["jobs", "list", "--server", &address];
        let homes = [None, Some("/dev/null"), Some(""), Some("/no/such/home")];
        let mut outputs: Vec<_> = homes.iter().map(|home| run(*home, &list)).collect();
        // The default server; nothing listens there, or another server does.
        let default = run(Some("/dev/null"), &["jobs", "list"]);
        let said = String::from_utf8_lossy(&default.stderr);
        assert!(!said.contains("/dev/null"), "{said}");
        outputs.push(run(Some("/dev/null"), &["completions", "bash"]));
        let named = run(Some("/dev/null"), &["jobs", "list", "--context", "prod"]);
        assert_eq!(named.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&named.stderr).contains("prod"), "{named:?}");
        outputs
    });
    for output in outputs.await.unwrap() {
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
    windrow.stop().await;
}
