"""What is said of a running job's money: how much of the estimate is used, how it will end, what to do."""

from __future__ import annotations

from collections.abc import Mapping

from blocks.text import mention
from blocks.units import count, money, money_range, practice, share
from functions.model.spend import Advice
from functions.model.views import CardView

Data = Mapping[str, float | int | str | None]

_ADVICE = {
    Advice.NOTHING: "",
    Advice.WATCH: "It may still pass the upper estimate if much goes wrong.",
    Advice.LET_FINISH: "Little is left to save: it is best to let it finish.",
    Advice.CONSIDER_CANCELLING: "Look at the held-out curve: if it has flattened, cancelling now saves the rest.",
}
_REACHED = {
    80: "{spent} spent, 80 % of the {expected} expected.",
    100: "⚠ {spent} spent: this is all of the {expected} expected.",
    120: "⚠ {spent} spent, 120 % of the {expected} expected. Please look at it now.",
}


def spend_alert(view: CardView, data: Data) -> str:
    """The message in the thread that tells of a band, addressed to who started the run."""
    job, band = view.job, data.get("band")
    at_the_time = data.get("spent")
    cents = int(at_the_time) if isinstance(at_the_time, int) else view.spent_cents
    words = _REACHED.get(int(band) if isinstance(band, int) else 0, "{spent} spent of the {expected} expected.")
    mark = practice(job.configuration.tier)
    first = words.format(spent=f"{money(cents)}{mark}", expected=money(job.estimate.cents_expected))
    lines = [f"{mention(job.created_by)} {first}", projected(view), track_record(view), _ADVICE[view.advice]]
    return "\n".join(line for line in lines if line)


def projected(view: CardView) -> str:
    """`Projected $47.32 at the end: $46.10 at best, $52.40 at worst.`; empty where nothing can be said."""
    found = view.projection
    if found is None:
        return ""
    best, worst = money(found.best_cents), money(found.worst_cents)
    return f"Projected {money(found.expected_cents)} at the end: {best} at best, {worst} at worst."


def projected_range(view: CardView) -> str:
    """` ($46–53)` after a projected amount, where best and worst differ."""
    found = view.projection
    if found is None or found.best_cents == found.worst_cents:
        return ""
    return f" ({money_range(found.best_cents, found.worst_cents)})"


def track_record(view: CardView) -> str:
    """`Projections at half of the way were within ±6 % (8 runs).`, or that there is no record yet."""
    record = view.track_record
    if view.projection is None:
        return ""
    if record is None:
        return "How good such projections are is not known yet: no run with one has finished."
    runs = count(record.runs, "run")
    return f"Earlier projections at {record.progress} % of the way were within ±{share(record.mean_error)} ({runs})."


def breakdown(view: CardView) -> str:
    """`Computing $21.00, recovering from interruptions $1.18`; empty where there were none."""
    spend = view.spend
    if spend is None or not spend.interruption_cents:
        return ""
    return f"Computing {money(spend.compute_cents)}, recovering from interruptions {money(spend.interruption_cents)}"
