-- What the reconcile loop has to know of an attempt's machine, whichever process looks after it.
alter table job_attempts
    -- Launching it failed: for the first time in a row, and last.
    add column launch_failing_since timestamptz,
    add column launch_failed_at timestamptz,
    -- Its machine is known to be gone; an attempt that has ended is looked after until then.
    add column gone_at timestamptz;
update job_attempts set gone_at = ended_at where ended_at is not null;
create index job_attempts_lingering on job_attempts (ended_at) where call_id <> '' and gone_at is null;
