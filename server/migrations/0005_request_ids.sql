-- Request ids make creating calls safe to retry. They are retained for 7 days, separately from the
-- resources that the calls created.

create table request (
    principal text collate "C" not null,
    method text collate "C" not null,
    request_id text collate "C" not null,
    payload_hash bytea not null,
    -- The run or scheduled job that the first call created.
    made_id text not null,
    created_at timestamptz not null,
    primary key (principal, method, request_id)
);

-- For pruning. Calls are inserted in the order of time, so the summary of each range of pages is enough.
create index request_by_age on request using brin (created_at);
