"""What must be true when all is over, whatever happened on the way. Each gives what is wrong, in words."""

from __future__ import annotations

import hashlib
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bot.marks import marked_as
from functions.model.money import cost_cents, dollars
from functions.ports import MODEL_ARTIFACTS
from tests.recovery.evidence import Evidence, Row

# How soon a lost machine must be noticed.
NOTICED_WITHIN = timedelta(seconds=30)
# Failures that faults of this kind may bring about; all others would be blamed on the wrong thing.
_EXPLAINED = frozenset({"interrupted"})
_SUMS = "SHA256SUMS"


def no_job_is_lost(seen: Evidence) -> Iterator[str]:
    """Every job that was started is there, and completed in the end: itself, or the last that tried it again.

    One that somebody cancelled may be cancelled.
    """
    there = {job["id"]: job for job in seen.jobs}
    tries: dict[Any, list[Row]] = {}
    for job in seen.jobs:
        tries.setdefault(job["parent_id"], []).append(job)
    reached = set()
    for name, job_id in seen.started.items():
        if job_id not in there:
            yield f"{name} was started and is gone"
            continue
        last = there[job_id]
        reached.add(last["id"])
        while last["id"] in seen.continued:
            if len(tries[last["id"]]) > 1:
                yield f"{last['name']} was tried again {len(tries[last['id']])} times at once"
            last = tries[last["id"]][-1]
            reached.add(last["id"])
        cancelled = last["status"] == "cancelled" and _asked(seen, last, "cancel")
        if last["status"] != "completed" and not cancelled:
            failure = (last["progress"] or {}).get("failure")
            yield f"{last['name']} is stuck in {last['status']}: {failure}"
    for job_id in there.keys() - reached:
        yield f"nobody started {there[job_id]['name']}"


def jobs_fail_for_the_reason_they_say(seen: Evidence) -> Iterator[str]:
    """What happened here is interruption; a job that blamed its file, its settings or nothing at all was wrong."""
    for event in seen.events:
        if event["kind"] == "failed" and event["body"]["code"] not in _EXPLAINED:
            body = event["body"]
            where = f"job {event['job_id']} attempt {event['attempt']}"
            yield f"{where} failed: {body['code']}: {body['what']} {body['why']}"


def every_event_arrived_once(seen: Evidence) -> Iterator[str]:
    """What a trainer wrote down is what the service has: numbered from 1 without a gap, nothing else.

    The last words of a run that failed or was cancelled have nobody who brings them along; what matters in them is told
    by the run that goes on from it.
    """
    stored: dict[tuple[Any, int], list[tuple[int, str]]] = {}
    for event in seen.events:
        stored.setdefault((event["job_id"], event["attempt"]), []).append((event["seq"], event["kind"]))
    for key in stored.keys() | seen.spools.keys():
        got, said = stored.get(key, []), seen.spools.get(key, [])
        if [seq for seq, _ in got] != list(range(1, len(got) + 1)):
            yield f"job {key[0]} attempt {key[1]}: stored events are numbered {[seq for seq, _ in got]}"
        if got != (said[: len(got)] if key[0] in seen.cut_short else said):
            yield f"job {key[0]} attempt {key[1]}: {len(said)} events were written, {len(got)} arrived"


def losses_are_those_of_an_uninterrupted_run(seen: Evidence) -> Iterator[str]:
    """The history has every step once, with the very number that the same run without faults has.

    That of a run that was tried again or cancelled ends early, without a gap before it.
    """
    for job in seen.jobs:
        points = seen.of(seen.points, job, "training_job_id")
        if not points and job["id"] in seen.cut_short:
            continue
        expected = seen.curves[job["file_name"]]
        trained = {row["step"]: row["training_loss"] for row in points if row["training_loss"] is not None}
        held_out = {row["step"]: row["validation_loss"] for row in points if row["validation_loss"] is not None}
        for what, got, wanted in (("training", trained, expected.training), ("held-out", held_out, expected.held_out)):
            if job["id"] in seen.cut_short:
                wanted = {step: loss for step, loss in wanted.items() if step <= max(got, default=-1)}
            if got.keys() != wanted.keys():
                steps = sorted(got.keys() ^ wanted.keys())
                yield f"{job['name']}: {what} losses of steps {steps} are missing or too many"
            differing = [step for step in got.keys() & wanted.keys() if got[step] != wanted[step]]
            if differing:
                first = min(differing)
                yield f"{job['name']}: {what} loss at step {first} is {got[first]}, uninterrupted {wanted[first]}"


