"""What a run's report says, in plain words. Texts are not escaped here; the template does that."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime

from functions import catalog
from functions.errors import InvalidInput
from functions.model.catalog import PRACTICE_TIER, BaseModelCard
from functions.model.events import Planned, Stage
from functions.model.job import Job
from functions.model.job_spec import Hyperparameters
from functions.model.money import dollars
from functions.model.progress import Interruption
from functions.spend import spend_of
from reports import style
from reports.verdict import Badge, badge, improvement_percent

Rows = list[tuple[str, str]]

INTERRUPTIONS_SHOWN = 3
# Keeps a stage and its time on one line.
_NBSP = "\u00a0"
_TEN_YEARS = 10 * 365 * 24 * 3600
_ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
_FEED_FORWARD = {"gate_proj", "up_proj", "down_proj"}
_SCHEDULES = {"cosine": "falls along a cosine", "linear": "falls in a straight line", "constant": "stays as it is"}
_STAGES = {
    Stage.PREPROCESSING: "preparing the data",
    Stage.MODEL_LOADING: "loading the model",
    Stage.TRAINING: "training",
    Stage.FINALIZATION: "testing and packing",
}


@dataclass(frozen=True)
class Verdict:
    """What the held-out test says: the badge, one sentence, and what it rests on."""

    badge: Badge
    headline: str
    scope: str


def verdict(job: Job) -> Verdict:
    """The first thing to read."""
    measured = job.progress.perplexity
    if measured is None:
        nothing = "The held-out test gave no result, so nothing is claimed about this model."
        return Verdict(Badge("– Not measured", style.MUTED), nothing, "Its log is in the run's details in Slack.")
    improvement = improvement_percent(measured)
    before, after = perplexity(measured.base), perplexity(measured.tuned)
    if improvement is None:
        headline = f"The held-out test gave no usable number: perplexity {before} before, {after} after."
    elif improvement == 0:
        headline = f"Perplexity stayed at {after}: no better than the base model."
    else:
        moved, direction = ("fell", "lower") if improvement > 0 else ("rose", "higher")
        by = f"{abs(improvement):.1f} % {direction} than the base model"
        headline = f"Perplexity {moved} from {before} to {after}: {by}."
    words = count(measured.tokens, "token")
    scope = f"Measured on {count(measured.conversations, 'held-out conversation')} ({words})"
    asked = job.configuration.hyperparameters.max_steps
    trial = f" This was a trial of {count(asked, 'step')}." if asked is not None else ""
    return Verdict(badge(improvement), headline, f"{scope} that the model never saw in training.{trial}")


def title(job: Job) -> str:
    """The run's name as it can be set, or its id."""
    return visible(job.name, 100) or f"Training run {str(job.id)[:8]}"


def about(job: Job) -> str:
    """Client, project and description, as far as they were given."""
    given = [visible(text, 60) for text in (job.client, job.project)]
    line = " · ".join(text for text in given if text)
    description = visible(job.description, 200)
    return f"{line} – {description}" if line and description else line or description


def base_model_card(job: Job) -> BaseModelCard | None:
    """The base model's card; None for one that is not in the catalogue any more."""
    try:
        return catalog.base_model(job.configuration.base_model)
    except InvalidInput:
        return None


def trained(job: Job, origin: str = "") -> Rows:
    """Data, base model and preset; and which run it tried again, if it did."""
    plan, card = job.progress.plan, base_model_card(job)
    rows = [("Training file", visible(job.training_file_name, 80) or "–")]
    if plan is not None:
        rows += _data(plan)
    model = f"{card.name} ({card.hub_id})" if card else visible(job.configuration.base_model, 100) or "–"
    again = [("Origin", visible(origin, 300))] if origin else []
    return [*rows, ("Base model", model), ("Preset", _preset(job)), *again]


