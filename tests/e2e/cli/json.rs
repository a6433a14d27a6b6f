//! The output as JSON of every command, read by the parsers of Python and Node.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::python::SCRIPTS;
use crate::support::{Windrow, program, source_of};

/// Commands whose output is for a shell or a reader of manuals.
const WITHOUT_JSON: [&str; 2] = ["completions", "man"];
/// At the limits of numbers and texts. In JSON, an integer that no double represents is a text of its digits.
const EXTREMES: &str = r#"{"property_id": "p", "list": [], "object": {}, "__proto__": {"constructor": 1},
    "numbers": [9007199254740991, 9007199254740992, 9007199254740993, 9007199254740994, 9223372036854775808,
        18446744073709551615, -9007199254740993, 9007199254740994.0, 1e16, 1e17, 123456789012345680000, 1e300, 1e308,
        1.7976931348623157e308, 5e-324, 2.2250738585072014e-308, -0.0, 0.1, 1e-7, 250000.0],
    "texts": ["👩‍👩‍👧 Łódź", "\u2028\u2029\u202e\ufeff", "\u001b[2J\u009b\u007f", "\\ud800", "\"\\/\n\t", "\uffff", ""]}"#;

struct Runner<'a> {
    address: String,
    home: &'a Path,
    lines: Vec<String>,
    commands: BTreeSet<String>,
}

impl Runner<'_> {
    /// Runs a command with --json, and keeps all lines that it prints.
    async fn run(&mut self, path: &[&str], arguments: &[&str]) -> Vec<Value> {
        let mut command = program::command("windrow");
        command.env("XDG_CONFIG_HOME", self.home).args(path).args(arguments);
        command.args(["--json", "--server", &self.address]);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let Output { stdout, stderr, .. } = &output;
        let lines = [stdout, stderr].map(|text| std::str::from_utf8(text).unwrap());
        let lines: Vec<_> = lines.iter().flat_map(|text| text.split('\n')).collect();
        let lines: Vec<_> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        assert!(!lines.is_empty(), "{path:?} prints nothing");
        self.commands.insert(path.join("-"));
        self.lines.extend(lines.iter().map(ToString::to_string));
        let value = |line: &&str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{path:?}: {error}: {line}"))
        };
        lines.iter().map(value).collect()
    }
}

#[tokio::test]
async fn python_and_node_read_the_json_of_every_command_as_it_is_meant() {
    let directory = tempfile::tempdir().unwrap();
    let rows = directory.path().join("rows.jsonl");
    std::fs::write(&rows, EXTREMES.replace('\n', " ")).unwrap();
    let windrow = Windrow::start_with(|config| {
        let extreme = format!("kind = 'exec'\ncommand = ['cat', '{}']", rows.display());
        let broken = "kind = 'exec'\ncommand = ['sh', '-c', 'echo ouch >&2; exit 78']";
        config.sources.insert("extreme".to_owned(), source_of(&extreme));
        config.sources.insert("broken".to_owned(), source_of(broken));
    })
    .await;
    let mut runner = Runner {
        address: windrow.address(),
        home: directory.path(),
        lines: Vec::new(),
        commands: BTreeSet::new(),
    };

    let known = leaf_commands(directory.path());
    run_all(&mut runner, &windrow).await;
    if known.contains("jobs-export") {
        runner.run(&["jobs", "export"], &[]).await;
    }

    let missing: Vec<_> = known.difference(&runner.commands).collect();
    assert_eq!(missing, WITHOUT_JSON.iter().collect::<Vec<_>>(), "commands without a test");
    let expected: Vec<String> =
        runner.lines.iter().map(|line| canonical(&serde_json::from_str(line).unwrap())).collect();
    let text = runner.lines.join("\n");
    assert_eq!(read_by("python3", "canonical.py", &text), expected);
    assert_eq!(read_by("node", "canonical.js", &text), expected);
    windrow.stop().await;
}

async fn run_all(runner: &mut Runner<'_>, windrow: &Windrow) {
    let name = "👩‍👩‍👧 \u{2028}\u{202e} \\ud800 \"x\"";
    let at = ["--location", "a", "--source", "extreme"];
    let create = ["job", "--name", name, "--cron", "0 0 1 1 *"];
    let made = runner.run(&["jobs", "create"], &[&create[..], &at].concat()).await;
    assert_eq!(made[0]["scheduled_job"]["name"], name);
    let radius = ["job", "--radius", "12.5", "--label", "team=sales"];
    runner.run(&["jobs", "update"], &radius).await;
    runner.run(&["jobs", "list"], &[]).await;
    runner.run(&["jobs", "list"], &["--status", "paused"]).await;
    let run = runner.run(&["trigger"], &["job"]).await[0]["job_id"].as_str().unwrap().to_owned();
    windrow.end(&run).await;
    runner.run(&["watch"], &[&run]).await;
    runner.run(&["jobs", "get"], &["job"]).await;
    runner.run(&["stats"], &["job"]).await;
    runner.run(&["ticks"], &["job"]).await;
    runner.run(&["explain"], &["job", "2020-01-01T00:00:00Z"]).await;
    runner.run(&["preview"], &["--job", "job"]).await;
    let range = ["job", "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-01T01:00:00Z"];
    runner.run(&["backfill"], &[&range[..], &["--dry-run"]].concat()).await;
    check_properties(runner).await;
    run_on_runs(runner, windrow).await;
    for verb in ["pause", "resume", "deactivate", "delete", "undelete"] {
        runner.run(&["jobs", verb], &["job"]).await;
    }
    let file = runner.home.join("jobs.yaml");
    std::fs::write(&file, "{scheduled_job_id: n, name: N, cron_expression: '@daily', parameters: {locations: [a], source: extreme}}").unwrap();
    runner.run(&["apply"], &["-f", file.to_str().unwrap(), "--dry-run"]).await;
    for verb in ["set", "use", "delete"] {
        runner.run(&["context", verb], &["here"]).await;
    }
    runner.run(&["context", "list"], &[]).await;
    runner.run(&["context", "current"], &[]).await;
}

