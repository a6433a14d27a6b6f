//! Properties, their changes, and the runs and jobs that have seen them. Slices have the properties of any runs and
//! sources, each property once, in the order of [`PropertyRow::key`], so that two transactions that write the same
//! properties cannot deadlock.

mod list;
mod numbers;

use std::collections::{BTreeMap, BTreeSet};

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

/// Source and ID of a property.
pub type PropertyKey = (String, String);

/// One property of a batch, and the run that writes it.
#[derive(Clone, Debug)]
pub struct PropertyRow<'a> {
    pub source: &'a str,
    /// The source's id.
    pub property_id: &'a str,
    pub run: &'a RunId,
    /// The scheduled job of the run.
    pub job: Option<&'a ScheduledJobId>,
    /// Hash of the content.
    pub content_hash: Vec<u8>,
    pub body: &'a Map<String, Value>,
    pub location: &'a str,
    /// Kind of listing; empty if unknown.
    pub listing_type: &'static str,
}

impl<'a> PropertyRow<'a> {
    pub fn key(&self) -> (&'a str, &'a str) {
        (self.source, self.property_id)
    }

    pub fn owned_key(&self) -> PropertyKey {
        (self.source.to_owned(), self.property_id.to_owned())
    }
}

/// Records properties as read by their runs; returns run and id of those that the run had not read before.
pub async fn run_properties_insert(
    conn: &mut PgConnection,
    rows: &[PropertyRow<'_>],
) -> Result<BTreeSet<(String, String)>, StoreError> {
    let columns = Columns::of(rows);
    let new = sqlx::query!(
        r#"
        insert into run_property (job_id, property_id)
        select n.job_id, n.property_id
        from unnest($1::text[], $2::text[]) as n (job_id, property_id)
        on conflict do nothing
        returning job_id, property_id
        "#,
        &columns.runs as _,
        &columns.ids as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(new.into_iter().map(|row| (row.job_id, row.property_id)).collect())
}

/// Inserts new properties; returns their keys.
pub async fn properties_insert(
    conn: &mut PgConnection,
    rows: &[PropertyRow<'_>],
    now: DateTime<Utc>,
) -> Result<BTreeSet<PropertyKey>, StoreError> {
    let columns = Columns::of(rows);
    let new = sqlx::query!(
        r#"
        insert into property (
            source, property_id, content_hash, body, location, listing_type, first_seen_at,
            first_job_id, last_seen_at, last_job_id, changed_at
        )
        select
            n.source, n.property_id, n.content_hash, n.body, n.location, n.listing_type, $1, n.job_id, $1,
            n.job_id, $1
        from unnest(
            $2::text[], $3::text[], $4::text[], $5::bytea[], $6::jsonb[], $7::text[], $8::text[]
        ) as n (source, property_id, job_id, content_hash, body, location, listing_type)
        on conflict do nothing
        returning source, property_id
        "#,
        now,
        &columns.sources as _,
        &columns.ids as _,
        &columns.runs as _,
        &columns.hashes as _,
        &columns.bodies as _,
        &columns.locations as _,
        &columns.listing_types as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(new.into_iter().map(|row| (row.source, row.property_id)).collect())
}

/// Locks properties in the order of their keys; returns those that differ from `rows`, with their stored
/// content.
pub async fn properties_lock_changed(
    conn: &mut PgConnection,
    rows: &[PropertyRow<'_>],
) -> Result<BTreeMap<PropertyKey, Map<String, Value>>, StoreError> {
    let columns = Columns::of(rows);
    let locked = sqlx::query!(
        r#"
        select
            p.source,
            p.property_id,
            case when p.content_hash <> n.content_hash then p.body end
                as "body: Json<Map<String, Value>>"
        from unnest($1::text[], $2::text[], $3::bytea[]) as n (source, property_id, content_hash)
        join property p on p.source = n.source and p.property_id = n.property_id
        order by p.source, p.property_id
        for no key update of p
        "#,
        &columns.sources as _,
        &columns.ids as _,
        &columns.hashes as _,
    )
    .fetch_all(conn)
    .await?;
    let changed = locked.into_iter().filter_map(|row| {
        let body: Json<Map<String, Value>> = row.body?;
        Some(((row.source, row.property_id), numbers::restored(body.0)))
    });
    Ok(changed.collect())
}

/// Records locked properties as seen.
pub async fn properties_seen(
    conn: &mut PgConnection,
    rows: &[PropertyRow<'_>],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let columns = Columns::of(rows);
    sqlx::query!(
        r#"
        update property p
        set
            location = n.location,
            listing_type = n.listing_type,
            last_seen_at = greatest(p.last_seen_at, $1),
            last_job_id = n.job_id
        from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
            as n (source, property_id, job_id, location, listing_type)
        where p.source = n.source
            and p.property_id = n.property_id
        "#,
        now,
        &columns.sources as _,
        &columns.ids as _,
        &columns.runs as _,
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
    rows: &[PropertyRow<'_>],
    now: DateTime<Utc>,
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
            last_seen_at = greatest(p.last_seen_at, $1),
            last_job_id = n.job_id
        from unnest(
            $2::text[], $3::text[], $4::text[], $5::bytea[], $6::jsonb[], $7::text[], $8::text[]
        ) as n (source, property_id, job_id, content_hash, body, location, listing_type)
        where p.source = n.source
            and p.property_id = n.property_id
        "#,
        now,
        &columns.sources as _,
        &columns.ids as _,
        &columns.runs as _,
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
    rows: &[PropertyRow<'_>],
    changes: &[Vec<FieldChange>],
    now: DateTime<Utc>,
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
                last_seen_at = greatest(p.last_seen_at, $1),
                last_job_id = n.job_id,
                changed_at = greatest(p.changed_at, $1),
                change_count = p.change_count + 1
            from unnest(
                $2::text[], $3::text[], $4::text[], $5::bytea[], $6::jsonb[], $7::text[], $8::text[], $9::jsonb[]
            ) as n (source, property_id, job_id, content_hash, body, location, listing_type, fields)
            where p.source = n.source
                and p.property_id = n.property_id
            returning p.source, p.property_id, p.change_count, n.job_id, p.changed_at, n.fields
        )
        insert into property_change (source, property_id, number, job_id, changed_at, fields)
        select source, property_id, change_count, job_id, changed_at, fields
        from changed
        "#,
        now,
        &columns.sources as _,
        &columns.ids as _,
        &columns.runs as _,
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

/// Records that runs of scheduled jobs have found these properties.
pub async fn scheduled_job_properties_insert(
    conn: &mut PgConnection,
    rows: &[PropertyRow<'_>],
) -> Result<(), StoreError> {
    let columns = Columns::of(rows);
    let jobs: Vec<Option<&str>> =
        rows.iter().map(|row| row.job.map(ScheduledJobId::as_str)).collect();
    if jobs.iter().all(Option::is_none) {
        return Ok(());
    }
    sqlx::query!(
        r#"
        insert into scheduled_job_property (scheduled_job_id, source, property_id)
        select n.scheduled_job_id, n.source, n.property_id
        from unnest($1::text[], $2::text[], $3::text[]) as n (scheduled_job_id, source, property_id)
        where n.scheduled_job_id is not null
        on conflict do nothing
        "#,
        &jobs as _,
        &columns.sources as _,
        &columns.ids as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Rows as arrays for `unnest`.
struct Columns<'a> {
    sources: Vec<&'a str>,
    ids: Vec<&'a str>,
    runs: Vec<&'a str>,
    hashes: Vec<&'a [u8]>,
    bodies: Vec<Json<&'a Map<String, Value>>>,
    locations: Vec<&'a str>,
    listing_types: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    fn of(rows: &'a [PropertyRow<'a>]) -> Self {
        Self {
            sources: rows.iter().map(|row| row.source).collect(),
            ids: rows.iter().map(|row| row.property_id).collect(),
            runs: rows.iter().map(|row| row.run.as_str()).collect(),
            hashes: rows.iter().map(|row| row.content_hash.as_slice()).collect(),
            bodies: rows.iter().map(|row| Json(row.body)).collect(),
            locations: rows.iter().map(|row| row.location).collect(),
            listing_types: rows.iter().map(|row| row.listing_type).collect(),
        }
    }
}
