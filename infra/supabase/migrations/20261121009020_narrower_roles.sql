-- A process may write no more of a table than it does write. A later migration that makes ingest change another
-- column of a job, or book another kind of entry, says so here as well.

-- What GPU jobs reach settles jobs; it neither sets money aside nor adds any. Reconcile settles, too, when it gives
-- a job up. A correction ('adjust') is the owner's affair.
drop policy brightrun_ingest_insert on ledger;
create policy brightrun_ingest_insert on ledger for insert to brightrun_ingest
    with check (kind in ('release', 'settle') and job_id is not null and payment_id is null);
drop policy brightrun_functions_insert on ledger;
create policy brightrun_functions_insert on ledger for insert to brightrun_functions
    with check (kind in ('release', 'settle') and job_id is not null and payment_id is null);
drop policy brightrun_bot_insert on ledger;
create policy brightrun_bot_insert on ledger for insert to brightrun_bot
    with check (kind <> 'adjust' and (job_id is null) = (payment_id is not null));

-- Neither acts in a person's name, nor tells of anything but jobs' ends.
drop policy brightrun_ingest_insert on audit_log;
create policy brightrun_ingest_insert on audit_log for insert to brightrun_ingest
    with check (actor = 'system' and action like 'job.%');
drop policy brightrun_functions_insert on audit_log;
create policy brightrun_functions_insert on audit_log for insert to brightrun_functions
    with check (actor = 'system');

-- Ingest tells of jobs, where each of them is told; of payments and invoices only the bot tells.
drop policy brightrun_ingest_insert on outbox;
create policy brightrun_ingest_insert on outbox for insert to brightrun_ingest
    with check (
        notice not in ('invoiced', 'invoice_voided')
        and exists (
            select from training_jobs j
            where j.id = outbox.job_id and j.team_id = outbox.team_id and j.channel_id = outbox.channel_id));
drop policy brightrun_functions_insert on outbox;
create policy brightrun_functions_insert on outbox for insert to brightrun_functions
    with check (notice not in ('invoiced', 'invoice_voided', 'topped_up', 'refunded') and notice not like 'dispute%');

-- How a job goes is ingest's to write; what it is, whose, for whom and at which rate is not.
revoke update on training_jobs, job_attempts from brightrun_ingest;
grant update (status, progress, started_at, ended_at, recoveries, billed_seconds, actual_cost_cents, stop, paused_at,
    paused_seconds) on training_jobs to brightrun_ingest;
grant update (launched_at, last_event_at, ended_at) on job_attempts to brightrun_ingest;

-- Nobody but the bot decides a request; the others say what became of an approved start, and that one expired.
drop policy brightrun_ingest_update on approval_requests;
create policy brightrun_ingest_update on approval_requests for update to brightrun_ingest
    using (state = 'approved') with check (state in ('launched', 'launch_failed'));
drop policy brightrun_functions_update on approval_requests;
create policy brightrun_functions_update on approval_requests for update to brightrun_functions
    using (state in ('draft', 'pending', 'approved'))
    with check (state in ('pending', 'expired', 'launched', 'launch_failed'));
drop policy brightrun_ingest_insert on approval_events;
create policy brightrun_ingest_insert on approval_events for insert to brightrun_ingest
    with check (actor = 'system' and event in ('launched', 'launch_failed'));
drop policy brightrun_functions_insert on approval_events;
create policy brightrun_functions_insert on approval_events for insert to brightrun_functions
    with check (actor = 'system');

-- A wait is closed and a suggestion judged by whoever ends the job; only reconcile makes waits and tries again.
revoke update on gpu_waits, retry_suggestions from brightrun_bot, brightrun_ingest;
revoke update on retry_suggestions from brightrun_functions;
grant update (ended_at, outcome) on gpu_waits to brightrun_bot, brightrun_ingest;
grant update (outcome) on retry_suggestions to brightrun_bot, brightrun_ingest, brightrun_functions;

-- Amounts and owners stay as they were written.
revoke update on top_ups, stripe_payments, stripe_disputes, clients, invoices from brightrun_bot;
grant update (session_id, session_url) on top_ups to brightrun_bot;
grant update (team_id, request_key, paid_cents, refunded_cents) on stripe_payments to brightrun_bot;
grant update (cents, withdrawn_cents, reinstated_cents, reason, due_by, inquiry, lost, told)
    on stripe_disputes to brightrun_bot;
grant update (customer_id, margin_basis_points, fixed_price_cents, changed_by, changed_at) on clients to brightrun_bot;
grant update (status, stripe_id, customer_id, number, hosted_url, finalized_at, ended_by, end_reason, ended_at)
    on invoices to brightrun_bot;
