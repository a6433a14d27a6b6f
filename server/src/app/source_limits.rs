//! Limits of sources, on which all servers of a database agree: the lowest limit that one of them sets holds on all.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;

use super::{App, AppError};
use crate::store::servers::{self, SourceLimits};

/// A server that was not seen for this long has no say.
const SERVER_LOST_AFTER: TimeDelta = TimeDelta::seconds(60);

/// Different limits of servers for one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    pub source: String,
    /// By server; `None` is no limit.
    pub limits: BTreeMap<String, Option<i64>>,
}

impl App {
    /// Tells the other servers the limits of this one and takes theirs into account; returns the sources for which
    /// they differ. Limits of other servers hold here from the next call on.
    pub async fn share_source_limits(&self) -> Result<Vec<Disagreement>, AppError> {
        let now = self.now();
        let own = |source: &String| (source.clone(), self.own_source_limits.get(source).copied());
        let own: SourceLimits = self.sources.names.iter().map(own).collect();
        let mut conn = self.acquire().await?;
        servers::server_seen(&mut conn, &self.server, &own, now).await?;
        let all = servers::servers_limits(&mut conn, now - SERVER_LOST_AFTER).await?;
        let by_source = by_source(all);
        let lowest = by_source.iter().filter_map(|(source, limits)| {
            let limits = limits.values().copied().flatten();
            Some((source.clone(), limits.min()?))
        });
        self.source_limits.send_replace(Arc::new(lowest.collect()));
        let differ = |limits: &BTreeMap<String, Option<i64>>| {
            limits.values().any(|limit| Some(limit) != limits.values().next())
        };
        let different = by_source.into_iter().filter(|(_, limits)| differ(limits));
        Ok(different.map(|(source, limits)| Disagreement { source, limits }).collect())
    }

    /// Ends the say of this server, which stops.
    pub async fn forget_server(&self) -> Result<(), AppError> {
        Ok(servers::server_delete(&mut *self.acquire().await?, &self.server).await?)
    }

    /// The limits of all servers together.
    pub(super) fn source_limits(&self) -> Arc<BTreeMap<String, i64>> {
        Arc::clone(&self.source_limits.borrow())
    }
}

/// The limits of each source, by server.
fn by_source(
    servers: BTreeMap<String, SourceLimits>,
) -> BTreeMap<String, BTreeMap<String, Option<i64>>> {
    let mut by_source: BTreeMap<String, BTreeMap<String, Option<i64>>> = BTreeMap::new();
    for (server, limits) in servers {
        for (source, limit) in limits {
            by_source.entry(source).or_default().insert(server.clone(), limit);
        }
    }
    by_source
}
