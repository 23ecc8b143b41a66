-- What the reconcile loop has to know of an attempt's machine, whichever process looks after it.
alter table job_attempts
    -- Launching it failed: for the first time in a row, and last.
    add column launch_failing_since timestamptz,
    add column launch_failed_at timestamptz;
