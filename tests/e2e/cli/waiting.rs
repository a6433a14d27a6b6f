//! A server or a database that does not answer: the command says after a second what it waits for, and why it fails.

use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};

use crate::support::cluster::Cluster;
use crate::support::proxy::{Line, Proxy};
use crate::support::{PATIENCE, Windrow, program};

struct Waiting {
    process: Child,
    remarks: BufReader<ChildStderr>,
}

impl Waiting {
    fn start(address: &str, arguments: &[&str]) -> Self {
        let mut command = Command::from(program::command("windrow"));
        command.args(["--server", address]).args(arguments).kill_on_drop(true);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let remarks = BufReader::new(process.stderr.take().unwrap());
        Self { process, remarks }
    }

    async fn remark(&mut self) -> String {
        let mut line = String::new();
        let read = self.remarks.read_line(&mut line);
        tokio::time::timeout(PATIENCE, read).await.expect("it says nothing").unwrap();
        line
    }

    fn interrupt(&self) {
        let id = self.process.id().unwrap().to_string();
        let sent = std::process::Command::new("kill").args(["-s", "INT", &id]).status();
        assert!(sent.unwrap().success());
    }

    /// The exit status, and what else was said.
    async fn end(mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        let end = async {
            self.remarks.read_to_string(&mut rest).await.unwrap();
            self.process.wait().await.unwrap()
        };
        (tokio::time::timeout(PATIENCE, end).await.expect("it does not end"), rest)
    }
}

#[tokio::test]
async fn a_silent_server_is_named_after_a_second_and_ctrl_c_ends_at_once() {
    let windrow = Windrow::start().await;
    let proxy = Proxy::start(&windrow.address()).await;
    proxy.set(Line::Frozen);
    let address = &proxy.address;

    for (arguments, expected) in [
        (&["jobs", "list"][..], format!("Waiting for a response from {address}\n")),
        (&["jobs", "list", "-q"], format!("Waiting for a response from {address}\n")),
        (&["properties", "export"], format!("Waiting for a response from {address}\n")),
        (&["watch", "--all"], format!("Waiting for a response from {address}\n")),
        (&["watch", "run"], format!("Waiting for a response from {address}\n")),
        (
            &["jobs", "list", "--json"],
            format!("{{\"hint\":\"Waiting for a response from {address}\"}}\n"),
        ),
    ] {
        let mut waiting = Waiting::start(address, arguments);
        assert_eq!(waiting.remark().await, expected, "{arguments:?}");

        waiting.interrupt();

        let begin = std::time::Instant::now();
        let (status, _) = waiting.end().await;
        assert!(!status.success() && begin.elapsed() < PATIENCE / 6, "{arguments:?}: {status:?}");
    }
    windrow.stop().await;
}

#[tokio::test]
async fn a_lost_database_is_named_while_it_is_waited_for_and_at_the_end() {
    let mut cluster = Cluster::start().await;
    let windrow = Windrow::start_on(&cluster.create("windrow"), |_| {}).await;
    cluster.kill();
    let address = windrow.address();

    let mut list = Waiting::start(&address, &["jobs", "list"]);
    let mut export = Waiting::start(&address, &["properties", "export"]);

    let remark = list.remark().await;
    assert!(remark.contains(&format!(" {address}")), "{remark}");
    let (status, rest) = list.end().await;
    assert_eq!(status.code(), Some(1), "{rest}");
    assert!(rest.contains("error: ") && rest.contains("database"), "{rest}");
    let said = export.remark().await;
    cluster.restart().await;
    let (status, rest) = export.end().await;
    assert!(status.success(), "{said}{rest}");
    assert!(format!("{said}{rest}").contains("database"), "{said}{rest}");
    windrow.stop().await;
}