def _data(plan: Planned) -> Rows:
    every = plan.train_conversations + plan.held_out_conversations
    share = f" ({plan.held_out_conversations / every:.0%})" if every else ""
    held_out = f"{plan.held_out_conversations:,} held out for the test{share.replace('%', ' %')}"
    tokens = (
        f"{plan.train_tokens:,} a pass; {plan.trainable_tokens:,} of them are the consultant's words, which are learned"
    )
    rows = [
        ("Conversations", f"{every:,}: {plan.train_conversations:,} to learn from, {held_out}"),
        ("Tokens", tokens),
    ]
    if plan.truncated_sequences:
        rows.append(("Shortened", f"{count(plan.truncated_sequences, 'conversation')} too long to be read whole"))
    return rows


def _preset(job: Job) -> str:
    key = job.configuration.preset
    try:
        chosen = catalog.preset(key)
    except InvalidInput:
        return visible(key, 60) or "–"
    return f"{chosen.name}. {chosen.summary}"


def settings(job: Job) -> Rows:
    """The hyperparameters in plain words."""
    chosen, plan = job.configuration.hyperparameters, job.progress.plan
    exact = job.configuration.engine.quantization == "none"
    base = "at full precision" if exact else "packed to 4 bits (NF4)"
    method = f"{'LoRA' if exact else 'QLoRA'}: the base model stays as it is, {base}; a small adapter learns beside it"
    size = f"Rank {chosen.rank}, alpha {chosen.alpha}, dropout {chosen.dropout * 100:g} %"
    after = _SCHEDULES.get(chosen.lr_scheduler, f"follows the schedule {visible(chosen.lr_scheduler, 40)}")
    warmup = f"{chosen.learning_rate:.3g}, reached over the first {chosen.warmup_ratio * 100:g} % of the steps"
    return [
        ("Method", method),
        ("Adapter", f"{size}, on {_layers(chosen.target_modules)}"),
        ("Training", _passes(chosen, plan)),
        ("Learning rate", f"{warmup}; then it {after}"),
        ("Longest text", f"{chosen.max_length:,} tokens. Random seed {chosen.seed}"),
    ]


def _passes(chosen: Hyperparameters, plan: Planned | None) -> str:
    together = count(chosen.batch_size * chosen.gradient_accumulation_steps, "conversation")
    if chosen.max_steps is not None:
        return f"A trial: stopped after {count(chosen.max_steps, 'step')} of {together} each, as asked"
    passes = f"{count(chosen.epochs, 'pass', 'passes')} over the data"
    return f"{passes}: {count(plan.total_steps, 'step')} of {together} each" if plan else f"{passes}, {together} a step"


def _layers(modules: tuple[str, ...]) -> str:
    chosen = set(modules)
    if chosen == _ATTENTION | _FEED_FORWARD:
        return "all attention and feed-forward layers"
    if chosen == _ATTENTION:
        return "the attention layers"
    return visible(", ".join(modules), 120) or "no layers"


def time_and_cost(job: Job) -> Rows:
    """When, how long, on what, for how much, and what was expected."""
    estimate, plan = job.estimate, job.progress.plan
    start, end = job.started_at, job.ended_at
    rows = [("When", _span(start, end) if start and end else moment(start or job.created_at))]
    paused = max(0.0, job.paused_seconds)
    rested = f", paused {duration(paused)}" if paused >= 1 else ""
    took = f"{duration((end - start).total_seconds() - paused)}{rested}" if start and end else "unknown"
    expected = f"{duration(estimate.seconds.low)} to {duration(estimate.seconds.high)}"
    rows.append(("Took", f"{took}; {expected} had been expected"))
    stages = [(name, job.progress.stage(stage).seconds(end)) for stage, name in _STAGES.items()] if end else []
    parts = [f"{name} {duration(seconds)}".replace(" ", _NBSP) for name, seconds in stages if seconds is not None]
    if parts:
        rows.append(("Of which", ", ".join(parts)))
    rows.append(("Machine", _machine(job, plan)))
    return [*rows, ("Cost", _cost(job))]


def _span(start: datetime, end: datetime) -> str:
    if day(start) == day(end):
        return f"{day(start)}, {start.astimezone(UTC):%H:%M} to {end.astimezone(UTC):%H:%M} UTC"
    return f"{moment(start)} to {moment(end)}"


