-- Waits for a GPU: the open one of a job says when it is tried next, the ended ones how long it takes.
create table gpu_waits (
    id bigint generated always as identity primary key,
    job_id uuid not null references training_jobs (id),
    team_id text not null,
    tier text not null,
    reason text not null default '',
    since timestamptz not null,
    tries integer not null default 1 check (tries > 0),
    next_try_at timestamptz not null,
    gives_up_at timestamptz not null,
    ended_at timestamptz,
    outcome text check (outcome in ('served', 'given_up')),
    check ((ended_at is null) = (outcome is null))
);
create unique index gpu_waits_open on gpu_waits (job_id) where ended_at is null;
create index gpu_waits_served on gpu_waits (tier, ended_at desc) where outcome = 'served';
alter table gpu_waits enable row level security;

-- Reconcile waits; a wait also ends with its job, whoever ends that.
select allow('brightrun_bot', 'select, update', 'gpu_waits');
select allow('brightrun_functions', 'select, insert, update', 'gpu_waits');
select allow('brightrun_ingest', 'select, update', 'gpu_waits');
