//! What the server says about itself: log lines on stderr, and panics among them.
//!
//! Stdout stays free for what a command prints.

use std::io::{self, IsTerminal as _};
use std::panic;

use tracing_subscriber::{EnvFilter, filter::ParseError, util::TryInitError};

use crate::config::{LogFormat, LogSettings};

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter directive cannot be read. Settings from `Config` have been checked for this.
    #[error("the log filter cannot be read")]
    Filter(#[from] ParseError),
    /// Something has set up logging in this process before.
    #[error("logging is already set up")]
    AlreadySetUp(#[source] TryInitError),
}

/// Sends events to stderr from now on, and panics as `error!` events in place of Rust's own message.
///
/// Works once per process.
pub fn init(settings: &LogSettings) -> Result<(), TelemetryError> {
    use tracing_subscriber::util::SubscriberInitExt as _;

    let filter = EnvFilter::try_new(&settings.filter)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    match settings.format {
        LogFormat::Text => builder.finish().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
    }
    .map_err(TelemetryError::AlreadySetUp)?;
    panic::set_hook(Box::new(log_panic));
    Ok(())
}

// The default hook is not called: it would write a second, unstructured message to stderr.
fn log_panic(panic: &panic::PanicHookInfo<'_>) {
    let place = panic.location().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    let message = panic.payload_as_str().unwrap_or("no message");
    tracing::error!(panic.place = %place, "A task panicked: {message}");
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_refused() {
        let settings = LogSettings { filter: "a=b=c".to_owned(), format: LogFormat::Text };
        assert!(matches!(init(&settings), Err(TelemetryError::Filter(_))));
    }

    // The hook belongs to the whole process, so this is the only test that sets it.
    #[test]
    fn a_panic_is_an_error_event_with_its_place() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber =
            tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
        let before = panic::take_hook();
        panic::set_hook(Box::new(log_panic));
        tracing::subscriber::with_default(subscriber, || {
            assert!(panic::catch_unwind(|| panic!("out of hay")).is_err());
        });
        panic::set_hook(before);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("ERROR") && text.contains("A task panicked: out of hay"), "{text}");
        assert!(text.contains("telemetry.rs"), "{text}");
    }
}
