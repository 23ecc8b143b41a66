"""One run as a row of a list, in /jobs and in App Home."""

from __future__ import annotations

from blocks.card import details_button
from blocks.run_words import STATE_NAMES, spent_words, state_name, verdict
from blocks.text import Block, bold, mention, safe, section
from blocks.units import bar, percent, when
from functions.model.states import ACTIVE, IN_QUEUE, JobState
from functions.model.views import JobLine, QueueEntry


def job_row(line: JobLine) -> Block:
    """Its name and state, how far it is or how it ended, what it cost, its settings and who asked; and its details."""
    job = line.job
    text = f"{bold(job.name, 120)}\n{_state(line)}\n{setting_words(line)}"
    return section(text, accessory=details_button(job), block_id=f"job:{job.id}")


def setting_words(line: JobLine | QueueEntry) -> str:
    """`Balanced · H100, preemptible · @elena`."""
    return f"{safe(line.preset, 40)} · {safe(line.machine, 40)} · {mention(line.job.created_by)}"


def _state(line: JobLine) -> str:
    job = line.job
    cost = spent_words(line.spent_cents, job.configuration.tier)
    if job.state in ACTIVE:
        state = JobState.QUEUED_WAITING_FOR_GPU if line.waits_for_gpu else job.state
        if state in IN_QUEUE and not job.billed_seconds:
            return f"{state_name(state)} since {when(job.created_at)}"
        return f"{bar(line.fraction, 10)} {percent(line.fraction)}  ·  {STATE_NAMES[state]}  ·  {cost}"
    ended = f"  ·  {when(job.ended_at)}" if job.ended_at else ""
    measured = job.progress.perplexity
    if job.state is JobState.COMPLETED and measured is not None:
        return f"{verdict(measured).badge}  ·  {cost}{ended}"
    return f"{state_name(job.state)}  ·  {cost}{ended}"
