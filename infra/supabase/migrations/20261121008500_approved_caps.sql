-- What an approved run may cost at most before it is stopped at a checkpoint, in cents.
alter table training_jobs add column cap_cents bigint check (cap_cents > 0);
