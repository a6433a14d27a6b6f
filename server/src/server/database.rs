//! The database of a server: a running Postgres, by its URL, or the embedded one.

use std::sync::Arc;
use std::time::Duration;

use log::LevelFilter;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};
use windrow_embedded_postgres::{Durability, EmbeddedPostgres, Settings};

use super::StartError;
use super::starting::step;
use crate::config::{Config, Database, connect_options};
use crate::error_chain::error_chain;
use crate::store::{self, Pool};

/// Calls wait for a connection for five seconds, so slower statements make others fail. sqlx's default of
/// one second also reports the first statements of a server on a busy machine.
const SLOW_STATEMENT: Duration = Duration::from_secs(5);
/// Limit for closing the connections of the pool.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A migrated database, and its Postgres if that is embedded.
pub(super) struct OpenDatabase {
    pub(super) pool: Pool,
    pub(super) embedded: Option<Arc<EmbeddedPostgres>>,
}

impl OpenDatabase {
    /// Opens the database and migrates it. Ends with [`StartError::Stopped`] when `stop` is cancelled.
    pub(super) async fn open(
        config: &Config,
        stop: &CancellationToken,
    ) -> Result<Self, StartError> {
        let database = Self::connect(config, stop).await?;
        let migrated = step(stop, "the migration of the database schema", database.migrate()).await;
        if migrated.is_err() {
            database.close().await;
        }
        migrated.map(|()| database)
    }

    /// Opens the database without changing it; `None` if it has no schema.
    pub(super) async fn open_existing(
        config: &Config,
        stop: &CancellationToken,
    ) -> Result<Option<Self>, StartError> {
        if let Database::Embedded { data_dir, .. } = &config.database
            && !EmbeddedPostgres::exists(data_dir)
        {
            return Ok(None);
        }
        let database = Self::connect(config, stop).await?;
        let found = step(stop, "the database", database.has_schema()).await;
        if !matches!(found, Ok(true)) {
            database.close().await;
        }
        Ok(found?.then_some(database))
    }

    async fn connect(config: &Config, stop: &CancellationToken) -> Result<Self, StartError> {
        let (options, embedded) = match &config.database {
            Database::Url(url) => (connect_options(url).map_err(StartError::DatabaseUrl)?, None),
            Database::Embedded { data_dir, postgres_bin_dir } => {
                let settings = Settings {
                    data_dir: data_dir.clone(),
                    bin_dir: postgres_bin_dir.clone(),
                    durability: Durability::Durable,
                };
                let what = format!("the embedded Postgres in {}", data_dir.display());
                let postgres = step(stop, &what, EmbeddedPostgres::start(settings)).await?;
                info!(
                    "Embedded Postgres is running; its data is in {}",
                    postgres.data_dir().display()
                );
                (postgres.connect_options(), Some(Arc::new(postgres)))
            }
        };
        let what = format!("the database at {}", address(&options));
        let options = options.log_slow_statements(LevelFilter::Warn, SLOW_STATEMENT);
        match step(stop, &what, store::connect(options, config.max_connections)).await {
            Ok(pool) => Ok(Self { pool, embedded }),
            Err(error) => {
                stop_embedded(embedded.as_deref()).await;
                Err(error)
            }
        }
    }

    async fn migrate(&self) -> Result<(), StartError> {
        let mut connection = self.pool.connect_alone().await?;
        store::migrate(&mut connection).await?;
        if let Err(error) = connection.close().await {
            debug!(error = error_chain(&error), "Failed to close a connection");
        }
        Ok(())
    }

    async fn has_schema(&self) -> Result<bool, StartError> {
        let mut connection = self.pool.connect_alone().await?;
        Ok(store::has_schema(&mut connection).await?)
    }

    pub(super) async fn close(&self) {
        if timeout(CLOSE_TIMEOUT, self.pool.close()).await.is_err() {
            warn!("Some database connections were still in use after {CLOSE_TIMEOUT:?}");
        }
        stop_embedded(self.embedded.as_deref()).await;
    }
}

fn address(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(directory) => format!("socket {}", directory.display()),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

async fn stop_embedded(embedded: Option<&EmbeddedPostgres>) {
    if let Some(postgres) = embedded
        && let Err(error) = postgres.stop().await
    {
        error!(error = error_chain(&error), "Failed to stop the embedded Postgres cleanly");
    }
}
