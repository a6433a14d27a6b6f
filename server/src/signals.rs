//! Signals of the operator. They are registered before any work begins, so that none ends the process midway.

use std::fs::File;
use std::future::{Future, pending};
use std::io;
use std::pin::pin;

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::wrappers::SignalStream;
use tokio_stream::{StreamExt as _, StreamMap};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// Signals that stop the process cleanly.
const STOP: [(Signal, &str); 7] = [
    (Signal::TERM, "SIGTERM"),
    (Signal::INT, "SIGINT"),
    (Signal::QUIT, "SIGQUIT"),
    (Signal::USR1, "SIGUSR1"),
    (Signal::USR2, "SIGUSR2"),
    (Signal::ALARM, "SIGALRM"),
    (Signal::XCPU, "SIGXCPU"),
];

pub(crate) struct Signals {
    stop: StreamMap<&'static str, SignalStream>,
    /// SIGHUP of a process without a terminal.
    reload: Option<SignalStream>,
    /// Keeps a limit on file sizes from ending the process: the write fails instead.
    _file_size: SignalStream,
}

impl Signals {
    pub(crate) fn register() -> io::Result<Self> {
        let mut stop = StreamMap::new();
        for (signal, name) in STOP {
            stop.insert(name, stream(signal)?);
        }
        let hangup = stream(Signal::HUP)?;
        // With a terminal the signal means that it was closed.
        let reload = if File::open("/dev/tty").is_ok() {
            stop.insert("SIGHUP", hangup);
            None
        } else {
            Some(hangup)
        };
        Ok(Self { stop, reload, _file_size: stream(Signal::XFSZ)? })
    }

    /// Waits for a signal that stops the process.
    pub(crate) async fn stop(&mut self) {
        if let Some((name, ())) = self.stop.next().await {
            info!("Received {name}");
        }
    }

    /// Waits for a stop, and calls `reload` whenever the settings have to be read again.
    pub(crate) async fn stop_or(&mut self, reload: impl Fn()) {
        loop {
            let again = async {
                match &mut self.reload {
                    Some(hangups) => hangups.next().await,
                    None => pending().await,
                }
            };
            tokio::select! {
                stopped = self.stop.next() => {
                    if let Some((name, ())) = stopped {
                        info!("Received {name}");
                    }
                    return;
                }
                _ = again => reload(),
            }
        }
    }

    /// Performs work that ends early when `stop` is cancelled. The first signal cancels it; at the second one
    /// the result is `None`.
    pub(crate) async fn cancelling<T>(
        &mut self,
        stop: &CancellationToken,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut work = pin!(work);
        tokio::select! {
            done = &mut work => return Some(done),
            () = self.stop() => stop.cancel(),
        }
        tokio::select! {
            done = work => Some(done),
            () = self.stop() => None,
        }
    }
}

fn stream(number: Signal) -> io::Result<SignalStream> {
    Ok(SignalStream::new(signal(SignalKind::from_raw(number.as_raw()))?))
}
