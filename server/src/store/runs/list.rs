//! Lists of runs, and the runs of a bulk cancellation.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::SELECT;
use crate::domain::filter::RunFilter;
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::run::{Run, Status};
use crate::store::conditions::{
    Statement, push_accepted, push_equal, push_labels, push_length, push_period,
};
use crate::store::rows::RunRow;
use crate::store::{Budget, StoreError};

/// Totals are exact up to this number. Counting reads the runs, so it bounds the cost of a page.
pub const COUNT_LIMIT: i64 = 1_000;

/// Appends the conditions of a filter; a `where` precedes them.
fn push_conditions(sql: &mut Statement, filter: &RunFilter) {
    let RunFilter { scheduled_job_id, conditions } = filter;
    for job in [scheduled_job_id, &conditions.scheduled_job_id] {
        push_equal(sql, "scheduled_job_id", job.as_ref().map(ScheduledJobId::as_str));
    }
    if let Some(accepted) = &conditions.status {
        push_status(sql, accepted);
    }
    push_accepted(sql, "origin", conditions.origin.as_deref());
    push_accepted(sql, "priority", conditions.priority.as_deref());
    push_equal(sql, "source", conditions.source.as_deref());
    push_period(sql, "created_at", conditions.created);
    push_length(sql, "failed_locations", &conditions.failed_locations);
    push_labels(sql, "labels", &conditions.labels);
}

/// A statement about the runs that match. It reads the runs with a label, or the failed or cancelled ones with it, from
/// their index, without conditions that repeat these: the planner would count them twice, and expect too few runs. Also
/// returns the filter without these.
fn matching(selection: &str, filter: &RunFilter) -> (Statement, RunFilter) {
    let mut sql = Statement::new(selection);
    let mut others = filter.clone();
    match others.conditions.labels.equal.pop_first() {
        Some((key, value)) => {
            let ended_as = indexed_status(filter);
            if ended_as.is_some() {
                others.conditions.status = None;
            }
            // Every label has its run. An outer join, so that a count by label alone reads no runs.
            sql.push(" right join run_label using (job_id, created_at) where label = ");
            sql.push_bind(format!("{key}={value}"));
            sql.push(" and ended_as = ").push_bind(ended_as.map_or("", |status| status.into_str()));
        }
        None => {
            sql.push(" where true");
        }
    }
    push_conditions(&mut sql, &others);
    (sql, others)
}

/// The status that all matching runs have, if labels are indexed with it.
fn indexed_status(filter: &RunFilter) -> Option<Status> {
    match filter.conditions.status.as_deref() {
        Some([one @ (Status::Failed | Status::Cancelled)]) => Some(*one),
        _ => None,
    }
}

/// Accepts these statuses, each by the index that has it.
fn push_status(sql: &mut Statement, accepted: &[Status]) {
    let (ended, unfinished): (Vec<Status>, Vec<Status>) =
        accepted.iter().partition(|status| status.is_final());
    sql.push(" and (false");
    match ended.as_slice() {
        [] => {}
        // Unlike `any`, it finds the runs in the order of the index.
        [one] => {
            sql.push(" or final_status = ").push_bind(one.into_str());
        }
        _ => {
            let words: Vec<&str> = ended.into_iter().map(Into::into).collect();
            sql.push(" or final_status = any(").push_bind(words).push(")");
        }
    }
    if !unfinished.is_empty() {
        let words: Vec<&str> = unfinished.into_iter().map(Into::into).collect();
        // Not `in`: within an `or`, it would be a filter of all runs.
        sql.push(" or scraping_job.job_id = any(array(select job_id from unfinished_run where status = any(");
        sql.push_bind(words).push(")))");
    }
    sql.push(")");
}

/// Runs that match, newest first, up to a budget; with `after`, those older than it.
pub async fn runs_list(
    conn: &mut PgConnection,
    filter: &RunFilter,
    after: Option<&(DateTime<Utc>, RunId)>,
    limit: i64,
    budget: &mut Budget,
) -> Result<Vec<Run>, StoreError> {
    let (mut sql, others) = matching(&SELECT, filter);
    if let Some((created_at, id)) = after {
        sql.push(" and (created_at, job_id) < (").push_bind(created_at);
        sql.push(", ").push_bind(id.as_str()).push(")");
        if others.conditions.status.is_some() {
            // With a label, the condition above is one of the label's index only.
            sql.push(" and scraping_job.created_at <= ").push_bind(created_at);
        }
    }
    sql.push(" order by created_at desc, job_id desc limit ").push_bind(limit);
    budget
        .collect(sql.build_query_as::<RunRow>().persistent(false).fetch(conn), Run::try_from)
        .await
}

/// Number of runs that match on all pages, counted up to one more than [`COUNT_LIMIT`].
pub async fn runs_count(conn: &mut PgConnection, filter: &RunFilter) -> Result<i64, StoreError> {
    let (mut sql, _) = matching("select count(*) from (select from scraping_job", filter);
    if !filter.conditions.labels.equal.is_empty() {
        // By the index: the planner takes the runs with a label to be anywhere in the table, and could read all of it.
        sql.push(" order by created_at desc");
    }
    sql.push(" limit ").push_bind(COUNT_LIMIT + 1).push(") matching");
    Ok(sql.build_query_scalar().persistent(false).fetch_one(conn).await?)
}

/// Ids after `after` of the runs that match, were created up to `now` and can be cancelled.
pub async fn runs_to_cancel(
    conn: &mut PgConnection,
    filter: &RunFilter,
    after: &str,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<RunId>, StoreError> {
    let mut sql = Statement::new(
        "select job_id \
         from scraping_job \
         where job_id in (select job_id from unfinished_run) \
            and cancel_requested_at is null \
            and job_id > ",
    );
    sql.push_bind(after).push(" and created_at <= ").push_bind(now);
    push_conditions(&mut sql, filter);
    sql.push(" order by job_id limit ").push_bind(limit);
    let ids: Vec<String> = sql.build_query_scalar().persistent(false).fetch_all(conn).await?;
    Ok(ids.iter().filter_map(|id| RunId::parse(id).ok()).collect())
}
