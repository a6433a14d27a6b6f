//! Likely mistakes in the settings of jobs: in the answers of the server, and on stderr of the command.

use std::process::Output;

use crate::support::program::windrow;
use crate::support::{QUICK, Windrow, job};
use windrow_client::{CreateJob, proto};

const WARNING: &str = "minute '*/90' matches only 0, because steps start again every hour; '@every 90m' has that period";

/// A server whose command can be run while it answers.
async fn run(server: &Windrow, arguments: &[&str]) -> Output {
    let address = server.address();
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    let run = move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        windrow(&address, &arguments)
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_job_with_a_likely_mistake_has_a_warning_wherever_it_is_described() {
    let server = Windrow::start().await;
    let odd =
        |id: &str| proto::ScheduledJob { cron_expression: "*/90 * * * *".to_owned(), ..job(id) };
    let validated = server.client.create_job(CreateJob::from(odd("a")).validate_only()).await;
    assert_eq!(validated.unwrap().warnings, [WARNING]);
    assert_eq!(server.create_as(odd("a")).await.unwrap().warnings, [WARNING]);
    assert_eq!(server.get_job("a").await.warnings, [WARNING]);
    assert_eq!(
        server.client.preview_cron("*/90 * * * *").count(1).await.unwrap().warnings,
        [WARNING]
    );
    assert_eq!(server.client.preview_ticks("a").count(1).await.unwrap().warnings, [WARNING]);

    let sound = proto::ScheduledJob {
        cron_expression: "0 6 * * *".to_owned(),
        // Output only: ignored.
        warnings: vec!["mine".to_owned()],
        ..job("b")
    };
    assert!(server.create_as(sound).await.unwrap().warnings.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn the_command_prints_warnings_beside_its_result() {
    let server = Windrow::start().await;
    let create = ["--name", "J", "--location", "46220", "--source", QUICK, "--cron"];
    let commands: [Vec<&str>; 3] = [
        [&["jobs", "create", "j"], create.as_slice(), &["*/90 * * * *"]].concat(),
        vec!["jobs", "update", "j", "--cron", "*/90 1 * * *"],
        vec!["preview", "--cron", "*/90 * * * *"],
    ];
    for arguments in commands {
        let output = run(&server, &arguments).await;
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        let expected = format!("warning: {WARNING}\n");
        assert!(stderr(&output).ends_with(&expected), "{arguments:?}: {output:?}");
    }
    let json = ["preview", "--cron", "*/90 * * * *", "--output", "json"];
    let warning: serde_json::Value =
        serde_json::from_str(&stderr(&run(&server, &json).await)).unwrap();
    assert_eq!(warning["warning"], WARNING);

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("jobs.yaml");
    let applied = "scheduled_job_id: k\nname: K\ncron_expression: '*/90 * * * *'\nparameters:\n  \
                   locations: ['46220']\n  source: quick\n";
    std::fs::write(&file, applied).unwrap();
    let apply = ["apply", "--yes", "-f", file.to_str().unwrap()];
    let output = run(&server, &apply).await;
    let expected = format!("warning: k: {WARNING}\n");
    assert!(output.status.success() && stderr(&output).contains(&expected), "{output:?}");
    assert!(!stderr(&run(&server, &apply).await).contains("warning"));

    let output = run(&server, &["preview", "--cron", "CRON_TZ=Europe/Paris 0 2 * * *"]).await;
    assert!(stderr(&output).contains("--timezone Europe/Paris"), "{output:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_job_that_cannot_catch_up_as_it_says_has_a_warning() {
    let server = Windrow::start().await;
    let create = ["jobs", "create", "j", "--name", "J", "--location", "a", "--source", QUICK];
    let create = [&create[..], &["--cron", "@daily", "--catch-up", "all"]].concat();
    let expected = "warning: with catch-up all and overlap skip, at most one of the missed ticks";
    for arguments in [&create[..], &["preview", "--job", "j"]] {
        let output = run(&server, arguments).await;
        assert!(stderr(&output).contains(expected), "{arguments:?}: {output:?}");
    }
    let allow = ["jobs", "update", "j", "--overlap", "allow", "--max-concurrent-runs", "1"];
    let output = run(&server, &allow).await;
    assert!(output.status.success() && stderr(&output).is_empty(), "{output:?}");
    server.stop().await;
}
