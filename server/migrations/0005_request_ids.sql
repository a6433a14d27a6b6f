-- Request ids make calls that create something safe to retry. They are kept apart from what they
-- made, for 7 days.

create table request (
    principal text not null,
    method text not null,
    request_id text not null,
    payload_hash bytea not null,
    -- What the first call made: a run or a scheduled job.
    made_id text not null,
    created_at timestamptz not null,
    primary key (principal, method, request_id)
);

create index request_by_age on request (created_at);
