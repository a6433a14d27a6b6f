//! How long a stream that breaks is taken up again: until it has got nowhere for [`PATIENCE`].

use std::time::Duration;

use tokio::time::Instant;
use tonic::Status;

use crate::{Error, backoff, error};

/// A stream gives up when it has got nowhere for this long.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Counts failures in a row since something was received.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Patience {
    trouble: Option<Trouble>,
}

#[derive(Clone, Copy, Debug)]
struct Trouble {
    since: Instant,
    failures: u32,
}

impl Patience {
    /// Something was received, or the connection held for long.
    pub(crate) fn restore(&mut self) {
        self.trouble = None;
    }

    /// Waits before the next connection, or says why there will be none.
    pub(crate) async fn bear(&mut self, server: &str, status: Status) -> Result<(), Error> {
        let fresh = Trouble { since: Instant::now(), failures: 0 };
        let known = self.trouble.unwrap_or(fresh);
        if !error::is_lost(&status) || known.since.elapsed() > PATIENCE {
            return Err(Error::from_status(server, status));
        }
        let failures = known.failures.saturating_add(1);
        self.trouble = Some(Trouble { failures, ..known });
        tokio::time::sleep(backoff::pause(failures, error::retry_after(&status))).await;
        Ok(())
    }
}
