-- Stopping, pausing, queueing and trying again; and the one table of legal transitions, in force for everybody.

alter table training_jobs
    -- What a person asked for while the job ran: {"kind": "cancel" | "pause", "by", "at", "reason", "notes"}.
    add column stop jsonb,
    add column paused_at timestamptz,
    add column paused_seconds double precision not null default 0,
    add column promoted_at timestamptz,
    -- What earlier price tiers of this job have cost, and the seconds that this is for.
    add column cents_before bigint not null default 0,
    add column seconds_before double precision not null default 0,
    add column parent_id uuid references training_jobs (id),
    add column lineage text not null default '' check (lineage in ('', 'retry', 'resume')),
    add column retry_number integer not null default 0,
    add column resume_step integer,
    add constraint training_jobs_lineage check ((parent_id is null) = (lineage = ''));
create index training_jobs_parent on training_jobs (parent_id) where parent_id is not null;

-- The same table as functions/model/states.py; a test compares them.
create table job_transitions (
    before text not null,
    after text not null,
    primary key (before, after)
);
alter table job_transitions enable row level security;

insert into job_transitions (before, after) values
    ('pending_configuration', 'queued'), ('pending_configuration', 'cancelled'),
    ('queued', 'provisioning'), ('queued', 'queued_waiting_for_gpu'), ('queued', 'failed'), ('queued', 'cancelled'),
    ('queued_waiting_for_gpu', 'provisioning'), ('queued_waiting_for_gpu', 'queued'),
    ('queued_waiting_for_gpu', 'failed'), ('queued_waiting_for_gpu', 'cancelled'),
    ('provisioning', 'preprocessing'), ('provisioning', 'queued_waiting_for_gpu'), ('provisioning', 'failed'),
    ('provisioning', 'cancelled'), ('provisioning', 'interrupted'), ('provisioning', 'paused'),
    ('preprocessing', 'loading_model'), ('preprocessing', 'failed'), ('preprocessing', 'cancelled'),
    ('preprocessing', 'interrupted'), ('preprocessing', 'paused'),
    ('loading_model', 'training'), ('loading_model', 'finalizing'), ('loading_model', 'failed'),
    ('loading_model', 'cancelled'), ('loading_model', 'interrupted'), ('loading_model', 'paused'),
    ('training', 'finalizing'), ('training', 'evaluating'), ('training', 'failed'), ('training', 'cancelled'),
    ('training', 'interrupted'), ('training', 'paused'),
    ('interrupted', 'recovering'), ('interrupted', 'paused'), ('interrupted', 'failed'), ('interrupted', 'cancelled'),
    ('recovering', 'preprocessing'), ('recovering', 'loading_model'), ('recovering', 'training'),
    ('recovering', 'finalizing'), ('recovering', 'failed'), ('recovering', 'cancelled'),
    ('recovering', 'interrupted'), ('recovering', 'paused'), ('recovering', 'queued_waiting_for_gpu'),
    ('finalizing', 'evaluating'), ('finalizing', 'completed'), ('finalizing', 'failed'), ('finalizing', 'cancelled'),
    ('finalizing', 'interrupted'), ('finalizing', 'paused'),
    ('evaluating', 'finalizing'), ('evaluating', 'completed'), ('evaluating', 'failed'), ('evaluating', 'cancelled'),
    ('evaluating', 'interrupted'), ('evaluating', 'paused'),
    ('paused', 'queued'), ('paused', 'cancelled'),
    ('failed', 'recovering');

create function check_job_transition() returns trigger language plpgsql as $$
begin
    if not exists (select from job_transitions t where t.before = old.status and t.after = new.status) then
        raise exception 'job % cannot go from % to %', new.id, old.status, new.status using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger training_jobs_transition before update of status on training_jobs
    for each row when (old.status is distinct from new.status) execute function check_job_transition();

create function check_job_beginning() returns trigger language plpgsql as $$
begin
    if new.status not in ('pending_configuration', 'queued') then
        raise exception 'a job cannot begin as %', new.status using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger training_jobs_beginning before insert on training_jobs
    for each row execute function check_job_beginning();
