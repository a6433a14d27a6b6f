//! Properties, their changes, and the runs and jobs that have seen them. Slices are sorted by id, so that two
//! runs that write the same properties cannot deadlock.

mod list;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::StoreError;
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::property::FieldChange;

pub use self::list::{
    COUNT_LIMIT, properties_count, properties_list, property_changes_list, property_get,
};

/// One property of a batch.
#[derive(Clone, Debug)]
pub struct PropertyRow<'a> {
    /// The source's id.
    pub property_id: &'a str,
    /// Hash of the content.
    pub content_hash: Vec<u8>,
    pub body: &'a Map<String, Value>,
    pub location: &'a str,
    /// Kind of listing; empty if unknown.
    pub listing_type: &'static str,
}

/// A run that writes properties.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The source of all its properties.
    pub source: &'a str,
    pub run: &'a RunId,
    pub now: DateTime<Utc>,
}

/// Records properties as read by the run; returns the ids that it had not read before.
pub async fn run_properties_insert(
    conn: &mut PgConnection,
    run: &RunId,
    property_ids: &[&str],
) -> Result<Vec<String>, StoreError> {
    let new = sqlx::query_scalar!(
        r#"
        insert into run_property (job_id, property_id)
        select $1, n.property_id
        from unnest($2::text[]) as n (property_id)
        on conflict do nothing
        returning property_id
        "#,
        run.as_str(),
        property_ids as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(new)
}

/// Inserts new properties; returns their ids.
pub async fn properties_insert(
    conn: &mut PgConnection,
    writer: Writer<'_>,
    rows: &[PropertyRow<'_>],
) -> Result<Vec<String>, StoreError> {
    let columns = Columns::of(rows);
    let new = sqlx::query_scalar!(
        r#"
        insert into property (
            source, property_id, content_hash, body, location, listing_type, first_seen_at,
            first_job_id, last_seen_at, last_job_id, changed_at
        )
        select
            $1, n.property_id, n.content_hash, n.body, n.location, n.listing_type, $3, $2, $3, $2,
            $3
        from unnest($4::text[], $5::bytea[], $6::jsonb[], $7::text[], $8::text[])
            as n (property_id, content_hash, body, location, listing_type)
        on conflict do nothing
        returning property_id
        "#,
        writer.source,
        writer.run.as_str(),
        writer.now,
        &columns.ids as _,
        &columns.hashes as _,
        &columns.bodies as _,
        &columns.locations as _,
        &columns.listing_types as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(new)
}

/// Locks properties in the order of their ids; returns those that differ from `rows`, with their stored
/// content.
pub async fn properties_lock_changed(
    conn: &mut PgConnection,
    source: &str,
    rows: &[PropertyRow<'_>],
) -> Result<Vec<(String, Map<String, Value>)>, StoreError> {
    let columns = Columns::of(rows);
    let locked = sqlx::query!(
        r#"
        select
            p.property_id,
            case when p.content_hash <> n.content_hash then p.body end
                as "body: Json<Map<String, Value>>"
        from unnest($2::text[], $3::bytea[]) as n (property_id, content_hash)
        join property p on p.source = $1 and p.property_id = n.property_id
        order by p.property_id
        for no key update of p
        "#,
        source,
        &columns.ids as _,
        &columns.hashes as _,
    )
    .fetch_all(conn)
    .await?;
    let changed = |body: Json<Map<String, Value>>| body.0;
    Ok(locked
        .into_iter()
        .filter_map(|row| Some((row.property_id, row.body.map(changed)?)))
        .collect())
}

/// Records locked properties as seen.
pub async fn properties_seen(
    conn: &mut PgConnection,
    writer: Writer<'_>,
    rows: &[PropertyRow<'_>],
) -> Result<(), StoreError> {
    let columns = Columns::of(rows);
    sqlx::query!(
        r#"
        update property p
        set
            location = n.location,
            listing_type = n.listing_type,
            last_seen_at = greatest(p.last_seen_at, $3),
            last_job_id = $2
        from unnest($4::text[], $5::text[], $6::text[]) as n (property_id, location, listing_type)
        where p.source = $1
            and p.property_id = n.property_id
        "#,
        writer.source,
        writer.run.as_str(),
        writer.now,
        &columns.ids as _,
        &columns.locations as _,
        &columns.listing_types as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records locked properties as seen and replaces their bodies, which have no change of content.
pub async fn properties_refresh(
    conn: &mut PgConnection,
    writer: Writer<'_>,
    rows: &[PropertyRow<'_>],
) -> Result<(), StoreError> {
    let columns = Columns::of(rows);
    sqlx::query!(
        r#"
        update property p
        set
            content_hash = n.content_hash,
            body = n.body,
            location = n.location,
            listing_type = n.listing_type,
            last_seen_at = greatest(p.last_seen_at, $3),
            last_job_id = $2
        from unnest($4::text[], $5::bytea[], $6::jsonb[], $7::text[], $8::text[])
            as n (property_id, content_hash, body, location, listing_type)
        where p.source = $1
            and p.property_id = n.property_id
        "#,
        writer.source,
        writer.run.as_str(),
        writer.now,
        &columns.ids as _,
        &columns.hashes as _,
        &columns.bodies as _,
        &columns.locations as _,
        &columns.listing_types as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes the new content of locked properties and records their changes. `changes` are those of `rows`, in the
/// same order.
pub async fn properties_change(
    conn: &mut PgConnection,
    writer: Writer<'_>,
    rows: &[PropertyRow<'_>],
    changes: &[Vec<FieldChange>],
) -> Result<(), StoreError> {
    let columns = Columns::of(rows);
    let changes: Vec<Json<&[FieldChange]>> =
        changes.iter().map(|fields| Json(fields.as_slice())).collect();
    sqlx::query!(
        r#"
        with changed as (
            update property p
            set
                content_hash = n.content_hash,
                body = n.body,
                location = n.location,
                listing_type = n.listing_type,
                last_seen_at = greatest(p.last_seen_at, $3),
                last_job_id = $2,
                changed_at = greatest(p.changed_at, $3),
                change_count = p.change_count + 1
            from unnest($4::text[], $5::bytea[], $6::jsonb[], $7::text[], $8::text[], $9::jsonb[])
                as n (property_id, content_hash, body, location, listing_type, fields)
            where p.source = $1
                and p.property_id = n.property_id
            returning p.property_id, p.change_count, p.changed_at, n.fields
        )
        insert into property_change (source, property_id, number, job_id, changed_at, fields)
        select $1, property_id, change_count, $2, changed_at, fields
        from changed
        "#,
        writer.source,
        writer.run.as_str(),
        writer.now,
        &columns.ids as _,
        &columns.hashes as _,
        &columns.bodies as _,
        &columns.locations as _,
        &columns.listing_types as _,
        &changes as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records that a run of the scheduled job has found these properties.
pub async fn scheduled_job_properties_insert(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
    source: &str,
    rows: &[PropertyRow<'_>],
) -> Result<(), StoreError> {
    let ids: Vec<&str> = rows.iter().map(|row| row.property_id).collect();
    sqlx::query!(
        r#"
        insert into scheduled_job_property (scheduled_job_id, source, property_id)
        select $1, $2, n.property_id
        from unnest($3::text[]) as n (property_id)
        on conflict do nothing
        "#,
        job.as_str(),
        source,
        &ids as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Rows as arrays for `unnest`.
struct Columns<'a> {
    ids: Vec<&'a str>,
    hashes: Vec<&'a [u8]>,
    bodies: Vec<Json<&'a Map<String, Value>>>,
    locations: Vec<&'a str>,
    listing_types: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    fn of(rows: &'a [PropertyRow<'a>]) -> Self {
        Self {
            ids: rows.iter().map(|row| row.property_id).collect(),
            hashes: rows.iter().map(|row| row.content_hash.as_slice()).collect(),
            bodies: rows.iter().map(|row| Json(row.body)).collect(),
            locations: rows.iter().map(|row| row.location).collect(),
            listing_types: rows.iter().map(|row| row.listing_type).collect(),
        }
    }
}
