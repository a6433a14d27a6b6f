//! Two servers on one database, a line from each to the database, and a line to each for the watchers.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::SETTINGS;
use crate::support::program::Program;
use crate::support::proxy::{Line, Proxy, Upstream};

/// What the second server is away from the database: its transactions stay open for long while those of
/// the first one commit, so that events become visible out of the order of their ids.
const FAR: Line = Line::Slow(Duration::from_millis(10));

pub struct Stage {
    servers: [Mutex<Program>; 2],
    /// Between the watchers and the servers.
    pub lines: [Proxy; 2],
    /// Between the servers and the database.
    pub database_lines: [Proxy; 2],
    database_urls: [String; 2],
}

impl Stage {
    pub async fn new(database_url: &str) -> Self {
        let database = Upstream::database(database_url);
        let database_lines =
            [Proxy::start_to(database.clone()).await, Proxy::start_to(database).await];
        database_lines[1].set(FAR);
        let database_urls =
            [0, 1].map(|number: usize| database_lines[number].database_url(database_url));
        let servers = [start_server(&database_urls[0]), start_server(&database_urls[1])];
        let lines =
            [Proxy::start(&servers[0].address).await, Proxy::start(&servers[1].address).await];
        Self { servers: servers.map(Mutex::new), lines, database_lines, database_urls }
    }

    /// Where the servers are, past the lines.
    pub fn addresses(&self) -> [String; 2] {
        [0, 1].map(|number| self.server(number).address.clone())
    }

    pub fn server(&self, number: usize) -> MutexGuard<'_, Program> {
        self.servers[number].lock().unwrap()
    }

    pub fn restart_server(&self, number: usize) {
        let server = start_server(&self.database_urls[number]);
        self.lines[number].leads_to(Upstream::Address(server.address.clone()));
        *self.server(number) = server;
    }

    /// As it was before somebody froze it.
    pub fn clear_database_line(&self, number: usize) {
        self.database_lines[number].set(if number == 0 { Line::Clear } else { FAR });
    }
}

fn start_server(database_url: &str) -> Program {
    // The address is told by this module; the others complain about every fault.
    let environment = [("WINDROW_LOG", "error,windrow_server::server=info")];
    Program::start(&["--database-url", database_url], SETTINGS, &environment)
}
