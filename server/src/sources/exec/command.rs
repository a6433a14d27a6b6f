//! The start of a program (arguments, environment) and the meaning of its exit.

use std::{
    env,
    ffi::{OsStr, OsString},
    io::{self, ErrorKind},
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
};

use rustix::{io::Errno, process::Signal};
use tokio::process::Command;

use super::super::{ExecSettings, ScrapeRequest, SourceError};
use super::account::Account;
use super::group::{Group, Leader};
use crate::guard::{self, Confinement};

/// Variables that most programs need. Others may contain the server's secrets.
const INHERITED: [&str; 7] = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR"];
/// Characters of stderr's last line in the reason; the whole line is in the log.
const LAST_LINE_MAX: usize = 300;
/// Exit code of a permanent failure: `EX_CONFIG` of sysexits.h.
const PERMANENT_FAILURE: i32 = 78;

/// The failure of one start of a program.
#[derive(Debug)]
pub(super) enum Failure {
    /// The machine lacks something at the moment; nothing has run.
    Shortage(SourceError),
    Other(SourceError),
}

pub(super) fn spawn(
    settings: &ExecSettings,
    account: Option<&Account>,
    request: &ScrapeRequest,
) -> Result<Group, Failure> {
    let Some((program, arguments)) = settings.command.split_first() else {
        return Err(Failure::Other(SourceError::broken("no command is set")));
    };
    let confinement = Confinement {
        account: account.map(|account| account.ids),
        memory: settings.max_memory,
        processes: settings.max_processes.map(u64::from),
        ..Confinement::default()
    };
    let (mut command, leader) = match guard::command(program, confinement) {
        Some(command) => (Command::from(command), Leader::Guard),
        None if confinement == Confinement::default() => (Command::new(program), Leader::Program),
        None => {
            let reason = "user, max_memory and max_processes need /proc, which is not mounted";
            return Err(Failure::Other(SourceError::broken(reason)));
        }
    };
    command.args(arguments).env_clear().envs(environment(settings, account));
    command.env("WINDROW_JOB_ID", &request.job_id);
    command.env("WINDROW_ATTEMPT", request.attempt.to_string());
    command.env("WINDROW_LOCATION", &request.location);
    if let Some(directory) = &settings.working_dir {
        command.current_dir(directory);
    }
    Group::spawn(&mut command, leader).map_err(|error| {
        let reason = format!("failed to start program {program:?}: {error}");
        spawn_error(settings, reason, &error)
    })
}

/// The result of a location whose program has ended by itself.
pub(super) fn result_of_exit(
    settings: &ExecSettings,
    status: io::Result<ExitStatus>,
    last_line: Option<String>,
) -> Result<(), Failure> {
    if let Some((reason, error)) = start_error(&status, last_line.as_deref()) {
        return Err(spawn_error(settings, reason, &error));
    }
    let permanent = status.as_ref().is_ok_and(|status| status.code() == Some(PERMANENT_FAILURE));
    let exit = match status {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => exit_name(status),
        Err(error) => format!("exit status unknown: {error}"),
    };
    let reason = match last_line {
        Some(line) => format!("{exit}: {}", shortened(&line)),
        None => exit,
    };
    Err(Failure::Other(SourceError::Failed { reason, permanent }))
}

/// The error of a guard that could not start its program, with the reason.
fn start_error(
    status: &io::Result<ExitStatus>,
    last_line: Option<&str>,
) -> Option<(String, io::Error)> {
    let line = last_line.filter(|line| line.starts_with(guard::NOT_STARTED_LINE))?;
    let status = status.as_ref().ok()?;
    let number = line.rsplit_once("(os error ")?.1.trim_end_matches(')').parse().ok()?;
    let reason = line.trim_start_matches("windrow: ").to_owned();
    let is_of_guard = status.code() == Some(guard::NOT_STARTED);
    is_of_guard.then(|| (reason, io::Error::from_raw_os_error(number)))
}

/// The variables of a program, besides those of the request. Later ones replace earlier ones.
fn environment(settings: &ExecSettings, account: Option<&Account>) -> Vec<(OsString, OsString)> {
    let is_passed =
        |name: &OsStr| settings.pass_environment.iter().any(|passed| OsStr::new(passed) == name);
    let mut variables: Vec<(OsString, OsString)> =
        env::vars_os().filter(|(name, _)| is_inherited(name) || is_passed(name)).collect();
    variables.extend(account.into_iter().flat_map(|account| {
        let (name, home) = (OsString::from(&account.name), account.home.clone().into_os_string());
        [("HOME".into(), home), ("USER".into(), name.clone()), ("LOGNAME".into(), name)]
    }));
    let named = settings.environment.iter();
    variables.extend(named.map(|(name, value)| (name.into(), value.into())));
    variables
}

fn is_inherited(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| INHERITED.contains(&name) || name.starts_with("LC_"))
}

/// Distinguishes wrong settings from transient errors such as too many processes.
fn spawn_error(settings: &ExecSettings, reason: String, error: &io::Error) -> Failure {
    if is_shortage(error) {
        return Failure::Shortage(SourceError::failed(reason));
    }
    if let Some(directory) = settings.working_dir.as_deref().filter(|path| !path.is_dir()) {
        let path = directory.display();
        let reason = format!("working_dir {path} is not a directory");
        return Failure::Other(SourceError::broken(reason));
    }
    let is_permanent = matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
    );
    if is_permanent || Errno::from_io_error(error) == Some(Errno::NOEXEC) {
        Failure::Other(SourceError::broken(reason))
    } else {
        Failure::Other(SourceError::failed(reason))
    }
}

/// Whether the machine has too few descriptors, processes or memory at the moment, or the program's file is
/// being written.
fn is_shortage(error: &io::Error) -> bool {
    let shortages =
        [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::AGAIN, Errno::NOBUFS, Errno::TXTBSY];
    Errno::from_io_error(error).is_some_and(|errno| shortages.contains(&errno))
}

fn exit_name(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by {}", signal_name(signal)),
        (None, None) => status.to_string(),
    }
}

fn signal_name(number: i32) -> String {
    let names = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::TERM, "SIGTERM"),
        (Signal::XCPU, "SIGXCPU"),
    ];
    let known = names.into_iter().find(|(signal, _)| signal.as_raw() == number);
    known.map_or_else(|| format!("signal {number}"), |(_, name)| name.to_owned())
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(LAST_LINE_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    }
}
