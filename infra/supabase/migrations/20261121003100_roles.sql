-- Who may do what. A process connects with a login that is a member of one of these groups and can do no more
-- than its work needs; the owner of the tables can, as before, do everything that the triggers permit.
--
--   brightrun_bot        listeners and the outbox worker: adds files, starts jobs, sends messages
--   brightrun_functions  reconcile: admits, launches, recovers, gives up
--   brightrun_ingest     takes what GPU jobs say and store
--
-- Nobody may delete, and nobody may change the ledger or the audit log. Roles belong to the whole server, which
-- may hold several databases of this kind (and two that are migrated at once).
do $$
declare
    name text;
begin
    foreach name in array array['brightrun_bot', 'brightrun_functions', 'brightrun_ingest'] loop
        begin
            if not exists (select from pg_roles where rolname = name) then
                execute format('create role %I nologin', name);
            end if;
        exception when duplicate_object or unique_violation then
            null;
        end;
        execute format('grant usage on schema %I to %I', current_schema(), name);
    end loop;
end $$;

-- Grants `privileges` ('select, insert') on tables and opens row-level security for just these commands.
-- A migration that makes a table says with it who may touch the table.
create function allow(role_name text, privileges text, variadic tables text[]) returns void
language plpgsql as $$
declare
    table_name text;
    command text;
begin
    foreach table_name in array tables loop
        execute format('grant %s on %I to %I', privileges, table_name, role_name);
        foreach command in array string_to_array(privileges, ', ') loop
            execute format(
                'create policy %I on %I for %s to %I %s', role_name || '_' || command, table_name, command, role_name,
                case command
                    when 'insert' then 'with check (true)'
                    when 'update' then 'using (true) with check (true)'
                    else 'using (true)'
                end);
        end loop;
    end loop;
end $$;
revoke all on function allow from public;

select allow('brightrun_bot', 'select',
    'job_transitions', 'people', 'job_events', 'training_metrics_history', 'model_artifacts');
select allow('brightrun_bot', 'select, insert',
    'training_files', 'job_tags', 'artifact_downloads', 'ledger', 'slack_deliveries');
-- `select for update` needs the right to update: starts at once take turns on the budget's row.
select allow('brightrun_bot', 'select, insert, update',
    'budgets', 'training_jobs', 'job_attempts', 'job_drafts', 'outbox', 'job_cards');
select allow('brightrun_bot', 'insert', 'audit_log');

select allow('brightrun_functions', 'select', 'job_transitions', 'training_files', 'training_metrics_history', 'model_artifacts');
select allow('brightrun_functions', 'select, update', 'training_jobs');
select allow('brightrun_functions', 'select, insert', 'ledger', 'outbox');
select allow('brightrun_functions', 'select, insert, update', 'job_attempts');
select allow('brightrun_functions', 'insert', 'audit_log');

select allow('brightrun_ingest', 'select', 'job_transitions', 'training_files');
select allow('brightrun_ingest', 'select, update', 'training_jobs', 'job_attempts');
select allow('brightrun_ingest', 'select, insert', 'job_events', 'ledger', 'outbox');
select allow('brightrun_ingest', 'select, insert, update', 'training_metrics_history', 'model_artifacts');
select allow('brightrun_ingest', 'insert', 'audit_log');

-- Supabase gives every new table and function of this schema to the roles of its HTTP API. Row-level security
-- hides rows from them, but not TRUNCATE; and the service's key is for Storage alone.
do $$
declare
    api_role text;
    kind text;
    name text;
begin
    for api_role in select rolname from pg_roles where rolname in ('anon', 'authenticated', 'service_role') loop
        for name in select tablename from pg_tables
            where schemaname = current_schema() and tableowner = current_user loop
            execute format('revoke all on table %I from %I', name, api_role);
        end loop;
        execute format('revoke all on function allow from %I', api_role);
        foreach kind in array array['tables', 'sequences', 'functions'] loop
            execute format('alter default privileges in schema %I revoke all on %s from %I',
                current_schema(), kind, api_role);
        end loop;
    end loop;
end $$;
