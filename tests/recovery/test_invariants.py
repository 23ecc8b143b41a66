"""The invariants see what they are there to see: each is broken once on purpose, in otherwise healthy evidence."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from bot.marks import mark
from functions.ports import MODEL_ARTIFACTS
from tests.recovery.evidence import Evidence
from tests.recovery.invariants import INVARIANTS, violations
from tests.recovery.reference import Curve

JOB = UUID(int=7)
BEGAN = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


# Of every kind of event what the invariants look at.
_BODY = {"code": "unknown", "what": "", "why": "", "step": 1, "stage": "training", "status": "started"}


def _message(number: int, part: str, ts: str, text: str, **more: str) -> dict[str, Any]:
    return {"ts": ts, "bot_id": "B", "text": text, "metadata": mark(f"{number}:{part}"), **more}


def _healthy(folder: Path) -> Evidence:
    """One job of an hour at a dollar, with one measurement, that nothing happened to."""
    path = folder / MODEL_ARTIFACTS / "a.zip"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("README", "hello")
        archive.writestr("SHA256SUMS", f"{hashlib.sha256(b'hello').hexdigest()}  README\n")
    data = path.read_bytes()
    ended = BEGAN + timedelta(hours=1)
    notices = ["card", "started", "held_out", "completed"]
    return Evidence(
        started={"A run": JOB},
        jobs=[
            {
                "id": JOB,
                "parent_id": None,
                "name": "A run",
                "status": "completed",
                "file_name": "f",
                "attempt": 1,
                "progress": {"interruptions": [], "stages": [{"stage": "training", "status": "complete"}]},
                "billed_seconds": 3600.0,
                "rate_cents_per_hour": 100,
                "actual_cost_cents": 100,
            }
        ],
        attempts=[
            {"job_id": JOB, "attempt": 1, "call_id": "x:1", "billed_from": BEGAN, "ended_at": ended, "gone_at": ended}
        ],
        events=[
            {"job_id": JOB, "attempt": 1, "seq": seq, "kind": kind, "body": dict(_BODY)}
            for seq, kind in ((1, "metrics"), (2, "held_out"), (3, "finished"), (4, "stage"))
        ],
        points=[{"training_job_id": JOB, "step": 1, "training_loss": 2.5, "validation_loss": 2.0}],
        ledger=[
            {"job_id": JOB, "kind": kind, "cents": cents}
            for kind, cents in (("reserve", 200), ("release", -200), ("settle", 100))
        ],
        outbox=[
            {"id": number, "job_id": JOB, "notice": notice, "status": "sent", "error": None}
            for number, notice in enumerate(notices, 1)
        ],
        cards=[{"job_id": JOB, "ts": "1.0"}],
        audit=[{"target": str(JOB), "action": f"job.{action}"} for action in ("started", "completed")],
        artifacts=[
            {"job_id": JOB, "path": "a.zip", "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        ],
        messages=[
            _message(1, "card", "1.0", "A run: completed, $1.00"),
            *(_message(number, "milestone", f"{number}.0", "told", thread_ts="1.0") for number in (2, 3, 4)),
        ],
        spools={(JOB, 1): [(1, "metrics"), (2, "held_out"), (3, "finished"), (4, "stage")]},
        curves={"f": Curve({1: 2.5}, {1: 2.0})},
        buckets=folder,
        leftovers=[],
        processes=[],
        lost_trainers=[((ended - timedelta(seconds=29)).timestamp(), str(JOB), 1)],
    )


def _lose_the_job(seen: Evidence) -> None:
    seen.started["Another"] = UUID(int=8)


def _leave_it_running(seen: Evidence) -> None:
    seen.jobs[0]["status"] = "training"


def _blame_something_else(seen: Evidence) -> None:
    seen.events[2]["kind"] = "failed"
    seen.spools[JOB, 1][2] = (3, "failed")


def _lose_an_event(seen: Evidence) -> None:
    del seen.events[1]


def _leave_one_undelivered(seen: Evidence) -> None:
    seen.spools[JOB, 1].append((5, "log"))


def _train_a_little_differently(seen: Evidence) -> None:
    seen.points[0]["training_loss"] += 1e-12


def _miss_a_step(seen: Evidence) -> None:
    seen.curves["f"].training[2] = 2.4


def _charge_twice(seen: Evidence) -> None:
    seen.ledger.append(seen.ledger[2])


def _keep_some_reserved(seen: Evidence) -> None:
    seen.ledger[1]["cents"] = -150


def _bill_for_more(seen: Evidence) -> None:
    seen.attempts[0]["billed_from"] += timedelta(seconds=1)


def _never_end_the_attempt(seen: Evidence) -> None:
    seen.attempts[0]["ended_at"] = None


def _forget_the_machine(seen: Evidence) -> None:
    seen.attempts[0]["gone_at"] = None


def _end_twice(seen: Evidence) -> None:
    seen.audit.append(seen.audit[1])


def _post_two_cards(seen: Evidence) -> None:
    seen.messages.append(_message(1, "card", "9.0", "A run: completed, $1.00"))


def _leave_the_card_behind(seen: Evidence) -> None:
    seen.messages[0]["text"] = "A run: finalizing, 95 %"


def _tell_twice(seen: Evidence) -> None:
    seen.messages.append(_message(2, "milestone", "9.0", "told", thread_ts="1.0"))


def _tell_nothing(seen: Evidence) -> None:
    del seen.messages[2]


def _tell_out_of_order(seen: Evidence) -> None:
    seen.messages[1], seen.messages[2] = seen.messages[2], seen.messages[1]


def _leave_a_message_waiting(seen: Evidence) -> None:
    seen.outbox[3]["status"] = "pending"


def _say_something_unasked(seen: Evidence) -> None:
    seen.messages.append({"ts": "9.0", "bot_id": "B", "text": "hello"})


def _never_think_of_telling(seen: Evidence) -> None:
    seen.events.append(seen.events[1] | {"seq": 5, "body": _BODY | {"step": 2}})
    seen.spools[JOB, 1].append((5, "held_out"))


def _leave_a_stage_open(seen: Evidence) -> None:
    seen.jobs[0]["progress"]["stages"][0]["status"] = "pending"


def _leave_a_process(seen: Evidence) -> None:
    seen.processes.append("123 python -m gpu_jobs")


def _leave_a_half_file(seen: Evidence) -> None:
    seen.leftovers.append("runs/x/checkpoints")


def _cut_the_archive(seen: Evidence) -> None:
    path = seen.buckets / MODEL_ARTIFACTS / "a.zip"
    path.write_bytes(path.read_bytes()[:-1])


def _notice_too_late(seen: Evidence) -> None:
    at, job, attempt = seen.lost_trainers[0]
    seen.lost_trainers[0] = (at - 2, job, attempt)


@pytest.mark.parametrize(
    ("harm", "noticed_by"),
    [
        (_lose_the_job, "no_job_is_lost"),
        (_leave_it_running, "no_job_is_lost"),
        (_blame_something_else, "jobs_fail_for_the_reason_they_say"),
        (_lose_an_event, "every_event_arrived_once"),
        (_leave_one_undelivered, "every_event_arrived_once"),
        (_train_a_little_differently, "losses_are_those_of_an_uninterrupted_run"),
        (_miss_a_step, "losses_are_those_of_an_uninterrupted_run"),
        (_charge_twice, "the_ledger_adds_up"),
        (_keep_some_reserved, "the_ledger_adds_up"),
        (_bill_for_more, "billed_time_is_that_of_the_attempts"),
        (_never_end_the_attempt, "billed_time_is_that_of_the_attempts"),
        (_forget_the_machine, "every_machine_is_known_to_be_gone"),
        (_end_twice, "each_ending_is_on_record_once"),
        (_post_two_cards, "each_job_has_one_card"),
        (_leave_the_card_behind, "each_job_has_one_card"),
        (_tell_twice, "each_milestone_was_told_once"),
        (_tell_nothing, "each_milestone_was_told_once"),
        (_tell_out_of_order, "each_milestone_was_told_once"),
        (_leave_a_message_waiting, "each_milestone_was_told_once"),
        (_say_something_unasked, "each_milestone_was_told_once"),
        (_never_think_of_telling, "nothing_worth_telling_was_left_untold"),
        (_leave_a_stage_open, "every_stage_was_told_to_its_end"),
        (_leave_a_process, "no_process_is_left"),
        (_leave_a_half_file, "no_file_is_half"),
        (_cut_the_archive, "no_file_is_half"),
        (_notice_too_late, "lost_trainers_were_noticed_in_time"),
    ],
)
def test_an_invariant_sees_what_is_wrong(harm: Callable[[Evidence], None], noticed_by: str, tmp_path: Path) -> None:
    seen = _healthy(tmp_path)
    assert violations(seen) == {}
    harm(seen)
    assert noticed_by in violations(seen)


def test_every_invariant_is_broken_once_here() -> None:
    marks = test_an_invariant_sees_what_is_wrong.pytestmark  # type: ignore[attr-defined]
    assert {name for _, name in marks[0].args[1]} == {check.__name__ for check in INVARIANTS}


SECOND = UUID(int=9)


def _tried_again(seen: Evidence) -> None:
    """The healthy job becomes the try of one that failed after its first step, and could not say all."""
    first = seen.jobs[0] | {"id": SECOND, "name": "First", "status": "failed"}
    seen.jobs[0]["parent_id"] = SECOND
    seen.jobs.append(first)
    seen.started.clear()
    seen.started["First"] = SECOND
    seen.attempts.append(seen.attempts[0] | {"job_id": SECOND})
    seen.events.append(seen.events[0] | {"job_id": SECOND})
    seen.spools[SECOND, 1] = [(1, "metrics"), (2, "held_out")]
    seen.points.append({"training_job_id": SECOND, "step": 1, "training_loss": 2.5, "validation_loss": 2.0})
    seen.ledger += [entry | {"job_id": SECOND} for entry in seen.ledger[:3]]
    seen.outbox += [
        {"id": number, "job_id": SECOND, "notice": notice, "status": "sent", "error": None}
        for number, notice in ((11, "card"), (12, "failed"))
    ]
    seen.cards.append({"job_id": SECOND, "ts": "11.0"})
    seen.audit += [{"target": str(SECOND), "action": f"job.{action}"} for action in ("started", "failed")]
    seen.messages += [
        _message(11, "card", "11.0", "First: failed, $1.00 spent"),
        _message(12, "milestone", "12.0", "told", thread_ts="11.0"),
    ]


def _never_went_on(seen: Evidence) -> None:
    seen.jobs[0]["parent_id"] = None


def _went_on_twice(seen: Evidence) -> None:
    seen.jobs.append(seen.jobs[0] | {"id": UUID(int=10)})


def _lost_a_point_of_the_first(seen: Evidence) -> None:
    seen.points[-1]["training_loss"] += 1e-12


def _swapped_an_event_of_the_first(seen: Evidence) -> None:
    seen.spools[SECOND, 1][0] = (1, "log")


@pytest.mark.parametrize(
    ("harm", "noticed_by"),
    [
        (_never_went_on, "no_job_is_lost"),
        (_went_on_twice, "no_job_is_lost"),
        (_lost_a_point_of_the_first, "losses_are_those_of_an_uninterrupted_run"),
        (_swapped_an_event_of_the_first, "every_event_arrived_once"),
    ],
)
def test_a_run_that_was_tried_again_is_looked_at_too(
    harm: Callable[[Evidence], None], noticed_by: str, tmp_path: Path
) -> None:
    seen = _healthy(tmp_path)
    _tried_again(seen)
    assert violations(seen) == {}
    harm(seen)
    assert noticed_by in violations(seen)
