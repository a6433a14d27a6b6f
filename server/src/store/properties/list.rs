//! Properties as they are read.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::numbers::{restored, restored_changes};
use crate::domain::property::{FieldChange, Property, PropertyChange, PropertyFilter};
use crate::store::conditions::{Statement, push_equal};
use crate::store::{Budget, StoreError};

/// Totals are exact up to this number.
pub const COUNT_LIMIT: i64 = 10_000;

#[derive(sqlx::FromRow)]
struct Row {
    source: String,
    property_id: String,
    body: Json<Map<String, Value>>,
    location: String,
    listing_type: String,
    first_seen_at: DateTime<Utc>,
    first_job_id: String,
    last_seen_at: DateTime<Utc>,
    last_job_id: String,
    changed_at: DateTime<Utc>,
    change_count: i64,
}

impl From<Row> for Property {
    fn from(row: Row) -> Self {
        Self {
            source: row.source,
            property_id: row.property_id,
            body: restored(row.body.0),
            location: row.location,
            listing_type: row.listing_type.parse().ok(),
            first_seen_at: row.first_seen_at,
            first_job_id: row.first_job_id,
            last_seen_at: row.last_seen_at,
            last_job_id: row.last_job_id,
            changed_at: row.changed_at,
            change_count: row.change_count,
        }
    }
}

const COLUMNS: &str = "p.source, p.property_id, p.body, p.location, p.listing_type, \
                       p.first_seen_at, p.first_job_id, p.last_seen_at, p.last_job_id, \
                       p.changed_at, p.change_count";

/// Appends the tables and the conditions of a filter, and returns the columns that order the list.
/// They are the columns of an index on the table that the filter is about, so that a page is read from
/// its own beginning and not from that of the list.
fn push_matching(sql: &mut Statement, filter: &PropertyFilter) -> &'static [&'static str] {
    let order = match (&filter.scheduled_job_id, &filter.job_id) {
        (_, Some(run)) => {
            sql.push(
                " from run_property l \
                 join property p on p.property_id = l.property_id \
                 where l.job_id = ",
            );
            sql.push_bind(run.as_str());
            // A run has one source.
            &["l.property_id"][..]
        }
        (Some(job), None) => {
            sql.push(
                " from scheduled_job_property l \
                 join property p using (source, property_id) \
                 where l.scheduled_job_id = ",
            );
            sql.push_bind(job.as_str());
            &["l.source", "l.property_id"]
        }
        (None, None) => {
            sql.push(" from property p where true");
            &["p.source", "p.property_id"]
        }
    };
    push_equal(sql, "p.source", filter.source.as_deref());
    push_equal(sql, "p.location", filter.location.as_deref());
    push_equal(sql, "p.listing_type", filter.listing_type.map(<&str>::from));
    if let Some(since) = filter.changed_since {
        sql.push(" and p.changed_at >= ").push_bind(since);
    }
    order
}

/// Properties that match, by source and id, up to a budget.
pub async fn properties_list(
    conn: &mut PgConnection,
    filter: &PropertyFilter,
    limit: i64,
    budget: &mut Budget,
) -> Result<Vec<Property>, StoreError> {
    let mut sql = Statement::new("select ");
    sql.push(COLUMNS);
    let columns = push_matching(&mut sql, filter);
    let order = columns.join(", ");
    if let Some((source, id)) = &filter.after {
        sql.push(" and (").push(&order).push(") > (");
        let mut values = sql.separated(", ");
        for value in [source, id].into_iter().skip(2 - columns.len()) {
            values.push_bind(value);
        }
        sql.push(")");
    }
    sql.push(" order by ").push(&order);
    sql.push(" limit ").push_bind(limit);
    let rows = sql.build_query_as::<Row>().persistent(false).fetch(conn);
    budget.collect(rows, |row| Ok(Property::from(row))).await
}

/// Number of properties that match on all pages, counted up to one more than [`COUNT_LIMIT`].
pub async fn properties_count(
    conn: &mut PgConnection,
    filter: &PropertyFilter,
) -> Result<i64, StoreError> {
    let mut sql = Statement::new("select count(*) from (select");
    push_matching(&mut sql, filter);
    sql.push(" limit ").push_bind(COUNT_LIMIT + 1).push(") matching");
    Ok(sql.build_query_scalar().persistent(false).fetch_one(conn).await?)
}

pub async fn property_get(
    conn: &mut PgConnection,
    source: &str,
    property_id: &str,
) -> Result<Option<Property>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        r#"
        select
            source, property_id, body as "body: Json<Map<String, Value>>", location, listing_type,
            first_seen_at, first_job_id, last_seen_at, last_job_id, changed_at, change_count
        from property
        where source = $1
            and property_id = $2
        "#,
        source,
        property_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Property::from))
}

/// The newest changes of a property, up to a budget; with `before`, those with a lower number.
pub async fn property_changes_list(
    conn: &mut PgConnection,
    property: &Property,
    before: Option<i64>,
    limit: i64,
    budget: &mut Budget,
) -> Result<Vec<PropertyChange>, StoreError> {
    let rows = sqlx::query_as!(
        ChangeRow,
        r#"
        select number, job_id, changed_at, fields as "fields: Json<Vec<FieldChange>>"
        from property_change
        where source = $1
            and property_id = $2
            and ($3::bigint is null or number < $3)
        order by number desc
        limit $4
        "#,
        property.source,
        property.property_id,
        before,
        limit,
    )
    .fetch(conn);
    budget.collect(rows, |row| Ok(PropertyChange::from(row))).await
}

struct ChangeRow {
    number: i64,
    job_id: String,
    changed_at: DateTime<Utc>,
    fields: Json<Vec<FieldChange>>,
}

impl From<ChangeRow> for PropertyChange {
    fn from(ChangeRow { number, job_id, changed_at, fields }: ChangeRow) -> Self {
        Self { number, job_id, changed_at, fields: restored_changes(fields.0) }
    }
}
