"""What a quote says, in plain words. Texts are not escaped here; the template does that."""

from __future__ import annotations

from typing import NamedTuple

from functions import catalog
from functions.model.catalog import PRACTICE_TIER
from functions.model.money import dollars
from functions.model.views import Alternative, QuoteView
from reports.run_facts import Rows, count, day, duration, moment, visible

_GIB = 1024**3


class Compared(NamedTuple):
    """A row of the comparison."""

    name: str
    time: str
    expected: str
    range: str
    note: str
    chosen: bool


def title(quote: QuoteView) -> str:
    """The run's name as it can be set."""
    return visible(quote.review.choice.name, 100) or "Training run"


def about(quote: QuoteView) -> str:
    """Client, project and description, as far as they were given."""
    choice = quote.review.choice
    line = " · ".join(text for text in (visible(choice.client, 50), visible(choice.project, 50)) if text)
    description = visible(choice.description, 120)
    return f"{line} – {description}" if line and description else line or description


def practice(quote: QuoteView) -> bool:
    """Whether the tier bills nobody."""
    return quote.review.tier.key == PRACTICE_TIER


def price(quote: QuoteView) -> str:
    """`$45.20 to $54.60`."""
    estimate = quote.review.estimate
    return f"{dollars(estimate.cents_low)} to {dollars(estimate.cents_high)}"


def cap(quote: QuoteView) -> str:
    """What the start sets aside."""
    return dollars(quote.review.estimate.cents_high)


def time(quote: QuoteView) -> str:
    """`About 12 h 25 min; between 11 h and 13 h 40 min`."""
    seconds = quote.review.estimate.seconds
    return f"About {duration(seconds.expected)}; between {duration(seconds.low)} and {duration(seconds.high)}"


def what(quote: QuoteView) -> Rows:
    """Data, method and machine."""
    shown, settings = quote.review, quote.review.configuration.hyperparameters
    stats, configuration = shown.file.stats, shown.configuration
    held_out = round(stats.conversations * configuration.held_out_fraction)
    method = "QLoRA, 4-bit base model" if configuration.engine.quantization == "nf4" else "LoRA"
    passes = count(settings.epochs, "epoch")
    if settings.max_steps is not None:
        passes = f"{passes}, stopped after {count(settings.max_steps, 'step')}"
    rate = f"{dollars(shown.tier.cents_per_hour or 0)} an hour"
    return [
        ("Data", f"{visible(shown.file.name, 80)}: {stats.conversations:,} conversations, {held_out:,} held out"),
        ("Base model", f"{shown.base_model.name} ({shown.base_model.hub_id})"),
        ("Method", f"{method}, rank {settings.rank}; {visible(shown.preset.preset.name, 40)} preset; {passes}"),
        ("Machine", f"{visible(shown.tier.name, 60)}, {rate}. {_memory(quote)}"),
    ]


def _memory(quote: QuoteView) -> str:
    need = quote.review.memory
    if need.available is None:
        return f"Needs about {need.total / _GIB:.1f} GB of memory"
    fits = "fits" if need.fits else "does not fit"
    return f"Needs {need.total / _GIB:.0f} of its {need.available / _GIB:.0f} GB: {fits}"


def costs(quote: QuoteView) -> Rows:
    """The parts of the expected cost."""
    estimate, tier = quote.review.estimate, quote.review.tier
    tokens = f"{estimate.tokens:,} tokens at {estimate.tokens_per_second:,.0f} a second, and fixed stages"
    rows = [
        (f"Computing: {tokens}", dollars(estimate.gpu_cents)),
        ("Evaluation on held-out conversations", dollars(estimate.evaluation_cents)),
    ]
    if tier.preemptible:
        rows.append(("Interruption buffer: time to recover", dollars(estimate.interruption_cents)))
    storage = dollars(estimate.storage_cents) if estimate.storage_cents else "under $0.01"
    return [*rows, ("Storage of the adapter, one month", storage)]


def total(quote: QuoteView) -> str:
    """The expected cost."""
    return dollars(quote.review.estimate.cents_expected)


def compared(quote: QuoteView) -> list[Compared]:
    """The presets, and other machines, beside the chosen one."""
    return [_compared(item) for item in quote.review.alternatives[:8]]


def _compared(item: Alternative) -> Compared:
    estimate = item.estimate
    return Compared(
        name=visible(item.tier if item.other_tier else item.preset, 40),
        time=duration(estimate.seconds.expected),
        expected=dollars(estimate.cents_expected),
        range=f"{dollars(estimate.cents_low)} to {dollars(estimate.cents_high)}",
        note="this quote" if item.chosen else "" if item.fits else "needs more memory",
        chosen=item.chosen,
    )


def tips(quote: QuoteView) -> list[str]:
    """What would save money."""
    found = quote.review.tips[:3]
    return [
        f"{visible(tip.text, 100)}: {dollars(tip.saved_cents)} less ({tip.share:.0%})".replace("%", " %")
        for tip in found
    ]


def assumptions(quote: QuoteView) -> list[str]:
    """What the figures rest on."""
    estimate, tier, preset = quote.review.estimate, quote.review.tier, quote.review.preset.preset.name
    above = estimate.seconds.high / estimate.seconds.expected - 1 if estimate.seconds.expected > 0 else 0.0
    if estimate.history_jobs:
        speed = f"Speed and fixed stages are learned from {count(estimate.history_jobs, 'finished run')} like this one."
    else:
        speed = f"No run like this one has finished yet; the speed is: {visible(estimate.source, 160).rstrip('. ')}."
    lines = [
        speed,
        f"The range is {above * 100:.0f} % around the expected value.",
        _accuracy(quote, visible(preset, 40)),
        f"Rate: {visible(tier.source, 100)}, as of {tier.as_of}.",
    ]
    if tier.preemptible:
        per_hour, recovery = catalog.interruption_prior()
        lines.append(
            "The machine may be taken away and resumes by itself; the buffer comes from past interruptions, "
            f"beginning with {per_hour:g} an hour and {duration(recovery)} each."
        )
    if practice(quote):
        lines.append("Practice money: this computer counts an hourly rate so that budgets behave; nobody is billed.")
    return lines


def _accuracy(quote: QuoteView, preset: str) -> str:
    estimate = quote.review.estimate
    if estimate.past_error is None or not estimate.past_runs:
        return f"How past estimates for {preset} did: no history yet."
    runs = count(estimate.past_runs, "run")
    mean = f"within ±{estimate.past_error * 100:.0f} % on average"
    told = f"{estimate.past_in_range:,} of {runs} in 90 days ended in their range"
    return f"Past estimates for {preset} were {mean}; {told}."


def asked(quote: QuoteView) -> str:
    """Who asked, and when."""
    return f"Asked for by {visible(quote.asked_by, 40) or 'unknown'} on {moment(quote.made_at)}"


def valid(quote: QuoteView) -> str:
    """Until when it may be relied on."""
    return day(quote.valid_until)
