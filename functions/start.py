"""Starting a run: one transaction from the lock on the budget to the message in the outbox."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from functions import catalog
from functions.access import require
from functions.approval_rules import require_no_approval
from functions.budget import reserve
from functions.configure import configuration_of, quote, startable
from functions.errors import BrightRunError, InvalidInput, NotFound
from functions.model.job import Job, JobChoice, NewJob
from functions.model.outbox import Notice
from functions.model.people import Permission, Person
from functions.model.training_file import TrainingFile
from functions.model.views import QueueLimits
from functions.override import record_override, require_override
from functions.ports import Clock, Database, Files, Transaction
from functions.queue import require_place_in_queue
from functions.run_memory import run_memory


@dataclass(frozen=True)
class StartTerms:
    """On which terms a run may start.

    Attributes:
        approved: somebody else has agreed to it.
        allow_grace: what was approved may pass the limit, by at most the grace.
        override: a manager's justification for passing the limit.
        reserve_at_most: cents that were quoted; a higher estimate by now sets no more aside.
        cap_cents: what it may cost before it is stopped.
    """

    approved: bool = False
    allow_grace: bool = False
    override: str = ""
    reserve_at_most: int | None = None
    cap_cents: int | None = None


def start_job(
    db: Database,
    files: Files,
    *,
    clock: Clock,
    provider: str,
    person: Person,
    choice: JobChoice,
    request_key: str,
    channel_id: str,
    limits: QueueLimits,
    override: str = "",
) -> Job:
    """Queue the job and reserve its upper estimate. The same request again returns the job that it made.

    `override` is a manager's justification for passing the limit; it is not looked at where the run fits.

    Raises:
        NotAllowed: the person may not start jobs, or gives an override without being a manager.
        InvalidInput, NotEligible, NotFound, QueueFull, OverBudget: as they say; the attempt is in the audit log.
    """
    try:
        with db.transaction() as tx:
            return start_in_transaction(
                tx,
                files,
                person=person,
                choice=choice,
                request_key=request_key,
                channel_id=channel_id,
                provider=provider,
                limits=limits,
                now=clock(),
                terms=StartTerms(override=override),
            )
    except BrightRunError as refused:
        with db.transaction() as tx:
            tx.audit.append(
                team_id=person.team_id,
                at=clock(),
                actor=person.user_id,
                action="job.start_refused",
                target=str(choice.training_file_id),
                detail={"why": refused.what},
            )
        raise


def start_in_transaction(
    tx: Transaction,
    files: Files,
    *,
    person: Person,
    choice: JobChoice,
    request_key: str,
    channel_id: str,
    provider: str,
    limits: QueueLimits,
    now: datetime,
    terms: StartTerms,
) -> Job:
    """Queue the job on these terms, within the caller's transaction.

    Raises:
        BrightRunError: as for `start_job`; nobody has noted the refusal.
    """
    require(person, Permission.START_JOBS)
    if terms.override:
        require_override(person, terms.override)
    team_id = person.team_id
    # The budget's row is every start's turnstile: what is checked below stays true until this commits.
    tx.ledger.lock_limit(team_id)
    made = tx.jobs.by_request(team_id, request_key)
    if made is not None:
        return made
    option, choice = startable(tx, files, team_id=team_id, choice=choice, provider=provider)
    require_place_in_queue(tx, team_id=team_id, limits=limits)
    estimate = quote(tx, team_id=team_id, file=option.file, choice=choice, now=now)
    if not terms.approved:
        require_no_approval(estimate, catalog.tier(choice.tier), fix="Ask for one with “Ask for approval…” above.")
    new = NewJob(
        id=uuid4(),
        team_id=team_id,
        training_file_id=option.file.id,
        request_key=request_key,
        choice=choice,
        configuration=configuration_of(choice),
        estimate=estimate,
        rate_cents_per_hour=catalog.tier(choice.tier).cents_per_hour or 0,
        created_by=person.user_id,
        channel_id=channel_id,
        created_at=now,
        cap_cents=terms.cap_cents,
    )
    return enqueue(tx, new, file=option.file, now=now, terms=terms)


def enqueue(
    tx: Transaction,
    new: NewJob,
    *,
    file: TrainingFile,
    now: datetime,
    terms: StartTerms | None = None,
) -> Job:
    """Insert a job that was checked, with its money reserved on these terms, and tell of it.

    Raises:
        InvalidInput: it does not fit its machine's memory.
        OverBudget: its upper estimate does not fit in the month's budget.
    """
    terms = terms or StartTerms()
    _require_memory(new, file)
    tx.jobs.insert(new)
    cents = new.estimate.cents_high
    if terms.reserve_at_most is not None:
        cents = min(cents, terms.reserve_at_most)
    over = reserve(
        tx,
        team_id=new.team_id,
        job_id=new.id,
        cents=cents,
        now=now,
        allow_grace=terms.allow_grace,
        override=bool(terms.override),
    )
    tx.jobs.add_tags(new.team_id, new.choice.tags)
    job = tx.jobs.get(new.id)
    if job is None:
        raise NotFound("The job vanished while it was being made.")
    origin = {"from": str(new.lineage.parent_id), "how": new.lineage.kind} if new.lineage else {}
    tx.audit.append(
        team_id=new.team_id,
        at=now,
        actor=new.created_by,
        action="job.started",
        target=str(job.id),
        detail={"name": job.name, "reserved_cents": cents, **origin},
    )
    tx.outbox.put(job=job, notice=Notice.CARD, key="", at=now, data={})
    if over and terms.override:
        record_override(tx, job=job, by=new.created_by, reason=terms.override, over_cents=over, now=now)
    return job


def _require_memory(new: NewJob, file: TrainingFile) -> None:
    need = run_memory(new.configuration, file)
    if not need.fits and need.available is not None:
        gpu = catalog.tier(new.configuration.tier).gpu
        raise InvalidInput(
            f"This needs about {need.total / 2**30:.0f} GB of GPU memory, {gpu} has {need.available / 2**30:.0f}.",
            field="preset",
            fix="Choose a smaller preset or a smaller base model.",
        )
