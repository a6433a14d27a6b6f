//! The processes of the chaos test, and the lines between them.

use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard};

use super::worker::worker_process;
use super::{ROWS, SETTINGS};
use crate::support::program::{Process, Program};
use crate::support::proxy::{Proxy, Upstream};
use crate::support::python;

/// How a worker is started.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Rust,
    Python,
}

/// Two servers, a line to each, and a Rust and a Python worker on each line.
pub struct Stage {
    database_url: String,
    servers: [Mutex<Program>; 2],
    pub lines: [Proxy; 2],
    workers: Vec<(Kind, usize, Mutex<Process>)>,
}

impl Stage {
    pub async fn new(database_url: &str) -> Self {
        let servers = [start_server(database_url), start_server(database_url)];
        let lines =
            [Proxy::start(&servers[0].address).await, Proxy::start(&servers[1].address).await];
        let mut workers = Vec::new();
        for kind in [Kind::Rust, Kind::Python] {
            for (line, proxy) in lines.iter().enumerate() {
                workers.push((kind, line, Mutex::new(start_worker(kind, &proxy.address))));
            }
        }
        Self {
            database_url: database_url.to_owned(),
            servers: servers.map(Mutex::new),
            lines,
            workers,
        }
    }

    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Where the servers are, past the lines.
    pub fn addresses(&self) -> [String; 2] {
        [0, 1].map(|number| self.server(number).address.clone())
    }

    pub fn server(&self, number: usize) -> MutexGuard<'_, Program> {
        self.servers[number].lock().unwrap()
    }

    pub fn worker(&self, number: usize) -> MutexGuard<'_, Process> {
        self.workers[number].2.lock().unwrap()
    }

    pub fn restart_server(&self, number: usize) {
        let server = start_server(&self.database_url);
        self.lines[number].leads_to(Upstream::Address(server.address.clone()));
        *self.server(number) = server;
    }

    pub fn restart_worker(&self, number: usize) {
        let (kind, line, process) = &self.workers[number];
        *process.lock().unwrap() = start_worker(*kind, &self.lines[*line].address);
    }
}

fn start_server(database_url: &str) -> Program {
    // The address is told by this module; the others complain about every fault.
    let environment = [("WINDROW_LOG", "error,windrow_server::server=info")];
    Program::start(&["--database-url", database_url], SETTINGS, &environment)
}

fn start_worker(kind: Kind, server: &str) -> Process {
    match kind {
        Kind::Rust => Process::spawn(quiet(&mut worker_process(server))),
        Kind::Python => {
            let mut command = python::script("chaos_worker.py", server);
            Process::spawn(quiet(command.env("WINDROW_CHAOS_ROWS", ROWS.to_string())))
        }
    }
}

/// They complain about every fault.
fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}
