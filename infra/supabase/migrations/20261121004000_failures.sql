-- How jobs ended, by what they ran with; and what came of the fixes that people took.

-- One row an ending: a job that failed and is taken up again may end more than once.
create table job_endings (
    job_id uuid not null references training_jobs (id),
    attempt integer not null,
    team_id text not null,
    at timestamptz not null,
    outcome text not null check (outcome in ('completed', 'failed')),
    failure_code text check ((outcome = 'failed') = (failure_code is not null)),
    preset text not null,
    tier text not null,
    base_model text not null,
    batch_size integer not null,
    primary key (job_id, attempt)
);
create index job_endings_configuration on job_endings (team_id, preset, tier, base_model, batch_size);

-- What had ended before endings were kept.
insert into job_endings
select id, attempt, team_id, coalesce(ended_at, created_at), status,
    case when status = 'failed' then coalesce(progress -> 'failure' ->> 'code', 'unknown') end,
    preset, tier, base_model, (configuration -> 'hyperparameters' ->> 'batch_size')::integer
from training_jobs where status in ('completed', 'failed');

-- A suggested fix that somebody took. `retry_job_id` is the job that runs with it; `outcome` is set as that job ends.
create table retry_suggestions (
    id bigint generated always as identity primary key,
    team_id text not null,
    failed_job_id uuid not null references training_jobs (id),
    retry_job_id uuid not null references training_jobs (id),
    failure_code text not null,
    fix_key text not null,
    preset text not null,
    tier text not null,
    base_model text not null,
    batch_size integer not null,
    chosen_by text not null,
    chosen_at timestamptz not null,
    outcome text check (outcome in ('worked', 'failed', 'other')),
    unique (failed_job_id, retry_job_id, fix_key)
);
create index retry_suggestions_records on retry_suggestions (team_id, failure_code);
create index retry_suggestions_open on retry_suggestions (retry_job_id) where outcome is null;

alter table job_endings enable row level security;
alter table retry_suggestions enable row level security;

-- Whoever ends a job, a person's press, reconcile or a job's own word, keeps the ending and settles the fix.
select allow('brightrun_bot', 'select, insert', 'job_endings');
select allow('brightrun_bot', 'select, insert, update', 'retry_suggestions');
select allow('brightrun_functions', 'select, insert', 'job_endings');
select allow('brightrun_functions', 'select, update', 'retry_suggestions');
select allow('brightrun_ingest', 'select, insert', 'job_endings');
select allow('brightrun_ingest', 'select, update', 'retry_suggestions');
