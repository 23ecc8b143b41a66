"""What is asked for, and what the deciders are shown of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from functions import catalog
from functions.approval_rules import cap_cents
from functions.budget import budget_status
from functions.configure import configuration_of, quote, startable
from functions.errors import Conflict, InvalidInput
from functions.find_job import get_job
from functions.model.approval import ApprovalKind, Quoted
from functions.model.catalog import PRACTICE_PROVIDER
from functions.model.job import Configuration, JobChoice
from functions.model.money import dollars
from functions.model.states import IN_QUEUE
from functions.ports import Files, Transaction

LIMIT_MAX_CENTS = 1_000_000_00
Facts = dict[str, object]


class Asked(BaseModel):
    """What is asked for: a start, a place in the queue, or a limit."""

    model_config = ConfigDict(frozen=True)

    kind: ApprovalKind
    choice: JobChoice | None = None
    request_key: str = ""
    channel_id: str = ""
    job_id: UUID | None = None
    limit_cents: int = 0

    def subject(self) -> dict[str, Any]:
        """As it is stored."""
        return self.model_dump(mode="json", exclude={"kind"})


def asked_of(kind: ApprovalKind, subject: dict[str, Any]) -> Asked:
    """As it was stored."""
    return Asked.model_validate({"kind": kind, **subject})


def quoted(
    tx: Transaction, files: Files, *, team_id: str, asked: Asked, provider: str, now: datetime
) -> tuple[Quoted, Facts]:
    """(what is shown, the facts whose change makes it another request).

    Raises:
        InvalidInput, NotEligible, NotFound, Conflict: what is asked for cannot be had as things stand.
    """
    if asked.kind is ApprovalKind.PROMOTION:
        return _promotion(tx, team_id, asked, now)
    if asked.kind is ApprovalKind.LIMIT_INCREASE:
        return _limit(tx, team_id, asked, now)
    return _start(tx, files, team_id, asked, provider, now)


def _start(
    tx: Transaction, files: Files, team_id: str, asked: Asked, provider: str, now: datetime
) -> tuple[Quoted, Facts]:
    if asked.choice is None:
        raise InvalidInput("There is nothing to start.")
    option, choice = startable(tx, files, team_id=team_id, choice=asked.choice, provider=provider)
    configuration = configuration_of(choice)
    estimate = quote(tx, team_id=team_id, file=option.file, choice=choice, now=now)
    budget, tier = budget_status(tx, team_id=team_id, now=now), catalog.tier(choice.tier)
    shown = Quoted(
        title=choice.name,
        facts=(
            *for_whom(choice.client, choice.project),
            f"{catalog.base_model(choice.base_model).name} · {_method(configuration)}",
            f"{option.file.name} · {option.file.stats.conversations:,} conversations · {tier.name}",
        ),
        cents_low=estimate.cents_low,
        cents_high=estimate.cents_high,
        cap_cents=cap_cents(estimate.cents_high),
        seconds=estimate.seconds.expected,
        limit_cents=budget.limit_cents,
        used_cents=budget.used_cents,
        after_cents=budget.used_cents + estimate.cents_high,
        grace_cents=budget.grace_cents,
        practice=tier.provider == PRACTICE_PROVIDER,
    )
    # Not the estimate: it moves with every finished job. What it may cost is bound by what was quoted, and its cap.
    facts: Facts = {
        "configuration": configuration.model_dump(mode="json"),
        "file": option.file.sha256,
        "name": choice.name,
        "rate": tier.cents_per_hour,
    }
    return shown, facts


def for_whom(client: str, project: str) -> tuple[str, ...]:
    """`For Acme Financial · Q1 enhancement`; nothing where neither is known."""
    known = " · ".join(part for part in (client, project) if part)
    return (f"For {known}",) if known else ()


def _method(configuration: Configuration) -> str:
    settings = configuration.hyperparameters
    method = "QLoRA" if configuration.engine.quantization == "nf4" else "LoRA"
    return f"{method} rank {settings.rank} · {settings.epochs} epochs"


def _promotion(tx: Transaction, team_id: str, asked: Asked, now: datetime) -> tuple[Quoted, Facts]:
    if asked.job_id is None:
        raise InvalidInput("There is no run to move.")
    job = get_job(tx, team_id=team_id, job_id=asked.job_id)
    if job.state not in IN_QUEUE:
        raise Conflict(f"{job.name} does not wait any more: it is {job.state.value}.")
    waiting = tx.jobs.in_states(IN_QUEUE)
    before = [other.name for other in waiting[: next(i for i, other in enumerate(waiting) if other.id == job.id)]]
    if not before:
        raise Conflict(f"{job.name} is the next one already.")
    budget = budget_status(tx, team_id=team_id, now=now)
    shown = Quoted(
        title=f"Move {job.name} to the front",
        facts=(f"It would start before {', '.join(before[:3])}{' and others' if len(before) > 3 else ''}.",),
        limit_cents=budget.limit_cents,
        used_cents=budget.used_cents,
        after_cents=budget.used_cents,
    )
    return shown, {"job": str(job.id)}


def _limit(tx: Transaction, team_id: str, asked: Asked, now: datetime) -> tuple[Quoted, Facts]:
    budget = budget_status(tx, team_id=team_id, now=now)
    limit = tx.ledger.limit(team_id)
    if not limit < asked.limit_cents <= LIMIT_MAX_CENTS:
        raise InvalidInput(
            f"Ask for more than the {dollars(limit)} of now, and at most {dollars(LIMIT_MAX_CENTS)}.", field="limit"
        )
    shown = Quoted(
        title=f"Raise the budget from {dollars(limit)} to {dollars(asked.limit_cents)}",
        limit_cents=limit,
        used_cents=budget.used_cents,
        after_cents=budget.used_cents,
    )
    return shown, {"from": limit, "to": asked.limit_cents}
