//! Logging: events and panics as lines on stderr, written in the background.
//!
//! Stdout is left to the output of commands. Whatever happens to stderr, logging neither blocks nor fails.

mod fields;
mod statements;
mod writer;

use std::env;
use std::io::{self, IsTerminal as _};
use std::panic;

use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::TryInitError;
use tracing_subscriber::{EnvFilter, Registry, reload};

pub use self::writer::{LogWriter, dropped_lines};

use self::fields::NewFieldsOnly;
use self::statements::ShortStatements;
use crate::config::{LogFormat, LogSettings};

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Filters from `Config` have been checked before.
    #[error("invalid log filter")]
    Filter(#[from] ParseError),
    #[error("logging is already set up")]
    AlreadySetUp(#[source] TryInitError),
    #[error("failed to replace the log filter")]
    Reload(#[from] reload::Error),
}

/// Replaces the filter of the log while it is in use.
pub struct LogFilter(reload::Handle<EnvFilter, Registry>);

impl LogFilter {
    pub fn replace(&self, filter: &str) -> Result<(), TelemetryError> {
        Ok(self.0.reload(EnvFilter::try_new(filter)?)?)
    }
}

/// Writes events to `writer` from now on, and panics as errors instead of Rust's own message.
///
/// Works once per process.
pub fn init(settings: &LogSettings, writer: &LogWriter) -> Result<LogFilter, TelemetryError> {
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;

    let (filter, handle) = reload::Layer::new(EnvFilter::try_new(&settings.filter)?);
    let writer = writer.clone();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(move || writer.clone())
        .with_ansi(has_colors())
        // These are written to stderr directly, which may block or panic.
        .log_internal_errors(false);
    let filtered = tracing_subscriber::registry().with(filter);
    match settings.format {
        LogFormat::Text => filtered.with(lines.fmt_fields(NewFieldsOnly)).try_init(),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).map_event_format(ShortStatements);
            filtered.with(lines).try_init()
        }
    }
    .map_err(TelemetryError::AlreadySetUp)?;
    panic::set_hook(Box::new(log_panic));
    Ok(LogFilter(handle))
}

/// Whether stderr is a terminal that shows colors, and the user wants them: <https://no-color.org>.
fn has_colors() -> bool {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    let is_dumb = set("TERM").is_some_and(|terminal| terminal == "dumb");
    io::stderr().is_terminal() && set("NO_COLOR").is_none() && !is_dumb
}

// Does not call the default hook, which would write a second, unstructured message.
fn log_panic(panic: &panic::PanicHookInfo<'_>) {
    let location = panic.location().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    let message = panic.payload_as_str().unwrap_or("no message");
    tracing::error!(panic.location = %location, "A task panicked: {message}");
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    pub(super) struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        pub(super) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

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
    fn an_invalid_filter_is_rejected() {
        let settings = LogSettings { filter: "a=b=c".to_owned(), format: LogFormat::Text };
        let writer = LogWriter::to_stderr().unwrap();
        assert!(matches!(init(&settings, &writer), Err(TelemetryError::Filter(_))));
    }

    // The hook belongs to the whole process, so this is the only test that sets it.
    #[test]
    fn a_panic_is_logged_as_an_error_with_its_location() {
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
        let text = lines.text();
        assert!(text.contains("ERROR") && text.contains("A task panicked: out of hay"), "{text}");
        assert!(text.contains("telemetry/mod.rs"), "{text}");
    }
}
