-- A team's budget rules, what its limit was when, one forecast a day, and who gave people their roles.

alter table budgets
    add column period text not null default 'calendar_month' check (period in ('calendar_month', 'rolling_30_days')),
    -- How far an approval may pass the limit.
    add column grace_percent integer not null default 10 check (grace_percent between 0 and 100),
    -- Nobody passes the limit, with no approval and no override.
    add column hard_stop boolean not null default false,
    -- User ids; nobody named means every manager and admin.
    add column recipients jsonb not null default '[]',
    add column channel_id text not null default '',
    add column daily_digest boolean not null default true;

-- Every change of a limit, so that a past month is judged by the limit of its time. Append-only, as the ledger is.
create table budget_limits (
    id bigint generated always as identity primary key,
    team_id text not null,
    at timestamptz not null,
    before_cents bigint not null check (before_cents >= 0),
    limit_cents bigint not null check (limit_cents >= 0),
    changed_by text not null,
    reason text not null
);
create index budget_limits_team on budget_limits (team_id, at);
create trigger budget_limits_append_only before update or delete or truncate on budget_limits
    for each statement execute function refuse_change();

-- What the month was expected to come to, once a day, kept to see how such forecasts did.
create table budget_forecasts (
    team_id text not null,
    day date not null,
    period text not null,
    spent_cents bigint not null,
    best_cents bigint not null,
    expected_cents bigint not null,
    worst_cents bigint not null,
    primary key (team_id, day),
    check (best_cents <= expected_cents and expected_cents <= worst_cents)
);

alter table budget_limits enable row level security;
alter table budget_forecasts enable row level security;

-- '' is a row that the settings or a Slack user group wrote, and may write again; else who gave the role in Slack.
alter table people add column set_by text not null default '';

-- Nothing is released that was not reserved, whatever the code believes.
create function check_release() returns trigger language plpgsql as $$
begin
    if not exists (select from ledger where entry_key = new.entry_key)
        and (select coalesce(sum(cents), 0) from ledger where job_id = new.job_id and kind in ('reserve', 'release'))
            + new.cents < 0 then
        raise exception 'job % has less reserved than % cents', new.job_id, -new.cents using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger ledger_release before insert on ledger
    for each row when (new.kind = 'release') execute function check_release();

-- Admins change roles in Slack, and managers and admins read the audit log there.
select allow('brightrun_bot', 'insert', 'people');
grant update (role, set_by) on people to brightrun_bot;
create policy brightrun_bot_update on people for update to brightrun_bot using (true) with check (true);
select allow('brightrun_bot', 'select', 'audit_log', 'budget_forecasts');
select allow('brightrun_bot', 'select, insert', 'budget_limits');
-- Reconcile tells of the month's money.
select allow('brightrun_functions', 'select', 'people', 'budgets', 'budget_limits');
select allow('brightrun_functions', 'select, insert', 'budget_forecasts');
