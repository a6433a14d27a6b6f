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

use super::{
    super::{ExecSettings, ScrapeRequest, SourceError},
    group::Group,
};

/// Variables that most programs need. Others may contain the server's secrets.
const INHERITED: [&str; 5] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"];
/// Characters of stderr's last line in the reason; the whole line is in the log.
const LAST_LINE_MAX: usize = 300;
/// Exit code of a permanent failure: `EX_CONFIG` of sysexits.h.
const PERMANENT_FAILURE: i32 = 78;

pub(super) fn spawn(
    settings: &ExecSettings,
    request: &ScrapeRequest,
) -> Result<Group, SourceError> {
    let Some((program, arguments)) = settings.command.split_first() else {
        return Err(SourceError::broken("no command is set"));
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(inherited()).envs(&settings.environment);
    command.env("WINDROW_JOB_ID", &request.job_id);
    command.env("WINDROW_ATTEMPT", request.attempt.to_string());
    command.env("WINDROW_LOCATION", &request.location);
    if let Some(directory) = &settings.working_dir {
        command.current_dir(directory);
    }
    Group::spawn(&mut command).map_err(|error| spawn_error(settings, program, &error))
}

/// The result of a location whose program has ended by itself.
pub(super) fn result_of_exit(
    status: io::Result<ExitStatus>,
    last_line: Option<String>,
) -> Result<(), SourceError> {
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
    Err(SourceError::Failed { reason, permanent })
}

fn inherited() -> impl Iterator<Item = (OsString, OsString)> {
    env::vars_os().filter(|(name, _)| is_inherited(name))
}

fn is_inherited(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| INHERITED.contains(&name) || name.starts_with("LC_"))
}

/// Distinguishes wrong settings from transient errors such as too many processes.
fn spawn_error(settings: &ExecSettings, program: &str, error: &io::Error) -> SourceError {
    if let Some(directory) = settings.working_dir.as_deref().filter(|path| !path.is_dir()) {
        let path = directory.display();
        return SourceError::broken(format!("working_dir {path} is not a directory"));
    }
    let reason = format!("failed to start program {program:?}: {error}");
    let is_permanent = matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
    );
    if is_permanent || Errno::from_io_error(error) == Some(Errno::NOEXEC) {
        SourceError::broken(reason)
    } else {
        SourceError::failed(reason)
    }
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
