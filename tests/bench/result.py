"""One measured figure and the goal it is held against."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """A figure with its unit. `at_most` and `at_least` are the goal; either may be None."""

    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether the goal is met; a figure without a goal always is."""
        below = self.at_most is None or self.value <= self.at_most
        return below and (self.at_least is None or self.value >= self.at_least)

    def line(self) -> str:
        """For the table."""
        goal = ""
        if self.at_most is not None:
            goal = f"goal ≤ {self.at_most:g}"
        if self.at_least is not None:
            goal = f"goal ≥ {self.at_least:g}"
        mark = "✓" if self.met else "✗"
        return f"{mark} {self.name:<52} {self.value:>12,.2f} {self.unit:<10} {goal:<16} {self.note}".rstrip()


def percentile(values: list[float], share: float) -> float:
    """The value below which that share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
