-- What an instance is at a revision, so that whoever loads it reads only the
-- events after that. A cache: the history gives the same, and what another
-- version of the program kept is made anew.

-- Serves `snapshot`; `append` replaces it, in the transaction of the event it was made after.
create table snapshot (
    instance text    not null primary key references instance (id),
    revision integer not null,                      -- of that event
    hash     text    not null,                      -- of that event, in the log
    state    blob    not null
);