def the_ledger_adds_up(seen: Evidence) -> Iterator[str]:
    """Nothing stays reserved; what was settled is what was billed; each ending and each pause released once."""
    for job in seen.jobs:
        entries = seen.of(seen.ledger, job)
        cents: Counter[str] = Counter()
        for entry in entries:
            cents[entry["kind"]] += entry["cents"]
        if cents["reserve"] + cents["release"]:
            yield f"{job['name']}: {cents['reserve'] + cents['release']} cents are still reserved"
        cost = cost_cents(job["billed_seconds"], job["rate_cents_per_hour"])
        if not cents["settle"] == job["actual_cost_cents"] == cost:
            recorded = job["actual_cost_cents"]
            yield f"{job['name']}: settled {cents['settle']}, recorded {recorded}, billed for {cost} cents"
        kinds = Counter(entry["kind"] for entry in entries)
        endings = len(_endings(seen, job)) + _told(seen, job)["paused"]
        # A second ending within the same cent has nothing to settle, nor has one that no machine spoke before.
        settled = int(cost > 0) <= kinds["settle"] <= endings
        if kinds["release"] != endings or not settled or kinds["reserve"] != endings:
            yield f"{job['name']}: {endings} endings, but {dict(kinds)} entries"


def billed_time_is_that_of_the_attempts(seen: Evidence) -> Iterator[str]:
    """Every attempt has ended, and the job is billed for all of them and for nothing else."""
    for job in seen.jobs:
        attempts = seen.of(seen.attempts, job)
        if [row["attempt"] for row in attempts] != list(range(1, job["attempt"] + 1)):
            yield f"{job['name']}: attempts {[row['attempt'] for row in attempts]}, the job says {job['attempt']}"
        open_ones = [row["attempt"] for row in attempts if row["ended_at"] is None]
        if open_ones:
            yield f"{job['name']}: attempts {open_ones} never ended"
            continue
        spoke = [row for row in attempts if row["billed_from"] is not None]
        seconds = sum((row["ended_at"] - row["billed_from"]).total_seconds() for row in spoke)
        if abs(seconds - job["billed_seconds"]) > 0.01:
            yield f"{job['name']}: billed for {job['billed_seconds']:.2f} s, its attempts took {seconds:.2f} s"


def each_ending_is_on_record_once(seen: Evidence) -> Iterator[str]:
    """The audit log has one start and one ending a job: completed, cancelled, or failed and tried again."""
    for job in seen.jobs:
        counted = Counter(row["action"] for row in seen.audit if row["target"] == str(job["id"]))
        endings = {name: counted[f"job.{name}"] for name in ("completed", "failed", "cancelled")}
        if counted["job.started"] != 1 or endings != {**dict.fromkeys(endings, 0), _ended(seen, job): 1}:
            yield f"{job['name']}: {dict(counted)}"


def each_job_has_one_card(seen: Evidence) -> Iterator[str]:
    """One message at the top of the channel a job, where the database says that it is, and it tells how it ended."""
    tops = [message for message in seen.messages if message.get("thread_ts", message["ts"]) == message["ts"]]
    of_job = {row["id"]: row["job_id"] for row in seen.outbox}
    for job in seen.jobs:
        cards = [message for message in tops if of_job.get(_posted_as(message, "card")) == job["id"]]
        known = [row["ts"] for row in seen.of(seen.cards, job)]
        if [card["ts"] for card in cards] != known or len(known) != 1:
            yield f"{job['name']}: {len(cards)} cards in the channel, the database knows {known}"
            continue
        text, cents = cards[0]["text"], job["actual_cost_cents"]
        # One that was cancelled in the queue has no cost to tell of.
        costs = dollars(cents) if cents or _ended(seen, job) != "cancelled" else ""
        if not text.startswith(f"{job['name']}: {_ended(seen, job)}") or costs not in text:
            yield f"{job['name']}: its card says {text!r}, it cost {dollars(job['actual_cost_cents'])}"


