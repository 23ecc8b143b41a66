-- What the reconcile loop has to know of an attempt's machine, whichever process looks after it.
alter table job_attempts
    -- Its first word: what was before it, waiting for a machine, is not billed. Its last word, by its own clock.
    add column billed_from timestamptz,
    add column last_word_at timestamptz,
    -- The loop has seen it run until then, and has looked after it without a gap since then.
    add column seen_at timestamptz,
    add column watched_since timestamptz,
    -- Launching it failed: for the first time in a row, and last.
    add column launch_failing_since timestamptz,
    add column launch_failed_at timestamptz,
    -- Its machine is known to be gone; an attempt that has ended is looked after until then.
    add column gone_at timestamptz;
-- Until now an attempt was billed from its launch.
update job_attempts set billed_from = launched_at, last_word_at = last_event_at where last_event_at is not null;
update job_attempts set gone_at = ended_at where ended_at is not null;
create index job_attempts_lingering on job_attempts (ended_at) where call_id <> '' and gone_at is null;

-- Ingest hears the words, and reopens what its machine's owner started again.
grant update (billed_from, last_word_at, gone_at) on job_attempts to brightrun_ingest;
