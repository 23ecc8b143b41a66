-- A run that goes on from another one gets its curve up to there from the bot, in which somebody pressed the button.
-- The bot writes no other points.

grant insert on training_metrics_history to brightrun_bot;
create policy brightrun_bot_insert on training_metrics_history for insert to brightrun_bot
    with check (
        attempt = 0
        and exists (
            select from training_jobs j
            where j.id = training_job_id and j.lineage = 'resume' and step <= j.resume_step));
