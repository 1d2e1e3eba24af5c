-- Events that came in or were emitted, and who waits for them.

-- One row per event, never changed: the same source and id is the same event.
-- Serves `publish`, and `cloud_events` in the order of arrival.
create table cloud_event (
    sequence integer not null primary key autoincrement,
    source   text    not null,
    id       text    not null,
    body     text    not null,                      -- the whole event, as JSON
    sent_by  text    not null,
    at       text    not null,
    unique (source, id)
);

-- Open `listen` tasks, as the fold of their histories says; one row per type
-- they wait for. Serves `publish`: who gets an event of a type.
create table listener (
    type       text    not null,                    -- empty: any
    instance   text    not null references instance (id),
    path       text    not null,
    registered integer not null,                    -- revision of its `ListenStarted`
    primary key (type, instance, path)
) without rowid;

-- Serves `append`, which replaces the rows of its instance.
create index listener_instance on listener (instance);
