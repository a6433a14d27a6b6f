//! A server's use cases for commands that end by themselves.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::database::OpenDatabase;
use super::{Server, StartError};
use crate::app::App;
use crate::config::Config;
use crate::domain::parameters::SourceNames;
use crate::sources::SourceRegistry;

/// The use cases without loops or gRPC, for one-off commands. Must be closed.
pub struct OfflineApp {
    pub app: Arc<App>,
    database: OpenDatabase,
}

impl OfflineApp {
    /// Closes the database, and stops an embedded Postgres.
    pub async fn close(self) {
        self.database.close().await;
    }
}

impl Server {
    /// Opens and migrates the database for the use cases, without serving or executing anything.
    pub async fn open_offline(
        config: &Config,
        stop: &CancellationToken,
    ) -> Result<OfflineApp, StartError> {
        let sources = SourceRegistry::from_settings(&config.sources)?;
        Self::offline_on(OpenDatabase::open(config, stop).await?, config, &sources).await
    }

    /// Opens the database for the use cases that read, without changing it; `None` if it has no schema.
    pub async fn open_existing(
        config: &Config,
        stop: &CancellationToken,
    ) -> Result<Option<OfflineApp>, StartError> {
        let sources = SourceRegistry::from_settings(&config.sources)?;
        match OpenDatabase::open_existing(config, stop).await? {
            Some(database) => Self::offline_on(database, config, &sources).await.map(Some),
            None => Ok(None),
        }
    }

    async fn offline_on(
        database: OpenDatabase,
        config: &Config,
        sources: &SourceRegistry,
    ) -> Result<OfflineApp, StartError> {
        let names: BTreeSet<String> = sources.names().into_iter().collect();
        match Self::app_on(&database, config, SourceNames { names, ..Default::default() }).await {
            Ok((app, _, _)) => Ok(OfflineApp { app, database }),
            Err(error) => {
                database.close().await;
                Err(error)
            }
        }
    }
}
