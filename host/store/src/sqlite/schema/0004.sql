-- Where the schedules of definitions stand. What was started is in the
-- instances: their ids follow from definition, trigger and cause.

-- Serves `schedule` and `keep_schedule`.
create table schedule (
    definition    text    not null,
    trigger       text    not null check (trigger in ('every', 'cron', 'after', 'on')),
    first_seen    text    not null,                 -- `every` counts from here
    last_due      text,                             -- the latest due time that was started
    last_instance text,                             -- of `after`: the one whose end is waited for
    read          integer not null,                 -- of `on`: events up to this one are taken up
    windows       text    not null,                 -- of `on`: events for instances that do not start yet
    primary key (definition, trigger)
) without rowid;
