-- Results of runs: one row for each property of a source, its changes, and the runs and scheduled jobs
-- that have seen it.

create table property (
    source text not null,
    property_id text not null,
    -- SHA-256 over all fields except those that record the scrape time.
    content_hash bytea not null,
    body jsonb not null,
    -- Location and kind of listing in the last run that saw it; empty if unknown.
    location text not null,
    listing_type text not null,
    first_seen_at timestamptz not null,
    first_job_id text collate "C" not null,
    -- Updated by every run, and therefore not indexed: such updates stay within the page.
    last_seen_at timestamptz not null,
    last_job_id text collate "C" not null,
    -- Time of the last change, or of the first sight.
    changed_at timestamptz not null,
    -- Changes since the first sight.
    change_count bigint not null default 0,
    primary key (source, property_id),
    constraint property_times_are_in_order
        check (first_seen_at <= changed_at and changed_at <= last_seen_at),
    constraint property_listing_type_is_known
        check (listing_type in ('', 'for_sale', 'for_rent', 'sold', 'pending'))
) with (fillfactor = 85);

create index property_by_location on property (location, source, property_id);
create index property_by_change on property (changed_at, source, property_id);

-- Changes of a known property by a run: [{"field", "old", "new"}], without "old" if the field is new,
-- without "new" if it was removed.
create table property_change (
    source text not null,
    property_id text not null,
    -- Counts from 1; runs change a property one after the other, even at the same time of the clock.
    number bigint not null,
    job_id text collate "C" not null references scraping_job,
    changed_at timestamptz not null,
    fields jsonb not null,
    primary key (source, property_id, number),
    foreign key (source, property_id) references property
);

-- Properties that a run has read: the first row of each counts, across batches and attempts. A run has
-- one source.
create table run_property (
    job_id text collate "C" not null references scraping_job,
    property_id text not null,
    primary key (job_id, property_id)
);

-- Properties that runs of a scheduled job have ever found.
create table scheduled_job_property (
    scheduled_job_id text collate "C" not null references scheduled_job,
    source text not null,
    property_id text not null,
    primary key (scheduled_job_id, source, property_id)
);
