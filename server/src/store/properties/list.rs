//! Properties as they are read.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::property::{FieldChange, Property, PropertyChange, PropertyFilter};
use crate::store::StoreError;
use crate::store::runs::COUNT_LIMIT;

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
            body: row.body.0,
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

/// Runs a query over the matching properties in their order. Each link has a statement of its own, which
/// reads its index from where the page begins; one statement for all would read everything before.
macro_rules! matching {
    ($query:ident, $conn:expr, $filter:expr, $limit:expr) => {{
        let f: &PropertyFilter = $filter;
        let (job, run) = (f.scheduled_job_id.as_ref(), f.job_id.as_ref());
        match (job.map(ScheduledJobId::as_str), run.map(RunId::as_str)) {
            (_, Some(run)) => $query!(
                r#"
                from run_property l
                join property p on p.source = $2 and p.property_id = l.property_id
                where l.job_id = $1
                    and ($2, l.property_id) > ($6, $7)
                "#,
                "order by l.property_id",
                $conn,
                run,
                f,
                $limit
            ),
            (Some(job), None) => $query!(
                r#"
                from scheduled_job_property l
                join property p using (source, property_id)
                where l.scheduled_job_id = $1
                    and (l.source, l.property_id) > ($6, $7)
                "#,
                "order by l.source, l.property_id",
                $conn,
                job,
                f,
                $limit
            ),
            (None, None) => $query!(
                r#"
                from property p
                where $1 = ''
                    and (p.source, p.property_id) > ($6, $7)
                "#,
                "order by p.source, p.property_id",
                $conn,
                "",
                f,
                $limit
            ),
        }
    }};
}

/// The rows of a page.
macro_rules! page {
    ($tail:literal, $order:literal, $conn:expr, $link:expr, $filter:expr, $limit:expr) => {
        sqlx::query_as!(
            Row,
            r#"
            select
                p.source, p.property_id, p.body as "body: Json<Map<String, Value>>", p.location,
                p.listing_type, p.first_seen_at, p.first_job_id, p.last_seen_at, p.last_job_id,
                p.changed_at, p.change_count
            "#
                + $tail
                + r#"
                and ($2::text is null or p.source = $2)
                and ($3::text is null or p.location = $3)
                and ($4::text is null or p.listing_type = $4)
                and ($5::timestamptz is null or p.changed_at >= $5)
            "#
                + $order
                + " limit $8",
            $link,
            $filter.source.as_deref(),
            $filter.location.as_deref(),
            $filter.listing_type.map(<&str>::from),
            $filter.changed_since,
            $filter.after.as_ref().map_or("", |(source, _)| source.as_str()),
            $filter.after.as_ref().map_or("", |(_, id)| id.as_str()),
            $limit,
        )
        .fetch_all($conn)
        .await?
    };
}

/// Their number up to a limit, as the only row.
macro_rules! number {
    ($tail:literal, $order:literal, $conn:expr, $link:expr, $filter:expr, $limit:expr) => {
        sqlx::query_scalar!(
            r#"select count(*) as "count!" from (select 1"#
                + $tail
                + r#"
                and ($2::text is null or p.source = $2)
                and ($3::text is null or p.location = $3)
                and ($4::text is null or p.listing_type = $4)
                and ($5::timestamptz is null or p.changed_at >= $5)
            limit $8) matching
            "#,
            $link,
            $filter.source.as_deref(),
            $filter.location.as_deref(),
            $filter.listing_type.map(<&str>::from),
            $filter.changed_since,
            "",
            "",
            $limit,
        )
        .fetch_one($conn)
        .await?
    };
}

/// A page of properties by source and id.
pub async fn properties_list(
    conn: &mut PgConnection,
    filter: &PropertyFilter,
    limit: i64,
) -> Result<Vec<Property>, StoreError> {
    let rows = matching!(page, conn, filter, limit);
    Ok(rows.into_iter().map(Property::from).collect())
}

/// How many properties match, counted up to one more than [`COUNT_LIMIT`].
pub async fn properties_count(
    conn: &mut PgConnection,
    filter: &PropertyFilter,
) -> Result<i64, StoreError> {
    Ok(matching!(number, conn, filter, COUNT_LIMIT + 1))
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

/// The newest changes of a property.
pub async fn property_changes_list(
    conn: &mut PgConnection,
    source: &str,
    property_id: &str,
    limit: i64,
) -> Result<Vec<PropertyChange>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select job_id, changed_at, fields as "fields: Json<Vec<FieldChange>>"
        from property_change
        where source = $1
            and property_id = $2
        order by number desc
        limit $3
        "#,
        source,
        property_id,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let change = |job_id, changed_at, fields: Json<Vec<FieldChange>>| PropertyChange {
        job_id,
        changed_at,
        fields: fields.0,
    };
    Ok(rows.into_iter().map(|row| change(row.job_id, row.changed_at, row.fields)).collect())
}
