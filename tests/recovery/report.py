"""What came out of a run, for programs and for people."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.recovery.chooser import Pair


@dataclass(frozen=True)
class Happened:
    """One fault: seconds since the beginning, what, and to which job in which state."""

    at: float
    kind: str
    job: str
    state: str

    def __str__(self) -> str:
        return f"{self.at:7.1f} s  {self.kind:26} {self.state:14} {self.job}"


@dataclass
class Report:
    """A run's figures. Times in seconds."""

    seed: int
    trail: list[Happened] = field(default_factory=list)
    hits: Counter[Pair] = field(default_factory=Counter)
    pairs: Sequence[Pair] = ()
    jobs: int = 0
    attempts: int = 0
    interruptions: int = 0
    failures: int = 0
    retries: int = 0
    events: int = 0
    messages: int = 0
    slowest_notice: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)
    line: dict[str, int] = field(default_factory=dict)
    log_errors: dict[str, int] = field(default_factory=dict)
    violations: dict[str, list[str]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every invariant holds."""
        return not self.violations

    @property
    def never_hit(self) -> list[Pair]:
        """Pairs of fault and state that had no turn."""
        return [pair for pair in self.pairs if not self.hits[pair]]

    def as_json(self) -> dict[str, Any]:
        """Everything, plain."""
        return {
            "seed": self.seed,
            "passed": self.passed,
            "faults": len(self.trail),
            "faults_by_kind": dict(sorted(Counter(fault.kind for fault in self.trail).items())),
            "faults_by_state": dict(sorted(Counter(fault.state for fault in self.trail).items())),
            "pairs": len(self.pairs),
            "pairs_hit": len(self.pairs) - len(self.never_hit),
            "pairs_never_hit": [f"{pair.kind} × {pair.state}" for pair in self.never_hit],
            "jobs": self.jobs,
            "attempts": self.attempts,
            "interruptions": self.interruptions,
            "failures": self.failures,
            "retries": self.retries,
            "events": self.events,
            "messages": self.messages,
            "slowest_notice_s": round(self.slowest_notice, 1),
            "seconds": {name: round(value, 1) for name, value in self.seconds.items()},
            "line": dict(sorted(self.line.items())),
            "log_errors": self.log_errors,
            "violations": self.violations,
            "trail": [str(fault) for fault in self.trail],
        }

    def write(self, path: Path) -> None:
        """Everything as JSON."""
        path.write_text(json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n", "utf-8")

    def text(self) -> str:
        """A short account; where something is wrong, all that is needed to repeat it."""
        kinds = Counter(fault.kind for fault in self.trail)
        hit = len(self.pairs) - len(self.never_hit)
        lines = [
            f"{len(self.trail)} faults in {self.seconds.get('faults', 0):.0f} s, seed {self.seed}: "
            + ", ".join(f"{kind} {number}" for kind, number in sorted(kinds.items())),
            f"{self.jobs} jobs, {self.attempts} attempts, {self.interruptions} interruptions, "
            f"{self.failures} failures, {self.retries} times Try again; {self.events} events, {self.messages} messages",
            f"{hit} of {len(self.pairs)} pairs of fault and state hit; at rest {self.seconds.get('rest', 0):.0f} s "
            f"after the last fault; a killed trainer was noticed within {self.slowest_notice:.1f} s",
        ]
        if self.passed:
            return "\n".join([*lines, "All invariants hold."])
        lines += [f"{name}: {wrong}" for name, found in self.violations.items() for wrong in found]
        return "\n".join([*lines, "The trail:", *map(str, self.trail)])
