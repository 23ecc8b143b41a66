-- Disputes: what a cardholder's bank takes back of a top-up, and what it gives back again.

alter table ledger drop constraint ledger_kind_check;
alter table ledger add constraint ledger_kind_check
    check (kind in ('reserve', 'release', 'settle', 'top_up', 'refund', 'dispute', 'reinstate', 'adjust'));
alter table ledger drop constraint ledger_check;
alter table ledger add constraint ledger_check check (
    (kind in ('release', 'refund', 'dispute') and cents <= 0)
    or kind = 'adjust'
    or (kind in ('reserve', 'settle', 'top_up', 'reinstate') and cents >= 0));
alter table ledger drop constraint ledger_payment;
alter table ledger add constraint ledger_payment
    check (kind not in ('refund', 'dispute', 'reinstate') or payment_id is not null);

-- A dispute names its payment, not what we have noted at it, and may be heard of before it is paid.
alter table stripe_payments
    alter column team_id drop not null,
    alter column request_key drop not null,
    add check ((team_id is null) = (request_key is null)),
    add check (team_id is not null or (paid_cents is null and refunded_cents = 0));

create table stripe_disputes (
    dispute_id text primary key,
    payment_id text not null references stripe_payments (payment_id),
    cents bigint not null check (cents >= 0),
    -- All that was ever taken and given back; both only grow.
    withdrawn_cents bigint not null check (withdrawn_cents >= 0),
    reinstated_cents bigint not null check (reinstated_cents >= 0),
    reason text not null,
    -- Until when it can be answered.
    due_by timestamptz,
    inquiry boolean not null,
    lost boolean not null,
    told text not null check (told in ('nothing', 'asked', 'taken', 'lost')),
    heard_at timestamptz not null
);
create index stripe_disputes_payment on stripe_disputes (payment_id);

alter table stripe_disputes enable row level security;

select allow('brightrun_bot', 'select, insert, update', 'stripe_disputes');
