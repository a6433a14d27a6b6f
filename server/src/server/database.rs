//! The database: somebody's, by its URL, or the server's own.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tracing::{error, info, warn};
use windrow_embedded_postgres::{Durability, EmbeddedPostgres, Settings};

use super::StartError;
use crate::config::{Config, Database};
use crate::error_chain::error_chain;
use crate::store;

/// How long connections may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The database, and its server if that is ours.
pub(super) struct OpenDatabase {
    pub(super) pool: PgPool,
    pub(super) embedded: Option<Arc<EmbeddedPostgres>>,
}

impl OpenDatabase {
    pub(super) async fn open(config: &Config) -> Result<Self, StartError> {
        let (options, embedded) = match &config.database {
            Database::Url(url) => {
                (url.parse::<PgConnectOptions>().map_err(StartError::DatabaseUrl)?, None)
            }
            Database::Embedded { data_dir, postgres_bin_dir } => {
                let settings = Settings {
                    data_dir: data_dir.clone(),
                    bin_dir: postgres_bin_dir.clone(),
                    durability: Durability::Durable,
                };
                let postgres = EmbeddedPostgres::start(settings).await?;
                info!("The embedded database is in {}", postgres.data_dir().display());
                (postgres.connect_options(), Some(Arc::new(postgres)))
            }
        };
        match open_pool(options, config.max_connections).await {
            Ok(pool) => Ok(Self { pool, embedded }),
            Err(error) => {
                stop_embedded(embedded.as_deref()).await;
                Err(error)
            }
        }
    }

    pub(super) async fn close(&self) {
        if tokio::time::timeout(CLOSE_TIMEOUT, self.pool.close()).await.is_err() {
            warn!("Some database connections were still in use");
        }
        stop_embedded(self.embedded.as_deref()).await;
    }
}

async fn open_pool(options: PgConnectOptions, connections: u32) -> Result<PgPool, StartError> {
    let pool = store::connect(options, connections).await.map_err(StartError::Database)?;
    store::migrate(&pool).await?;
    Ok(pool)
}

async fn stop_embedded(embedded: Option<&EmbeddedPostgres>) {
    if let Some(postgres) = embedded
        && let Err(error) = postgres.stop().await
    {
        error!(error = error_chain(&error), "The embedded database did not stop cleanly");
    }
}
