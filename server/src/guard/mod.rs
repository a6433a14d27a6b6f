//! This executable as a guard above other processes: nothing that a source starts outlives the server.
//!
//! - `run`: the parent of a program. Descendants that lose their parent become its children. It ends them one
//!   second after the program's end, and all of them at once when its stdin closes, which also happens when the
//!   server is killed. It ends like the program.
//! - `exec`: takes on the `Confinement` of the program and becomes the program, which the kernel kills if the guard
//!   is killed.
//! - `init`: the parent of the server if the server would be process 1, as in a container. It reaps processes
//!   that have lost their parents, passes signals on, and ends like the server.
//!
//! All of them, and the server itself, keep their environment and memory from other processes of their user.
//!
//! ```text
//! server ─(request, then open until the end)▶ run ─▶ exec = program ─▶ its processes
//! ```

mod children;
mod confinement;
mod init;
mod program;

use std::env;
use std::ffi::OsString;
use std::future::Future;
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::OnceLock;

use rustix::process::WaitStatus;

pub(crate) use self::confinement::{Account, Confinement};

use crate::seal::seal;

/// Exit code of a guard whose program could not be started. The last line of stderr says why.
pub(crate) const NOT_STARTED: i32 = 125;
/// The beginning of that line.
pub(crate) const NOT_STARTED_LINE: &str = "windrow: failed to start program";

/// The name under which this executable is a guard.
const NAME: &str = "windrow-guard";
/// Also valid after the file was replaced by another release.
const EXECUTABLE: &str = "/proc/self/exe";

static GUARDS: OnceLock<Guards> = OnceLock::new();

struct Guards {
    /// The limit on open files that programs get.
    open_files: Option<u64>,
}

/// Acts as a guard if this process was started as one. Call it first in `main`: it also closes inherited
/// descriptors, and hides the environment and memory of this process.
pub fn main() -> Option<ExitCode> {
    seal();
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_default();
    if name == NAME {
        return Some(guard(&arguments.collect::<Vec<_>>()));
    }
    let is_init = std::process::id() == 1 && Path::new(EXECUTABLE).exists();
    is_init.then(|| ended_like(on_runtime(init::run(&name, arguments))))
}

/// Puts a guard above every program from now on. Only for an executable that calls [`main`].
pub fn enable(open_files: Option<u64>) {
    if Path::new(EXECUTABLE).exists() {
        GUARDS.get_or_init(|| Guards { open_files });
    } else {
        tracing::warn!("/proc is not mounted: programs of sources may outlive a killed server");
    }
}

/// A guard of this program, whose arguments may be added. `None` if guards are not enabled.
pub(crate) fn command(program: &str, confinement: Confinement) -> Option<Command> {
    let Guards { open_files } = *GUARDS.get()?;
    let confinement = Confinement { open_files, ..confinement };
    let mut command = again(NAME);
    command.args(["run", &confinement.to_argument(), program]);
    Some(command)
}

/// This executable with other arguments.
fn again(name: impl AsRef<std::ffi::OsStr>) -> Command {
    use std::os::unix::process::CommandExt as _;

    let mut command = Command::new(EXECUTABLE);
    command.arg0(name);
    command
}

fn guard(arguments: &[OsString]) -> ExitCode {
    match arguments.split_first() {
        Some((mode, rest)) if mode == "run" => ended_like(on_runtime(program::run(rest))),
        Some((mode, rest)) if mode == "exec" => program::failed(rest.get(2), &program::exec(rest)),
        Some(_) | None => ExitCode::FAILURE,
    }
}

fn on_runtime<F>(work: F) -> Result<WaitStatus, ExitCode>
where
    F: Future<Output = Result<WaitStatus, ExitCode>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| failed("prepare", &error))?.block_on(work)
}

fn failed(action: &str, error: &io::Error) -> ExitCode {
    use io::Write as _;

    writeln!(io::stderr(), "error: failed to {action}: {error}").ok();
    ExitCode::FAILURE
}

/// Ends this process like another one: with its exit code, or by its signal.
fn ended_like(status: Result<WaitStatus, ExitCode>) -> ExitCode {
    use rustix::process::{Resource, Rlimit, setrlimit};

    let status = match status {
        Ok(status) => status,
        Err(code) => return code,
    };
    if let Some(signal) = status.terminating_signal() {
        // The other process may have dumped its memory; that of this one is of no use.
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).ok();
        // Process 1 does not end by a signal of its own.
        if std::process::id() != 1 {
            signal_hook::low_level::emulate_default_handler(signal).ok();
        }
        return ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX));
    }
    let code = status.exit_status().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
