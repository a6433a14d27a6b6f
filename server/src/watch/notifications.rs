//! Notifications of other servers, which wake the hub and everything that waits for their commits.

use tokio_util::sync::CancellationToken;
use tracing::info;
use windrow_worker::Outage;

use super::Hub;
use super::hub::RETRY_PAUSE;
use crate::store::{StoreError, listen};

impl Hub {
    /// Passes on notifications of other servers until `stop`.
    pub async fn listen(&self, stop: CancellationToken) {
        let hints = async {
            let mut outage = Outage::new("listen for notifications");
            while let Err(error) = self.listen_once(&mut outage).await {
                outage.failed(&error);
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        };
        stop.run_until_cancelled(hints).await;
    }

    /// Returns without an error if there is no connection for it.
    async fn listen_once(&self, outage: &mut Outage) -> Result<(), StoreError> {
        let Some(mut listener) = listen::listen(&self.pool).await? else {
            info!(
                "No connection is left to listen for other servers; their changes are polled every second"
            );
            return Ok(());
        };
        outage.succeeded();
        let own = self.instance.to_string();
        loop {
            // `None` means that the connection was lost, and perhaps notifications with it: wake up anyway.
            let hint = listener.try_recv().await?;
            // Commits of this server have already woken everything here.
            if hint.is_none_or(|hint| hint.payload() != own) {
                self.wake();
                self.hinted.notify_one();
            }
        }
    }
}
