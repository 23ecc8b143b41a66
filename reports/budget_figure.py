"""The budget as a picture: this period's spending against its limit with the forecast, and the last months."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from functions.model.budget import BudgetView, Outlook
from functions.model.money import Period, next_month
from reports import style
from reports.style import Sheet

SIZE = (1600, 1400)
_MONTHS_TOP = 960
_DAY = 24 * 3600
_ALERT_SHARE = 0.8
# A bar lower than this share of the axes has its amount above it.
_ROOM_INSIDE = 0.25
# With fewer pixels between two labels at the right edge they could not be told apart.
_LABEL_GAP = 84.0


def budget_figure(view: BudgetView) -> bytes:
    """Spending day by day, its limit and forecast, above bars of the last six months; PNG, 1600 x 1400 pixels."""
    return draw_budget(view).png()


def draw_budget(view: BudgetView) -> Sheet:
    """The sheet behind `budget_figure`."""
    sheet = Sheet(*SIZE)
    spent, limit = view.forecast.spent_cents, view.status.limit_cents
    title = f"{_period(view)}: {_dollars(spent)} of {_dollars(limit)} spent"
    sheet.write(60, 84, sheet.fit(title, style.TITLE, sheet.width - 120, bold=True), style.TITLE, bold=True)
    sheet.write(60, 142, _outlook(view), style.SMALL, color=style.MUTED)
    _draw_period(sheet, view)
    _draw_months(sheet, view)
    return sheet


def _period(view: BudgetView) -> str:
    return f"{view.since:%B %Y}" if view.rules.period is Period.CALENDAR_MONTH else "The last 30 days"


def _outlook(view: BudgetView) -> str:
    made, limit = view.forecast, view.status.limit_cents
    total = made.total
    when = "By the end of the month" if made.at_pace else "With what is under way"
    said = f"{when}: about {_dollars(total.expected)}, {_dollars(total.best)} to {_dollars(total.worst)}"
    over = total.expected - limit
    return f"{said}; {_dollars(over)} over the limit" if over > 0 else f"{said}; within the limit"


def _dollars(cents: float) -> str:
    whole = round(cents / 100)
    if 0 < abs(cents) < 20_00:
        return f"${cents / 100:,.2f}"
    return f"-${-whole:,}" if whole < 0 else f"${whole:,}"


def _days(view: BudgetView, moment: datetime) -> float:
    return (moment - view.since).total_seconds() / _DAY


def _draw_period(sheet: Sheet, view: BudgetView) -> None:
    axes = sheet.axes(left=170, top=200, right=330, bottom=sheet.height - _MONTHS_TOP + 150)
    end = next_month(view.since) if view.rules.period is Period.CALENDAR_MONTH else view.now + timedelta(days=3)
    now, last = _days(view, view.now), _days(view, end)
    total, limit = view.forecast.total, view.status.limit_cents
    axes.set_xlim(0, last)
    axes.set_ylim(0, max(limit, total.worst, view.forecast.spent_cents, 100) * 1.12)
    _style(axes)
    axes.xaxis.set_major_locator(FixedLocator([day for day in range(0, int(last) + 1, 7) if day < last - 1]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda day, _: _day_name(view.since, float(day))))
    _draw_limit(axes, limit)
    points = _cumulative(view)
    xs, ys = [x for x, _ in points], [y for _, y in points]
    axes.fill_between(xs, ys, color=style.BLUE, alpha=0.12, linewidth=0, step="post")
    axes.plot(xs, ys, color=style.BLUE, linewidth=6, drawstyle="steps-post", solid_capstyle="butt", zorder=4)
    axes.plot([now], [ys[-1]], "o", color=style.BLUE, markersize=15, zorder=5, clip_on=False)
    _draw_forecast(axes, (now, ys[-1]), last, total)
    _label(
        axes,
        [
            (ys[-1], "Spent", _dollars(ys[-1]), style.BLUE),
            (float(limit), "Limit", _dollars(limit), style.VERMILLION),
            (float(total.expected), "Forecast", _dollars(total.expected), style.MUTED),
        ],
    )


def _style(axes: Any) -> None:
    axes.grid(axis="y", color=style.GRID, linewidth=2)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    # Nothing is written at 0: it would stand in the first day's way.
    axes.yaxis.set_major_formatter(FuncFormatter(lambda cents, _: _dollars(cents) if cents else ""))
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_fontproperties(style.font(style.SMALL))


def _day_name(since: datetime, day: float) -> str:
    moment = since + timedelta(days=day)
    return f"{moment:%b} {moment.day}"


def _cumulative(view: BudgetView) -> list[tuple[float, float]]:
    """(days since the period began, cents) after each day with spending, and now."""
    points, total = [(0.0, 0.0)], 0
    for day, cents in view.daily:
        total += cents
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        points.append((max(0.0, min(_days(view, start) + 0.5, _days(view, view.now))), float(total)))
    return [*points, (_days(view, view.now), float(view.forecast.spent_cents))]


def _draw_limit(axes: Any, limit: int) -> None:
    """The limit as a line, and the zone from 80 % of it up as a tint that deepens above it."""
    top = axes.get_ylim()[1]
    axes.axhspan(limit * _ALERT_SHARE, limit, color=style.VERMILLION, alpha=0.07, linewidth=0, zorder=0)
    axes.axhspan(limit, top, color=style.VERMILLION, alpha=0.14, linewidth=0, zorder=0)
    axes.axhline(limit, color=style.VERMILLION, linewidth=4, zorder=3)


def _draw_forecast(axes: Any, now: tuple[float, float], last: float, total: Outlook) -> None:
    x, spent = now
    axes.fill_between(
        [x, last], [spent, total.best], [spent, total.worst], color=style.GREY, alpha=0.25, linewidth=0, zorder=1
    )
    axes.plot([x, last], [spent, total.expected], color=style.MUTED, linewidth=4.5, linestyle=(0, (1, 1.6)), zorder=4)


def _label(axes: Any, ends: list[tuple[float, str, str, str]]) -> None:
    """Name and amount of each line at the right edge, moved apart where they would overlap."""
    box = axes.get_window_extent()
    ordered = sorted(ends)
    heights: list[float] = []
    for cents, *_ in ordered:
        wanted = float(axes.transData.transform((0, cents))[1])
        heights.append(max(wanted, heights[-1] + _LABEL_GAP) if heights else wanted)
    over = max(0.0, heights[-1] - (box.y1 - 10))
    for (_, name, amount, color), height in zip(ordered, heights, strict=True):
        for offset, text, bold in ((2, name, False), (-36, amount, True)):
            axes.text(
                box.x1 + 26, height - over + offset, text, transform=None,
                fontproperties=style.font(style.SMALL, bold=bold), color=color, parse_math=False,
            )  # fmt: skip


def _draw_months(sheet: Sheet, view: BudgetView) -> None:
    ended = [month.cents for month in view.months[:-1] if month.cents > 0]
    mean = f", {_dollars(sum(ended) / len(ended))} on average before this one" if ended else ""
    sheet.write(60, _MONTHS_TOP + 10, f"By month{mean}", style.LABEL, bold=True)
    axes = sheet.axes(left=60, top=_MONTHS_TOP + 90, right=60, bottom=80)
    places = list(range(len(view.months)))
    cents = [max(0, month.cents) for month in view.months]
    colors = [style.MUTED] * (len(cents) - 1) + [style.BLUE]
    axes.bar(places, cents, width=0.6, color=colors)
    axes.set_xlim(-0.6, len(cents) - 0.4)
    axes.set_ylim(0, (max([*cents, *(month.limit_cents or 0 for month in view.months)]) or 1) * 1.22)
    axes.set_yticks([])
    axes.set_xticks(places, [_month_name(month.month) for month in view.months])
    for label in axes.get_xticklabels():
        label.set_fontproperties(style.font(style.SMALL))
    for place, month in zip(places, view.months, strict=True):
        if month.limit_cents:
            axes.plot([place - 0.38, place + 0.38], [month.limit_cents] * 2, color=style.VERMILLION, linewidth=4)
        inside = max(0, month.cents) / axes.get_ylim()[1] > _ROOM_INSIDE
        axes.annotate(
            _dollars(month.cents), (place, max(0, month.cents)), xytext=(0, -34 if inside else 8),
            textcoords="offset points", ha="center", fontproperties=style.font(style.SMALL, bold=True),
            color=style.PAPER if inside else style.INK, annotation_clip=False, parse_math=False,
        )  # fmt: skip


def _month_name(month: date) -> str:
    return f"{month:%b}"
