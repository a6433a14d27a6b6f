-- What the runs found: one row for each property of a source, and who has read it already.

create table property (
    source text not null,
    property_id text not null,
    -- SHA-256 over the fields that do not say when it was scraped.
    content_hash bytea not null,
    body jsonb not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    -- The run that inserted or last updated it.
    job_id text not null,
    primary key (source, property_id)
);

-- Which properties a run has read: the first row of each counts, across batches and attempts. A run
-- has one source.
create table run_property (
    job_id text not null references scraping_job,
    property_id text not null,
    primary key (job_id, property_id)
);
