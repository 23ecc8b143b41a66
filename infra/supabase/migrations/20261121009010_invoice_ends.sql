-- Invoices that are not wanted: a draft is discarded, a finalised one is voided. Their runs can be invoiced again.

alter table invoices
    -- Who discarded or voided it, and why.
    add column ended_by text not null default '',
    add column end_reason text not null default '' check (char_length(end_reason) <= 500),
    add column ended_at timestamptz;
alter table invoices drop constraint invoices_status_check;
alter table invoices add constraint invoices_status_check
    check (status in ('begun', 'discarding', 'discarded', 'finalized', 'voiding', 'voided'));
alter table invoices drop constraint invoices_check;
alter table invoices add constraint invoices_final check (
    (status in ('finalized', 'voiding', 'voided')) = (finalized_at is not null and hosted_url is not null));
alter table invoices add constraint invoices_ended
    check ((status in ('discarded', 'voided')) = (ended_at is not null));
drop index invoices_begun;
-- What was begun is brought to its end, one or the other, before the next is begun.
create unique index invoices_begun on invoices (client_id) where status in ('begun', 'discarding');

-- `discarding` and `voiding` are promises: what Stripe has to do for them may not be done yet. Either may turn
-- out to be impossible, as it was finalised or paid there meanwhile.
create function check_invoice_status() returns trigger language plpgsql as $$
begin
    if (old.status, new.status) not in (
        ('begun', 'finalized'), ('begun', 'discarding'), ('discarding', 'discarded'), ('discarding', 'finalized'),
        ('finalized', 'voiding'), ('voiding', 'voided'), ('voiding', 'finalized')) then
        raise exception 'invoice % is %, it cannot become %', old.id, old.status, new.status
            using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger invoices_status before update of status on invoices
    for each row when (old.status <> new.status) execute function check_invoice_status();

-- A run is on one invoice that stands; those that were discarded or voided keep their lines, to be read.
alter table invoice_lines add column released boolean not null default false;
alter table invoice_lines drop constraint invoice_lines_pkey;
alter table invoice_lines add primary key (invoice_id, job_id);
create unique index invoice_lines_once on invoice_lines (job_id, test_mode) where not released;
drop index invoice_lines_invoice;

create function check_line_release() returns trigger language plpgsql as $$
begin
    if old.released or not exists (
        select from invoices i where i.id = new.invoice_id and i.status in ('discarded', 'voided')) then
        raise exception 'the invoice of run % stands', new.job_id using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger invoice_lines_release before update on invoice_lines
    for each row execute function check_line_release();

grant update (released) on invoice_lines to brightrun_bot;
create policy brightrun_bot_update on invoice_lines for update to brightrun_bot using (true) with check (true);
