//! `windrow apply`, and what else the command has for those who live with it.

use std::path::Path;
use std::process::Output;

use windrow_client::proto;

use crate::support::{QUICK, Windrow, program};
use proto::{ScheduledJobStatus, ScrapingJobPriority};

/// Two jobs, the second with little.
pub(super) const JOBS: &str = r#"
scheduled_job_id: sold
name: Sold in Indianapolis
cron_expression: "0 2 1 1 *"
timezone: America/Indiana/Indianapolis
priority: high
labels: {team: sales}
parameters:
  locations: ["Indianapolis, IN"]
  listing_types: [sold]
  past_days: 7
  source: quick
---
scheduled_job_id: rent
name: Rentals
cron_expression: "@yearly"
parameters: {locations: [Carmel], source: quick}
"#;

pub(super) struct Try {
    pub(super) address: String,
    pub(super) dir: tempfile::TempDir,
}

impl Try {
    pub(super) fn new(windrow: &Windrow) -> Self {
        Self { address: windrow.address(), dir: tempfile::tempdir().unwrap() }
    }

    pub(super) async fn apply(&self, text: &str, flags: &[&str]) -> Output {
        std::fs::write(self.dir.path().join("jobs.yaml"), text).unwrap();
        let mut arguments = vec!["apply".to_owned(), "-f".to_owned()];
        arguments.push(self.dir.path().display().to_string());
        arguments.extend(flags.iter().map(ToString::to_string));
        let address = self.address.clone();
        let run = move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            program::windrow(&address, &arguments)
        };
        tokio::task::spawn_blocking(run).await.unwrap()
    }
}

pub(super) fn said(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let text = if code == 0 { &output.stdout } else { &output.stderr };
    String::from_utf8(text.clone()).unwrap()
}

#[tokio::test]
async fn files_create_then_change_nothing_then_only_what_differs() {
    let windrow = Windrow::start().await;
    let it = Try::new(&windrow);

    let dry = said(&it.apply(JOBS, &["--dry-run"]).await, 0);
    let unasked = said(&it.apply(JOBS, &[]).await, 2);
    assert_eq!(windrow.client.list_jobs().await.unwrap().total, 0);
    assert!(dry.contains("create sold") && dry.contains("+ parameters.past_days: 7"), "{dry}");
    assert!(unasked.contains("not a terminal: pass --yes"), "{unasked}");
    let created = said(&it.apply(JOBS, &["--yes"]).await, 0);
    assert!(created.contains("2 created, 0 restored, 0 updated, 0 deleted"), "{created}");

    let sold = windrow.get_job("sold").await;
    assert_eq!(
        (sold.priority(), sold.labels["team"].as_str()),
        (ScrapingJobPriority::High, "sales")
    );
    windrow.client.pause_job("sold").reason("Holidays").await.unwrap();
    let again = said(&it.apply(JOBS, &["--yes"]).await, 0);
    assert!(again.contains("Nothing to do") && again.contains("2 unchanged"), "{again}");

    let changed = JOBS.replace("  past_days: 7\n", "").replace("\"0 2 1 1 *\"", "\"0 3 1 1 *\"");
    let changed = said(&it.apply(&changed, &["--yes"]).await, 0);
    for line in [
        "update sold",
        "- cron_expression: 0 2 1 1 *",
        "+ cron_expression: 0 3 1 1 *",
        "- parameters.past_days: 7",
    ] {
        assert!(changed.contains(line), "{line} is missing in {changed}");
    }
    assert!(!changed.contains("rent") && changed.contains("1 updated"), "{changed}");
    let sold = windrow.get_job("sold").await;
    assert_eq!(sold.parameters.unwrap().past_days, None);
    assert_eq!(
        (sold.status, sold.pause_reason.as_str()),
        (ScheduledJobStatus::Paused.into(), "Holidays")
    );
    windrow.stop().await;
}

#[tokio::test]
async fn one_wrong_document_changes_nothing() {
    let windrow = Windrow::start().await;
    let it = Try::new(&windrow);
    for (wrong, expected) in [
        (
            JOBS.replace("@yearly", "61 * * * *"),
            "jobs.yaml:16:18: cron_expression: minute 61 is out of range",
        ),
        (
            JOBS.replace("source: quick}", "source: none}"),
            "jobs.yaml:17:43: parameters.source: unknown source",
        ),
        (
            JOBS.replace("name: Rentals", "nam: Rentals"),
            "jobs.yaml:15:1: nam: unknown field; did you mean name?",
        ),
        (JOBS.replace("id: rent", "id: sold"), "jobs.yaml:14:19: sold is already in"),
        (
            JOBS.replace("[Carmel]", "[Carmel, '', Carmel]"),
            "jobs.yaml:17:34: parameters.locations[1]: ",
        ),
        (
            JOBS.replace("team: sales", "Team: sales"),
            "jobs.yaml:7:9: labels: the key 'Team' must match",
        ),
        (JOBS.replace("cron_expression: \"@yearly\"\n", ""), "jobs.yaml:14:1: cron_expression: "),
    ] {
        let refused = said(&it.apply(&wrong, &["--yes"]).await, 1);
        assert!(refused.contains(expected) && refused.contains("nothing was changed"), "{refused}");
    }
    assert_eq!(windrow.client.list_jobs().await.unwrap().total, 0);
    windrow.stop().await;
}

