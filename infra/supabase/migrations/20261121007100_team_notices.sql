-- Messages that tell of no job: a team's money. They go to a channel, or to a person by their user id.
alter table outbox alter column job_id drop not null;