async fn check_properties(runner: &mut Runner<'_>) {
    runner.run(&["properties", "list"], &["--source", "none"]).await;
    let listed = runner.run(&["properties", "list"], &[]).await;
    let exported = runner.run(&["properties", "export"], &[]).await;
    let got = runner.run(&["properties", "get"], &["extreme", "p"]).await;
    let sent: Value = serde_json::from_str(EXTREMES).unwrap();
    for body in
        [&listed[0]["properties"][0]["body"], &exported[0]["body"], &got[0]["property"]["body"]]
    {
        assert_eq!(body["texts"], sent["texts"]);
        assert_eq!((&body["list"], &body["object"]), (&json!([]), &json!({})));
        for (sent, shown) in
            sent["numbers"].as_array().unwrap().iter().zip(body["numbers"].as_array().unwrap())
        {
            let is_same = shown.as_f64() == sent.as_f64() || *shown == json!(sent.to_string());
            assert!(is_same && !shown.to_string().ends_with(".0"), "{sent} became {shown}");
        }
    }
}

async fn run_on_runs(runner: &mut Runner<'_>, windrow: &Windrow) {
    let broken = ["--location", "a", "--source", "broken", "--max-attempts", "1"];
    let run = runner.run(&["runs", "submit"], &broken).await;
    let run = run[0]["scraping_job"]["job_id"].as_str().unwrap().to_owned();
    windrow.end(&run).await;
    runner.run(&["runs", "get"], &[&run]).await;
    runner.run(&["runs", "list"], &[]).await;
    runner.run(&["runs", "list"], &["--job", "none"]).await;
    runner.run(&["runs", "logs"], &[&run]).await;
    runner.run(&["runs", "retry"], &[&run, "--dry-run"]).await;
    let late = ["--location", "a", "--source", "broken", "--at", "2999-01-01T00:00:00Z"];
    let late = runner.run(&["runs", "submit"], &late).await;
    let late = late[0]["scraping_job"]["job_id"].as_str().unwrap().to_owned();
    runner.run(&["runs", "cancel"], &[&late]).await;
    runner.run(&["runs", "cancel"], &["--filter", "status = running"]).await;
}

/// The commands that have no further commands below them, from the manual.
fn leaf_commands(directory: &Path) -> BTreeSet<String> {
    let pages = directory.join("man");
    let written = program::command("windrow").arg("man").arg(&pages).output().unwrap();
    assert!(written.status.success(), "{written:?}");
    let name = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        name.strip_suffix(".1")?.strip_prefix("windrow-").map(ToOwned::to_owned)
    };
    let pages = std::fs::read_dir(pages).unwrap();
    let names: BTreeSet<String> = pages.filter_map(|entry| name(entry.unwrap())).collect();
    let has_more = |name: &str| names.iter().any(|other| other.starts_with(&format!("{name}-")));
    let is_help = |name: &str| name.split('-').any(|word| word == "help");
    names.iter().filter(|name| !has_more(name) && !is_help(name)).cloned().collect()
}

/// The form of the scripts.
fn canonical(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) => value.to_string(),
        Value::Number(number) => format!("{:016x}", (number.as_f64().unwrap() + 0.0).to_bits()),
        Value::String(text) => {
            let units: Vec<_> = text.encode_utf16().map(|unit| format!("{unit:04x}")).collect();
            format!("\"{}\"", units.concat())
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        Value::Object(fields) => {
            let pair = |(name, item): (&String, &Value)| {
                (canonical(&Value::from(name.as_str())), canonical(item))
            };
            let mut pairs: Vec<_> = fields.iter().map(pair).collect();
            pairs.sort();
            let pairs: Vec<_> = pairs.iter().map(|(name, item)| format!("{name}:{item}")).collect();
            format!("{{{}}}", pairs.join(","))
        }
    }
}

fn read_by(interpreter: &str, script: &str, text: &str) -> Vec<String> {
    let mut command = Command::new(interpreter);
    command.arg(format!("{SCRIPTS}/{script}")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = command.spawn().unwrap_or_else(|error| panic!("{interpreter}: {error}"));
    let mut stdin = process.stdin.take().unwrap();
    let text = text.to_owned();
    let writing = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = process.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success(), "{interpreter} rejects the JSON");
    String::from_utf8(output.stdout).unwrap().lines().map(ToOwned::to_owned).collect()
}
