-- What lies between instances: children, and instances that are suspended.

-- The instance whose `run.workflow` started this one.
alter table instance add column parent text references instance (id);

-- Serves `instances` of one parent.
create index instance_parent on instance (parent, sequence)
where parent is not null;

-- 1: nothing new starts until somebody resumes it; `phase` still says what its owner has to do.
alter table instance add column suspended integer not null default 0;

-- Serves `definition_named`: the newest definition that ran under a name.
create index instance_definition_name on instance (definition_name, sequence);
