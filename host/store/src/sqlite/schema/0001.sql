-- The first schema. Times are UTC text of fixed width, so that they sort; the
-- event table is the truth, and every other row can be made again from it
-- except leases, messages and the names of artifacts.

-- A definition's source by digest. Serves the owner that resumes an instance.
create table definition (
    digest text not null primary key,
    source text not null
) without rowid;

-- Who may append to the instances of a shard. Rows are made once, never added.
create table shard (
    id    integer not null primary key,
    owner text,                           -- null: nobody
    fence integer not null default 0,     -- raised by each claim
    until text                            -- the lease is free from then on
);

with recursive number (n) as (select 0 union all select n + 1 from number where n < 15)
insert into shard (id)
select n
from number;

-- One row per instance: the fold of its history, as far as queries need it.
create table instance (
    sequence        integer not null primary key,   -- order of creation
    id              text    not null unique,
    idempotency_key text    unique,
    request_digest  text    not null,
    release_id      text,
    definition      text    not null references definition,
    definition_name text    not null,
    shard           integer not null references shard,
    phase           text    not null
        check (phase in ('pending', 'running', 'waiting', 'completed', 'faulted', 'cancelled')),
    revision        integer not null,
    wake_at         text,                           -- the earliest timer
    created_at      text    not null,
    updated_at      text    not null
);

-- Serves `start_instance`: a release runs once at a time.
create unique index instance_release_running on instance (release_id)
where release_id is not null and phase in ('pending', 'running', 'waiting');

-- Serves `instances` with a release.
create index instance_release on instance (release_id, sequence)
where release_id is not null;

-- Serves `ready`: what its owner must work on.
create index instance_running on instance (shard, sequence)
where phase in ('pending', 'running');

-- Serves `ready` and `next_wake`: timers, the earliest first.
create index instance_timer on instance (wake_at, shard)
where wake_at is not null and phase in ('pending', 'running', 'waiting');

-- The history of every instance, and the log of the whole store in one order.
create table event (
    leaf     integer not null primary key,          -- place in the log, from 0 without gaps
    instance text    not null references instance (id),
    revision integer not null check (revision >= 1),
    at       text    not null,
    body     text    not null,                      -- canonical JSON
    hash     text    not null,                      -- over the previous hash and this leaf
    kind     text    generated always as (body ->> '$.type') virtual,
    path     text    generated always as (body ->> '$.path') virtual
);

-- Serves `history`, and makes a second event with the same revision impossible.
create unique index event_history on event (instance, revision);

create trigger event_is_never_changed before update on event
begin
    select raise(abort, 'an event is never changed');
end;

create trigger event_is_never_removed before delete on event
begin
    select raise(abort, 'an event is never removed');
end;

-- The signed length and last hash of the log; one row, replaced with each commit.
create table checkpoint (
    id         integer not null primary key check (id = 1),
    size       integer not null,
    hash       text    not null,
    public_key text    not null,
    signature  text    not null
);

-- One row per attempt; updated, never deleted. Serves `attempts`.
create table attempt (
    instance     text    not null references instance (id),
    path         text    not null,
    attempt      integer not null check (attempt >= 1),
    effect       text    not null,
    class        text    not null,
    started_at   text    not null,
    completed_at text,                              -- null: nobody has reported its outcome
    outcome      text,
    primary key (instance, path, attempt)
) without rowid;

-- One row per question, the latest asked at its path. Serves people's inboxes.
create table human_task (
    id        text not null primary key,
    instance  text not null references instance (id),
    path      text not null,
    question  text not null,
    asked_at  text not null,
    decision  text,                                 -- left for the owner, or taken up
    closed_at text                                  -- the history has the answer, or needs none
) without rowid;

-- Serves `human_tasks` of one instance.
create index human_task_instance on human_task (instance);

-- Serves `human_tasks` that are open, the oldest first.
create index human_task_open on human_task (asked_at, id)
where decision is null and closed_at is null;

-- What others leave for an owner; removed when an append takes it up.
create table inbox (
    id       integer not null primary key autoincrement,
    instance text    not null references instance (id),
    message  text    not null
);

-- Serves `inbox` and `ready`.
create index inbox_instance on inbox (instance);

-- Names of stored files; the bytes lie below `artifacts/` by digest.
create table artifact (
    uri        text    not null primary key,
    instance   text    not null references instance (id),
    digest     text    not null,
    size_bytes integer not null,
    media_type text    not null,
    created_at text    not null
) without rowid;

-- Serves `artifacts` of one instance.
create index artifact_instance on artifact (instance);
