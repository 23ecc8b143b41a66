-- Approvals: what was asked and quoted, who decided, every copy of the message, and an append-only history.

create table approval_requests (
    id uuid primary key,
    team_id text not null,
    kind text not null check (kind in ('limit_increase', 'over_budget_start', 'costly_start', 'promotion')),
    state text not null check (state in (
        'draft', 'pending', 'approved', 'launched', 'launch_failed', 'rejected', 'cancelled', 'expired', 'superseded')),
    requested_by text not null,
    reason text not null default '' check (char_length(reason) <= 1000),
    -- What is asked for: the choice of a start, the job to promote, the limit wanted.
    subject jsonb not null,
    -- Names what was quoted. Another digest is another request.
    digest text not null,
    -- What the managers are shown, as it stood when it was asked.
    quoted jsonb not null,
    -- The rules of its time: who may decide, until when.
    policy jsonb not null,
    channel_id text not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    reminded smallint not null default 0,
    decided_by text not null default '',
    decided_at timestamptz,
    note text not null default '',
    job_id uuid references training_jobs (id),
    outcome text not null default '',
    -- Counts up with everything that a copy of the message shows.
    version integer not null default 1,
    check (decided_by is distinct from requested_by or note like 'Break-glass: %')
);
create index approval_requests_open on approval_requests (expires_at) where state in ('draft', 'pending', 'approved');
create index approval_requests_job on approval_requests (job_id) where job_id is not null;
-- One open request for the same thing.
create unique index approval_requests_same on approval_requests (team_id, digest, requested_by) where state = 'pending';

create table approval_votes (
    request_id uuid not null references approval_requests (id),
    approver text not null,
    approved boolean not null,
    note text not null default '',
    at timestamptz not null,
    primary key (request_id, approver)
);

create table approval_events (
    id bigint generated always as identity primary key,
    request_id uuid not null references approval_requests (id),
    at timestamptz not null,
    actor text not null,
    event text not null,
    detail text not null default ''
);
create index approval_events_request on approval_events (request_id, id);
create trigger approval_events_append_only before update or delete or truncate on approval_events
    for each statement execute function refuse_change();

-- Where copies of the message are, or shall be. `shown_version` is what a copy shows.
create table approval_copies (
    request_id uuid not null references approval_requests (id),
    -- A channel, or a person who gets it directly.
    recipient text not null,
    channel_id text not null default '',
    ts text not null default '',
    shown_version integer not null default 0,
    -- Reminders that were posted below it: an edit alone rings no bell.
    nudged smallint not null default 0,
    sending_since timestamptz,
    not_before timestamptz,
    tries integer not null default 0,
    given_up boolean not null default false,
    primary key (request_id, recipient)
);

alter table approval_requests enable row level security;
alter table approval_votes enable row level security;
alter table approval_events enable row level security;
alter table approval_copies enable row level security;

select allow('brightrun_bot', 'select, insert, update', 'approval_requests', 'approval_copies');
select allow('brightrun_bot', 'select, insert', 'approval_votes', 'approval_events');
-- Reconcile tells that an approved job was launched, and lets requests expire.
select allow('brightrun_functions', 'select, update', 'approval_requests');
select allow('brightrun_functions', 'select, insert', 'approval_events', 'approval_copies');
-- A job that fails before it is launched fails its request too.
select allow('brightrun_ingest', 'select, update', 'approval_requests');
select allow('brightrun_ingest', 'select, insert', 'approval_events');
