"""One run as a row of a list, in /jobs and in App Home."""

from __future__ import annotations

from blocks.card import details_button
from blocks.run_words import STATE_NAMES, spent_words, state_name, verdict
from blocks.text import Block, bold, section
from blocks.units import bar, percent, when
from functions.model.states import ACTIVE, IN_QUEUE, JobState
from functions.model.views import JobLine


def job_row(line: JobLine) -> Block:
    """Its name and state, how far it is or how it ended, what it cost; and its details."""
    job = line.job
    return section(f"{bold(job.name, 120)}\n{_state(line)}", accessory=details_button(job), block_id=f"job:{job.id}")


def _state(line: JobLine) -> str:
    job = line.job
    cost = spent_words(line.spent_cents, job.configuration.tier)
    if job.state in ACTIVE:
        state = JobState.QUEUED_WAITING_FOR_GPU if line.waits_for_gpu else job.state
        if state in IN_QUEUE:
            return f"{state_name(state)} since {when(job.created_at)}"
        return f"{bar(line.fraction, 10)} {percent(line.fraction)}  ·  {STATE_NAMES[job.state]}  ·  {cost}"
    ended = f"  ·  {when(job.ended_at)}" if job.ended_at else ""
    measured = job.progress.perplexity
    if job.state is JobState.COMPLETED and measured is not None:
        return f"{verdict(measured).badge}  ·  {cost}{ended}"
    return f"{state_name(job.state)}  ·  {cost}{ended}"
