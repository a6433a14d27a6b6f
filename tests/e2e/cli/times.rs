//! Times for people: all of an answer have one form, also those in sentences of the server.

use super::command::stdout;
use crate::support::{QUICK, Windrow, program};

/// The output of `windrow` in a time zone five hours west of Greenwich.
fn shown(windrow: &Windrow, arguments: &[&str]) -> String {
    let mut command = program::command("windrow");
    command.env("TZ", "EST5").args(["--server", &windrow.address()]).args(arguments);
    stdout(&command.output().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn times_in_sentences_of_the_server_are_in_the_zone_of_all_others() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let (noon, next) = ("2099-01-01T12:00:00Z", "2099-01-01T07:00:00-05:00");
    let pause = ["jobs", "pause", "job", "--until", noon];
    let create = ["jobs", "create", "daily", "--name", "D", "--cron", "0 12 * * *"];
    shown(&windrow, &[&create[..], &["--location", "a", "--source", QUICK]].concat());
    shown(&windrow, &["jobs", "pause", "daily", "--until", noon]);
    let submit = ["runs", "submit", "--location", "a", "--source", QUICK, "--at", noon, "-q"];
    let run = shown(&windrow, &submit).trim().to_owned();

    for (arguments, expected) in [
        (&pause[..], format!("  {next}")),
        (&["explain", "daily", noon], format!("the job is paused until {next}.")),
        (&["runs", "get", &run], format!("its time, {next}")),
        (&["jobs", "resume", "job"], format!("windrow jobs pause job --until {next}")),
    ] {
        let local = shown(&windrow, arguments);
        assert!(local.contains(&expected), "{expected} is not in {local}");
        assert!(!local.contains(":00Z"), "{local}");
    }
    let utc = shown(&windrow, &["explain", "daily", noon, "--utc"]);
    assert!(utc.contains(&format!("paused until {noon}.")), "{utc}");
    windrow.stop().await;
}