#[tokio::test]
async fn errors_of_format_and_of_limits_in_all_documents_come_together() {
    let windrow = Windrow::start().await;
    let it = Try::new(&windrow);
    let wrong = JOBS.replace("past_days: 7", "past_days: 0");
    let third = "---\nscheduled_job_id: third\nnam: Third\n";

    let refused = said(&it.apply(&format!("{wrong}{third}"), &["--yes"]).await, 1);

    let limit = "jobs.yaml:11:14: parameters.past_days: must be 1 to 3650 days (job sold)";
    for expected in ["jobs.yaml:20:1: nam: unknown field; did you mean name?", limit] {
        assert!(refused.contains(expected), "{expected} is missing in {refused}");
    }
    assert_eq!(windrow.client.list_jobs().await.unwrap().total, 0);
    std::fs::write(it.dir.path().join("empty.yaml"), "# nothing\n").unwrap();
    let applied = it.apply(JOBS, &["--yes"]).await;
    let warned = String::from_utf8(applied.stderr.clone()).unwrap();
    assert!(said(&applied, 0).contains("2 created"), "{applied:?}");
    assert!(warned.ends_with("empty.yaml: no scheduled job in this file\n"), "{warned}");
    windrow.stop().await;
}

#[tokio::test]
async fn answers_come_as_yaml_and_contexts_name_servers() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let address = windrow.address();
    let home = tempfile::tempdir().unwrap();
    let windrow_at = |home: &Path, arguments: &[&str]| {
        let mut command = program::command("windrow");
        command.env("XDG_CONFIG_HOME", home).env_remove("WINDROW_CONTEXT").args(arguments);
        command.output().unwrap()
    };
    let (path, server) = (home.path().to_owned(), address.clone());
    let outputs = tokio::task::spawn_blocking(move || {
        [
            windrow_at(&path, &["context", "set", "here", "--server", &server]),
            windrow_at(&path, &["context", "use", "here"]),
            windrow_at(&path, &["jobs", "get", "job", "-o", "yaml"]),
            windrow_at(&path, &["context", "list"]),
            windrow_at(&path, &["jobs", "list", "--context", "nowhere"]),
        ]
    });
    let [set, used, shown, listed, unknown] = outputs.await.unwrap();

    assert!(set.status.success() && used.status.success(), "{set:?} {used:?}");
    let yaml = said(&shown, 0);
    assert!(yaml.starts_with("---\n") && yaml.contains("scheduled_job_id: job"), "{yaml}");
    assert!(yaml.contains(&format!("source: {QUICK}")), "{yaml}");
    assert_eq!(said(&listed, 0).trim(), format!("* here  {address}"));
    assert!(said(&unknown, 1).contains("unknown context 'nowhere'; known: here"));
    windrow.stop().await;
}

#[test]
fn shells_and_man_learn_all_commands() {
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| program::command("windrow").args(arguments).output().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = said(&run(&["completions", shell]), 0);
        assert!(script.contains("properties") && script.contains("apply"), "{shell}");
    }
    let pages = run(&["man", dir.path().to_str().unwrap()]);
    assert!(pages.status.success(), "{pages:?}");
    for page in ["windrow.1", "windrow-apply.1", "windrow-jobs-create.1"] {
        assert!(dir.path().join(page).is_file(), "{page} is missing");
    }
    assert!(said(&run(&["man"]), 0).contains(".TH windrow 1"));
}

#[tokio::test]
async fn states_have_colours_only_where_they_are_wanted() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let address = windrow.address();
    let list = move |color: &'static [&'static str]| {
        let address = address.clone();
        let run = move || program::windrow(&address, &[&["jobs", "list"], color].concat());
        tokio::task::spawn_blocking(run)
    };

    let plain = said(&list(&[]).await.unwrap(), 0);
    let colored = said(&list(&["--color", "always"]).await.unwrap(), 0);

    assert!(plain.contains("active") && !plain.contains('\u{1b}'), "{plain}");
    assert!(colored.contains("\u{1b}[32mactive"), "{colored:?}");
    windrow.stop().await;
}
