//! What a program is told (arguments, environment, stdin) and what its exit means.

use std::{
    env,
    ffi::{OsStr, OsString},
    io::{self, ErrorKind},
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
};

use chrono::{DateTime, SecondsFormat, Utc};
use rustix::{io::Errno, process::Signal};
use serde_json::json;
use tokio::process::Command;

use super::{
    super::{ExecSettings, ScrapeRequest, SourceError},
    group::Group,
    tail::Tail,
};

/// What a program needs to run at all. Everything else may be a secret of the server's.
const INHERITED: [&str; 5] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"];
/// A reason is one line in a list; the whole line is in the log.
const LAST_LINE_MAX: usize = 300;
/// The exit code, `EX_CONFIG` of sysexits.h, by which a program says that trying again is useless.
const WILL_FAIL_AGAIN: i32 = 78;
/// The version of what stdin says.
const SCHEMA: u32 = 1;

pub(super) fn spawn(
    settings: &ExecSettings,
    request: &ScrapeRequest,
) -> Result<Group, SourceError> {
    let Some((program, arguments)) = settings.command.split_first() else {
        return Err(SourceError::Broken { reason: "no command is set".to_owned() });
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(inherited()).envs(&settings.environment);
    command.env("WINDROW_JOB_ID", &request.job_id);
    command.env("WINDROW_ATTEMPT", request.attempt.to_string());
    command.env("WINDROW_LOCATION", &request.location);
    if let Some(directory) = &settings.working_dir {
        command.current_dir(directory);
    }
    Group::spawn(&mut command).map_err(|error| not_started(settings, program, &error))
}

/// One JSON object and a newline.
pub(super) fn input(request: &ScrapeRequest) -> String {
    let object = json!({
        "schema": SCHEMA,
        "job_id": request.job_id,
        "attempt": request.attempt,
        "scheduled_job_id": request.scheduled_job_id,
        "origin": request.origin,
        "tick_at": request.tick_at.map(rfc3339),
        "reference_time": rfc3339(request.reference_time),
        "location": request.location,
        "parameters": request.parameters,
    });
    format!("{object}\n")
}

/// What the exit of a program that ended by itself means for its location.
pub(super) fn verdict(status: io::Result<ExitStatus>, log: &mut Tail) -> Result<(), SourceError> {
    let permanent = status.as_ref().is_ok_and(|status| status.code() == Some(WILL_FAIL_AGAIN));
    let ended = match status {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => exit_name(status),
        Err(error) => format!("exit status unknown: {error}"),
    };
    let reason = match log.last_line() {
        Some(line) => format!("{ended}: {}", shortened(&line)),
        None => ended,
    };
    Err(SourceError::Failed { reason, permanent })
}

fn inherited() -> impl Iterator<Item = (OsString, OsString)> {
    env::vars_os().filter(|(name, _)| is_inherited(name))
}

fn is_inherited(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| INHERITED.contains(&name) || name.starts_with("LC_"))
}

/// Tells settings that can never work from trouble that may pass, such as too many processes.
fn not_started(settings: &ExecSettings, program: &str, error: &io::Error) -> SourceError {
    if let Some(directory) = settings.working_dir.as_deref().filter(|path| !path.is_dir()) {
        let reason = format!("working_dir {} is not a directory", directory.display());
        return SourceError::Broken { reason };
    }
    let reason = format!("program {program:?} cannot be started: {error}");
    let lasting = matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
    );
    if lasting || Errno::from_io_error(error) == Some(Errno::NOEXEC) {
        SourceError::Broken { reason }
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

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
