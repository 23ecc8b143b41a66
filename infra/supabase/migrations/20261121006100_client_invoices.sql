-- Clients who are invoiced for their runs by way of Stripe, and what they were invoiced for.
--
-- Stripe's test mode has customers and invoices of its own: what was tried there can still be invoiced for real.

create table clients (
    id uuid primary key,
    team_id text not null,
    name text not null check (char_length(name) between 1 and 80),
    test_mode boolean not null,
    customer_id text not null,
    -- What a run costs the client: its cost and so many hundredths of a percent of it, or always the same.
    margin_basis_points integer check (margin_basis_points between 0 and 100000),
    fixed_price_cents bigint check (fixed_price_cents between 1 and 10000000),
    changed_by text not null,
    changed_at timestamptz not null,
    check ((margin_basis_points is null) <> (fixed_price_cents is null))
);
create unique index clients_name on clients (team_id, test_mode, lower(name));

create table invoices (
    id uuid primary key,
    team_id text not null,
    client_id uuid not null references clients (id),
    test_mode boolean not null,
    status text not null check (status in ('begun', 'finalized')),
    cents bigint not null check (cents > 0),
    asked_by text not null,
    created_at timestamptz not null,
    -- Stripe's invoice and whose it is, as soon as there is one.
    stripe_id text,
    customer_id text,
    number text,
    hosted_url text,
    finalized_at timestamptz,
    check ((status = 'finalized') = (finalized_at is not null and hosted_url is not null))
);
-- What was begun is brought to its end before the next is begun.
create unique index invoices_begun on invoices (client_id) where status = 'begun';
create index invoices_team on invoices (team_id, created_at desc);

create table invoice_lines (
    job_id uuid not null references training_jobs (id),
    test_mode boolean not null,
    invoice_id uuid not null references invoices (id),
    description text not null,
    cost_cents bigint not null check (cost_cents >= 0),
    cents bigint not null check (cents > 0),
    -- A run is invoiced once.
    primary key (job_id, test_mode)
);
create index invoice_lines_invoice on invoice_lines (invoice_id);
create index training_jobs_clients on training_jobs (team_id, lower(client)) where status = 'completed' and client <> '';

alter table clients enable row level security;
alter table invoices enable row level security;
alter table invoice_lines enable row level security;

select allow('brightrun_bot', 'select, insert, update', 'clients', 'invoices');
select allow('brightrun_bot', 'select, insert', 'invoice_lines');