def each_milestone_was_told_once(seen: Evidence) -> Iterator[str]:
    """One message a row of the outbox, below its job's card, in order; no row is left; no message has no row."""
    told = Counter(
        number
        for message in seen.messages
        for part in ("milestone", "team")
        if (number := _posted_as(message, part)) is not None
    )
    by_id = {row["id"]: row for row in seen.outbox}
    for number in told.keys() - by_id.keys():
        yield f"message {number} stands in the channel and is not in the outbox"
    for row in seen.outbox:
        if row["status"] != "sent":
            yield f"message {row['id']} ({row['notice']}) of job {row['job_id']} is {row['status']}: {row['error']}"
        elif row["notice"] != "card" and told[row["id"]] != 1:
            yield f"message {row['id']} ({row['notice']}) of job {row['job_id']} was posted {told[row['id']]} times"
    said = [message for message in seen.messages if message.get("bot_id") and "ephemeral_for" not in message]
    unknown = [message["text"] for message in said if marked_as(message) is None]
    if unknown:
        yield f"messages that no outbox row accounts for: {unknown}"
    for card in seen.cards:
        thread = [m for m in seen.messages if m.get("thread_ts") == card["ts"] and m["ts"] != card["ts"]]
        rows = [number for message in thread if (number := _posted_as(message, "milestone")) is not None]
        if any(by_id[number]["job_id"] != card["job_id"] for number in rows if number in by_id):
            yield f"a milestone of another job stands below the card of {card['job_id']}"
        if rows != sorted(rows):
            yield f"the thread of job {card['job_id']} is out of order: {rows}"


def nothing_worth_telling_was_left_untold(seen: Evidence) -> Iterator[str]:
    """Start, held-out measurements, each interruption, each recovery and each ending have their milestone."""
    for job in seen.jobs:
        told = _told(seen, job)
        done = Counter(row["action"] for row in seen.audit if row["target"] == str(job["id"]))
        events = [(row["kind"], row["body"]) for row in seen.of(seen.events, job)]
        losses = job["progress"].get("interruptions", ())  # of one that was cancelled in the queue nothing is known
        wanted = {
            "started": int(any(kind == "stage" and _begins_training(body) for kind, body in events)),
            "held_out": len({body["step"] for kind, body in events if kind == "held_out" and body["step"]}),
            "interrupted": len(losses),
            "recovered": len([loss for loss in losses if loss["resumed_at"]]),
            "completed": done["job.completed"],
            "failed": done["job.failed"],
            "cancelled": done["job.cancelled"],
            "resumed": done["job.resumed"],
        }
        got = {notice: told[notice] for notice in wanted}
        # One that goes on from another, or after a pause, says so once, unless it was stopped before it could.
        more = got["recovered"] - wanted["recovered"]
        if 0 < more <= got["resumed"] + bool(job["parent_id"]):
            wanted["recovered"] += more
        if got != wanted:
            yield f"{job['name']}: milestones {got}, wanted {wanted}"


def _told(seen: Evidence, job: Row) -> Counter[str]:
    return Counter(row["notice"] for row in seen.of(seen.outbox, job))


def _ended(seen: Evidence, job: Row) -> str:
    """How it should have ended."""
    if job["status"] == "cancelled" and _asked(seen, job, "cancel"):
        return "cancelled"
    return "failed" if job["id"] in seen.continued else "completed"


def _asked(seen: Evidence, job: Row, what: str) -> bool:
    """Whether somebody asked that it stop."""
    return any(row["target"] == str(job["id"]) and row["action"] == f"job.{what}_asked" for row in seen.audit)


def _begins_training(body: Row) -> bool:
    return bool(body["stage"] == "training" and body["status"] == "started")


def every_stage_was_told_to_its_end(seen: Evidence) -> Iterator[str]:
    """A finished run has no stage that looks as if it were still to come, or still going on."""
    for job in seen.jobs:
        stages = {item["stage"]: item["status"] for item in job["progress"].get("stages", ())}
        if job["status"] == "completed" and set(stages.values()) != {"complete"}:
            yield f"{job['name']}: {stages}"


