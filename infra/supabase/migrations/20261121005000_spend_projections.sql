-- What a running job was projected to cost at a few points of its way, kept to see how such projections did.

create table spend_projections (
    job_id uuid not null references training_jobs (id),
    team_id text not null,
    -- Percent of the work that was done.
    progress integer not null check (progress between 1 and 99),
    at timestamptz not null,
    spent_cents bigint not null check (spent_cents >= 0),
    best_cents bigint not null,
    expected_cents bigint not null,
    worst_cents bigint not null,
    primary key (job_id, progress),
    check (spent_cents <= best_cents and best_cents <= expected_cents and expected_cents <= worst_cents)
);
create index spend_projections_team on spend_projections (team_id, progress, at desc);
alter table spend_projections enable row level security;

-- What estimates learn from: a team's completed jobs, the newest first.
create index training_jobs_history on training_jobs (team_id, ended_at desc) where status = 'completed';

-- How often a job's machine was lost, and the seconds from each loss to the moment it went on.
create view job_interruptions with (security_invoker = true) as
select
    j.id as job_id,
    count(i) as interruptions,
    count(i) filter (where i ->> 'resumed_at' is not null) as recoveries,
    greatest(0, coalesce(sum(extract(epoch from (i ->> 'resumed_at')::timestamptz - (i ->> 'at')::timestamptz)), 0))::float8
        as lost_seconds
from training_jobs j left join lateral jsonb_array_elements(j.progress -> 'interruptions') as i on true
group by j.id;

select allow('brightrun_bot', 'select', 'spend_projections');
select allow('brightrun_functions', 'select, insert', 'spend_projections');
select allow('brightrun_ingest', 'select, insert', 'spend_projections');
grant select on job_interruptions to brightrun_bot, brightrun_functions, brightrun_ingest;
