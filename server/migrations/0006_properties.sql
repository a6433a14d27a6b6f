-- What the runs found: one row for each property of a source, what changed in it, and which runs and
-- scheduled jobs have seen it.

create table property (
    source text not null,
    property_id text not null,
    -- SHA-256 over the fields that do not say when it was scraped.
    content_hash bytea not null,
    body jsonb not null,
    -- Where, and for which kind of listing, the last run that saw it found it. Empty if not known.
    location text not null,
    listing_type text not null,
    first_seen_at timestamptz not null,
    first_job_id text not null,
    -- Written by every run, so in no index: such updates stay within the page.
    last_seen_at timestamptz not null,
    last_job_id text not null,
    -- The first sight, or the last change.
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

-- What a run changed in a property that was there: [{"field", "old", "new"}], without "old" if the
-- field is new, without "new" if it is gone.
create table property_change (
    source text not null,
    property_id text not null,
    -- From 1: two runs may change a property at the same time, but one after the other.
    number bigint not null,
    job_id text not null references scraping_job,
    changed_at timestamptz not null,
    fields jsonb not null,
    primary key (source, property_id, number),
    foreign key (source, property_id) references property
);

-- Which properties a run has read: the first row of each counts, across batches and attempts. A run
-- has one source.
create table run_property (
    job_id text not null references scraping_job,
    property_id text not null,
    primary key (job_id, property_id)
);

-- Which properties the runs of a scheduled job have ever found.
create table scheduled_job_property (
    scheduled_job_id text not null references scheduled_job,
    source text not null,
    property_id text not null,
    primary key (scheduled_job_id, source, property_id)
);