def _machine(job: Job, plan: Planned | None) -> str:
    name = visible(catalog.tier_name(job.configuration.tier), 60) or "unknown"
    device = visible(plan.device, 80) if plan else ""
    speed = job.progress.mean_tokens_per_second
    pace = f", {speed:,.0f} tokens a second" if speed is not None and math.isfinite(speed) else ""
    return f"{name}{f' ({device.upper() if len(device) < 4 else device})' if device else ''}{pace}"


def _cost(job: Job) -> str:
    estimate, practice = job.estimate, job.configuration.tier == PRACTICE_TIER
    spent = dollars(job.cost_of(job.billed_seconds))
    expected = f"{dollars(estimate.cents_low)} to {dollars(estimate.cents_high)} had been expected"
    rate = dollars(job.rate_cents_per_hour)
    if practice:
        why = f"This computer counts {rate} an hour so that budgets behave as they will later; nobody is billed"
        return f"{spent} of practice money; {expected}. {why}"
    return f"{spent} at {rate} an hour; {expected}"


def interrupted(job: Job) -> str:
    """How often the machine was lost and what that cost, in one sentence; empty if it never was."""
    past = job.progress.interruptions
    if not past:
        return ""
    times = "once" if len(past) == 1 else f"{len(past):,} times"
    lost = sum(max(0.0, (item.resumed_at - item.at).total_seconds()) for item in past if item.resumed_at)
    after = f" and {duration(lost)} passed before it went on" if lost else ""
    cents = spend_of(job, now=job.created_at, running_since=None).interruption_cents
    cost = f" Coming back and training steps again cost {dollars(cents)}." if cents else ""
    return f"The machine was taken away {times}{after}. Training goes on from the last saved checkpoint.{cost}"


def interruptions(job: Job) -> list[str]:
    """One line each, the first ones."""
    past = job.progress.interruptions
    lines = [_interruption(item) for item in past[:INTERRUPTIONS_SHOWN]]
    more = len(past) - len(lines)
    return [*lines, f"and {count(more, 'more', 'more')}"] if more else lines


def _interruption(item: Interruption) -> str:
    cause = visible(item.cause, 60)
    line = f"{moment(item.at)}, after step {item.step:,}" + (f" ({cause})" if cause else "")
    if item.resumed_at is None:
        return line
    waited = duration((item.resumed_at - item.at).total_seconds())
    return f"{line}: went on {waited} later from step {item.resumed_step or 0:,}"


def visible(text: str, limit: int) -> str:
    """What a person typed on one line: no control or direction marks, and no pictograph without a sure glyph.

    Letters of every script stay, the system's fonts have them or not; emoji are dropped as in the figures.
    """
    line = " ".join(unicodedata.normalize("NFC", text[: 8 * limit]).split())
    shown = " ".join("".join(char for char in line if _settable(char)).split())
    return shown if len(shown) <= limit else shown[: limit - 1].rstrip() + style.ELLIPSIS


def _settable(char: str) -> bool:
    category = unicodedata.category(char)
    if category[0] == "C":
        return char == "\u200c"  # Persian is misspelt without it
    if category in ("So", "Sk", "Me") or 0xFE00 <= ord(char) <= 0xFE0F:
        return bool(style.drawable(char))
    return True


def perplexity(value: float) -> str:
    """Three figures or so: `6.79`, `24.5`, `1,234`."""
    if not math.isfinite(value):
        return "not finite"
    if abs(value) >= 1e6:
        return f"{value:.1e}"
    return f"{value:,.{2 if abs(value) < 10 else 1 if abs(value) < 1000 else 0}f}"


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 step`, `2,000 steps`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """`38 s`, `2 min`, `1 h 45 min`; `unknown` for what is no number."""
    if not math.isfinite(seconds) or seconds > _TEN_YEARS:
        return "unknown"
    whole = round(max(0.0, seconds))
    if whole < 60:
        return f"{whole} s" if whole else "under 1 s"
    hours, minutes = divmod(round(whole / 60), 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"


def day(at: datetime) -> str:
    """`16 December 2026`, in UTC."""
    at = at.astimezone(UTC)
    return f"{at.day} {at:%B %Y}"


def moment(at: datetime) -> str:
    """`16 December 2026, 17:05 UTC`."""
    return f"{day(at)}, {at.astimezone(UTC):%H:%M} UTC"
