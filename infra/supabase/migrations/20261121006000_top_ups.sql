-- Prepaid money: what was asked for, what Stripe said of it, and the ledger's entries that follow from that.

-- A refund takes a top-up back. Entries that come from a payment name it.
alter table ledger add column payment_id text;
alter table ledger drop constraint ledger_kind_check;
alter table ledger add constraint ledger_kind_check
    check (kind in ('reserve', 'release', 'settle', 'top_up', 'refund', 'adjust'));
alter table ledger drop constraint ledger_check;
alter table ledger add constraint ledger_check check (
    (kind in ('release', 'refund') and cents <= 0)
    or kind = 'adjust'
    or (kind in ('reserve', 'settle', 'top_up') and cents >= 0));
alter table ledger add constraint ledger_payment check (kind <> 'refund' or payment_id is not null);
create index ledger_payment on ledger (payment_id) where payment_id is not null;

-- A manager's wish to add money. `session_id` is Stripe's Checkout session, once there is one.
create table top_ups (
    team_id text not null,
    request_key text not null,
    asked_by text not null,
    -- Where it was asked for, to be told there; empty where it was asked for in private.
    channel_id text not null,
    cents bigint not null check (cents between 500 and 500000),
    session_id text,
    session_url text,
    created_at timestamptz not null,
    primary key (team_id, request_key)
);

-- What is known of a payment, in whatever order it was heard: the ledger follows from it.
create table stripe_payments (
    payment_id text primary key,
    team_id text not null,
    request_key text not null,
    paid_cents bigint check (paid_cents >= 0),
    -- All that has been given back so far; it only grows.
    refunded_cents bigint not null default 0 check (refunded_cents >= 0),
    test_mode boolean not null,
    foreign key (team_id, request_key) references top_ups (team_id, request_key)
);

-- Stripe repeats what it thinks was not heard; each event counts once.
create table stripe_events (
    event_id text primary key,
    kind text not null,
    payment_id text,
    received_at timestamptz not null
);

alter table top_ups enable row level security;
alter table stripe_payments enable row level security;
alter table stripe_events enable row level security;

-- The bot asks for payments and books what Stripe says came of them; what GPU jobs reach can do neither.
select allow('brightrun_bot', 'select, insert, update', 'top_ups', 'stripe_payments');
select allow('brightrun_bot', 'select, insert', 'stripe_events');
