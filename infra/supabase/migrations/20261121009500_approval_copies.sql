-- A copy that Slack refuses for good is given up as of a version of its request: the next one is tried once more.
alter table approval_copies add column given_up_version integer not null default 0;
update approval_copies c set given_up_version = r.version
    from approval_requests r where r.id = c.request_id and c.given_up;
alter table approval_copies drop column given_up;

-- Whether the admins were asked only when time ran short: the managers are asked first.
alter table approval_requests add column escalated boolean not null default false;