def no_process_is_left(seen: Evidence) -> Iterator[str]:
    """No trainer outlives its job."""
    for process in seen.processes:
        yield f"still running: {process}"


def every_machine_is_known_to_be_gone(seen: Evidence) -> Iterator[str]:
    """The loop has looked after every launched attempt until its machine was gone."""
    for row in seen.attempts:
        if row["call_id"] and row["gone_at"] is None:
            yield f"job {row['job_id']} attempt {row['attempt']}: nobody knows whether {row['call_id']} is gone"


def no_file_is_half(seen: Evidence) -> Iterator[str]:
    """Nothing staged is left, no checkpoints of what is done; every archive is whole, as are the files in it."""
    for path in seen.leftovers:
        yield f"left behind: {path}"
    for job in seen.jobs:
        rows = seen.of(seen.artifacts, job)
        if len(rows) != 1 and not (job["id"] in seen.cut_short and not rows):
            yield f"{job['name']}: {len(rows)} artifacts"
        for row in rows:
            yield from (
                f"{job['name']}: {wrong}" for wrong in _archive(seen.buckets / MODEL_ARTIFACTS / row["path"], row)
            )


def lost_trainers_were_noticed_in_time(seen: Evidence) -> Iterator[str]:
    """A trainer that was killed without a word is an interruption within thirty seconds, or its job had ended."""
    jobs = {str(job["id"]): job for job in seen.jobs}
    for at, job_id, attempt in seen.lost_trainers:
        row = next((r for r in seen.of(seen.attempts, jobs[job_id]) if r["attempt"] == attempt), None)
        if row is None or row["ended_at"] is None:
            yield f"job {job_id} attempt {attempt}: its killed trainer was never noticed"
            continue
        late = row["ended_at"] - datetime.fromtimestamp(at, UTC)
        if late > NOTICED_WITHIN:
            yield f"job {job_id} attempt {attempt}: its killed trainer was noticed after {late.total_seconds():.0f} s"


INVARIANTS: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    no_job_is_lost,
    jobs_fail_for_the_reason_they_say,
    every_event_arrived_once,
    losses_are_those_of_an_uninterrupted_run,
    the_ledger_adds_up,
    billed_time_is_that_of_the_attempts,
    each_ending_is_on_record_once,
    each_job_has_one_card,
    each_milestone_was_told_once,
    nothing_worth_telling_was_left_untold,
    every_stage_was_told_to_its_end,
    no_process_is_left,
    every_machine_is_known_to_be_gone,
    no_file_is_half,
    lost_trainers_were_noticed_in_time,
)


def violations(seen: Evidence) -> dict[str, list[str]]:
    """What is wrong, by invariant; empty where all is well."""
    found = {check.__name__: list(check(seen)) for check in INVARIANTS}
    return {name: wrong for name, wrong in found.items() if wrong}


def _endings(seen: Evidence, job: Row) -> list[str]:
    ends = ("job.completed", "job.failed", "job.cancelled")
    return [row["action"] for row in seen.audit if row["target"] == str(job["id"]) and row["action"] in ends]


def _posted_as(message: Row, part: str) -> int | None:
    """The outbox row that a message was posted for, if it was posted as this part of it."""
    number, _, posted = (marked_as(message) or "").partition(":")
    return int(number) if posted == part else None


def _archive(path: Path, row: Row) -> Iterator[str]:
    data = path.read_bytes() if path.is_file() else b""
    if len(data) != row["size_bytes"] or hashlib.sha256(data).hexdigest() != row["sha256"]:
        yield f"{path.name} is not what was recorded"
        return
    with zipfile.ZipFile(path) as archive:
        broken = archive.testzip()
        if broken:
            yield f"{path.name}: {broken} is broken"
        sums = dict(line.split(maxsplit=1)[::-1] for line in archive.read(_SUMS).decode().splitlines())
        for name in set(archive.namelist()) - {_SUMS}:
            if sums.get(name) != hashlib.sha256(archive.read(name)).hexdigest():
                yield f"{path.name}: {name} does not match {_SUMS}"
