-- The core of Bright Run: people, files, jobs, money, messages. Money is integer cents, time is UTC.

create table people (
    team_id text not null,
    user_id text not null,
    role text not null check (role in ('viewer', 'member', 'manager', 'admin')),
    primary key (team_id, user_id)
);

create table budgets (
    team_id text primary key,
    monthly_limit_cents bigint not null check (monthly_limit_cents >= 0)
);

create table training_files (
    id uuid primary key,
    team_id text not null,
    name text not null,
    file_name text not null,
    file_format text not null,
    status text not null default 'active' check (status in ('active', 'archived')),
    enrichment_status text not null check (enrichment_status in ('processing', 'completed', 'failed')),
    storage_path text not null,
    sequences_path text not null,
    sequences_sha256 text not null,
    size_bytes bigint not null,
    sha256 text not null,
    conversation_count integer not null,
    stats jsonb not null,
    created_by text not null,
    created_at timestamptz not null
);
-- The same bytes are one training file, however often they are added.
create unique index training_files_content on training_files (team_id, sha256) where status = 'active';

create table job_tags (
    team_id text not null,
    name text not null check (name ~ '^[a-z0-9-]{3,30}$'),
    primary key (team_id, name)
);

create table training_jobs (
    id uuid primary key,
    team_id text not null,
    training_file_id uuid not null references training_files (id),
    request_key text not null,
    name text not null check (char_length(name) between 3 and 100),
    description text not null default '' check (char_length(description) <= 500),
    notes text not null default '' check (char_length(notes) <= 2000),
    tags jsonb not null default '[]',
    client text not null default '',
    project text not null default '',
    preset text not null,
    tier text not null,
    base_model text not null,
    max_steps integer,
    configuration jsonb not null,
    estimate jsonb not null,
    rate_cents_per_hour integer not null,
    status text not null check (status in (
        'pending_configuration', 'queued', 'queued_waiting_for_gpu', 'provisioning', 'preprocessing',
        'loading_model', 'training', 'interrupted', 'recovering', 'finalizing', 'evaluating',
        'completed', 'failed', 'cancelled', 'paused')),
    progress jsonb not null default '{}',
    attempt integer not null default 0,
    recoveries integer not null default 0,
    created_by text not null,
    channel_id text not null,
    created_at timestamptz not null,
    started_at timestamptz,
    ended_at timestamptz,
    billed_seconds double precision not null default 0,
    actual_cost_cents bigint not null default 0,
    unique (team_id, request_key)
);
create unique index training_jobs_name on training_jobs (team_id, lower(name));
create index training_jobs_recent on training_jobs (team_id, created_at desc);
create index training_jobs_status on training_jobs (status);
-- One active job a training file.
create unique index training_jobs_one_active on training_jobs (training_file_id)
    where status not in ('completed', 'failed', 'cancelled', 'pending_configuration');

-- What was chosen in a form that has not been started yet.
create table job_drafts (
    team_id text not null,
    request_key text not null,
    choice jsonb not null,
    created_at timestamptz not null default now(),
    primary key (team_id, request_key)
);

create table job_attempts (
    job_id uuid not null references training_jobs (id),
    attempt integer not null,
    call_id text not null default '',
    launched_at timestamptz not null,
    last_event_at timestamptz,
    ended_at timestamptz,
    primary key (job_id, attempt)
);

create table job_events (
    job_id uuid not null references training_jobs (id),
    attempt integer not null,
    seq integer not null,
    at timestamptz not null,
    kind text not null,
    body jsonb not null,
    primary key (job_id, attempt, seq)
);
create index job_events_log on job_events (job_id, at) where kind = 'log';

create table training_metrics_history (
    training_job_id uuid not null references training_jobs (id),
    step integer not null,
    attempt integer not null,
    at timestamptz not null,
    training_loss double precision,
    validation_loss double precision,
    learning_rate double precision,
    grad_norm double precision,
    tokens_per_second double precision,
    memory_bytes bigint,
    gpu_utilization double precision,
    primary key (training_job_id, step)
);

create table model_artifacts (
    id uuid primary key,
    job_id uuid not null references training_jobs (id),
    team_id text not null,
    name text not null,
    path text not null,
    size_bytes bigint not null,
    sha256 text not null,
    created_at timestamptz not null,
    unique (job_id, name)
);

create table artifact_downloads (
    id bigint generated always as identity primary key,
    artifact_id uuid not null references model_artifacts (id),
    user_id text not null,
    at timestamptz not null,
    expires_at timestamptz not null
);

create table ledger (
    id bigint generated always as identity primary key,
    team_id text not null,
    job_id uuid references training_jobs (id),
    kind text not null check (kind in ('reserve', 'release', 'settle', 'top_up', 'adjust')),
    cents bigint not null,
    at timestamptz not null,
    -- What this entry is for, once: a repeat of the same settlement finds it and does nothing.
    entry_key text not null unique,
    note text not null default '',
    check ((kind = 'release' and cents <= 0) or kind = 'adjust' or (kind in ('reserve', 'settle', 'top_up') and cents >= 0))
);
create index ledger_team on ledger (team_id, at);

create table audit_log (
    id bigint generated always as identity primary key,
    team_id text not null,
    at timestamptz not null,
    actor text not null,
    action text not null,
    target text not null,
    detail jsonb not null default '{}'
);
create index audit_log_team on audit_log (team_id, at desc);

create table outbox (
    id bigint generated always as identity primary key,
    team_id text not null,
    job_id uuid not null references training_jobs (id),
    channel_id text not null,
    notice text not null,
    data jsonb not null default '{}',
    status text not null default 'pending' check (status in ('pending', 'sending', 'sent', 'dropped')),
    attempts integer not null default 0,
    not_before timestamptz not null default now(),
    sending_since timestamptz,
    sent_at timestamptz,
    ts text,
    error text,
    -- A milestone is told once, whatever is replayed.
    message_key text not null unique,
    created_at timestamptz not null
);
create index outbox_waiting on outbox (id) where status in ('pending', 'sending');

create table job_cards (
    job_id uuid primary key references training_jobs (id),
    channel_id text not null,
    ts text not null
);

-- Slack repeats deliveries; each is handled once.
create table slack_deliveries (
    delivery_key text primary key,
    at timestamptz not null default now()
);

-- Append-only: what was recorded stays as it was recorded.
create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end $$;
create trigger audit_log_append_only before update or delete or truncate on audit_log
    for each statement execute function refuse_change();
create trigger ledger_append_only before update or delete or truncate on ledger
    for each statement execute function refuse_change();

-- Supabase exposes every table of this schema over HTTP: deny by default, the service alone connects.
do $$
declare name text;
begin
    for name in select tablename from pg_tables where schemaname = current_schema() and tablename not like 'schema_%' loop
        execute format('alter table %I enable row level security', name);
    end loop;
end $$;
