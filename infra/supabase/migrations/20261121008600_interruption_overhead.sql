-- Machine time that interruptions took: coming back, and steps trained twice. The time without a machine is not billed.
create or replace view job_interruptions with (security_invoker = true) as
select
    j.id as job_id,
    count(i) as interruptions,
    count(i) filter (where i ->> 'resumed_at' is not null) as recoveries,
    coalesce(sum(
        greatest(0, coalesce(extract(epoch from (i ->> 'resumed_at')::timestamptz - (i ->> 'machine_at')::timestamptz), 0))
        + greatest(0, (i ->> 'step')::int - (i ->> 'resumed_step')::int)
            * coalesce((i ->> 'seconds_per_step')::float8, 0)
    ) filter (where i ->> 'resumed_at' is not null), 0)::float8 as lost_seconds
from training_jobs j left join lateral jsonb_array_elements(j.progress -> 'interruptions') as i on true
group by j.id;
