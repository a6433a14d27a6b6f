//! The commands: each module has the arguments of a command next to what it does.

pub(crate) mod apply;
pub(crate) mod backfill;
pub(crate) mod context;
pub(crate) mod jobs;
pub(crate) mod preview;
pub(crate) mod properties;
pub(crate) mod runs;
pub(crate) mod shell;
pub(crate) mod ticks;
pub(crate) mod watch;

use std::io::{self, BufRead, IsTerminal, Write};

use crate::failure::Failure;

/// Asks a yes-or-no question on the terminal; without one, `usage` is the error.
fn confirm(question: &str, usage: &'static str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(usage));
    }
    write!(io::stderr(), "{question} [y/N] ")?;
    let mut answer = String::new();
    let unread = |error| Failure::Refused(format!("cannot read the answer: {error}; pass --yes"));
    io::stdin().lock().read_line(&mut answer).map_err(unread)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
