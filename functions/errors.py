"""Every error that a person can meet, as one tree.

BrightRunError                 what is wrong, where, what to do
├── InvalidInput               the person typed or sent something that cannot be used
│   └── TrainingFileInvalid    a training file with problems, record by record
├── NotEligible                a training file that may not be trained on now
├── NotAllowed                 the person's role does not permit this
├── OverBudget                 the reservation would pass the month's limit
├── ApprovalNeeded             somebody else has to agree first
├── QueueFull                  as many jobs wait as may
├── NotFound                   no such job, file, artifact
├── Conflict                   true once, not any more (name taken, state moved on)
│   └── TooLate                a request that waits for no decision any more
├── LinkRefused                a signed link that expired or was altered
└── Unavailable                something outside did not answer; trying again is right
    └── NoCapacity             no machine of the wanted kind is free now
"""

from __future__ import annotations

from collections.abc import Sequence


class BrightRunError(Exception):
    """Something a person should read.

    Args:
        what: one sentence saying what is wrong.
        where: the place (a file's record, a field, a job), or "".
        fix: what the person can do about it, or "".
    """

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        parts = [self.what, f"({self.where})" if self.where else "", self.fix]
        return " ".join(part for part in parts if part)


class InvalidInput(BrightRunError, ValueError):
    """What the person gave cannot be used as it is. `field` names the form's field, if one is to blame."""

    def __init__(self, what: str, *, where: str = "", fix: str = "", field: str = "") -> None:
        super().__init__(what, where=where, fix=fix)
        self.field = field


class TrainingFileInvalid(InvalidInput):
    """A training file that cannot be imported. `problems` are sentences, the most telling first."""

    def __init__(self, what: str, *, problems: Sequence[str] = (), where: str = "", fix: str = "") -> None:
        super().__init__(what, where=where, fix=fix)
        self.problems = tuple(problems)


class NotEligible(BrightRunError):
    """The training file may not be trained on now; `reasons` each say why and how to mend it."""

    def __init__(self, what: str, *, reasons: Sequence[str] = (), fix: str = "") -> None:
        super().__init__(what, fix=fix)
        self.reasons = tuple(reasons)


class NotAllowed(BrightRunError, PermissionError):
    """The person's role does not permit this."""


class OverBudget(BrightRunError):
    """The upper estimate does not fit in what is left of the month's limit. Amounts in cents."""

    def __init__(self, what: str, *, needed_cents: int, remaining_cents: int, fix: str = "") -> None:
        super().__init__(what, fix=fix)
        self.needed_cents = needed_cents
        self.remaining_cents = remaining_cents


class ApprovalNeeded(BrightRunError):
    """Somebody else has to agree first; nothing was started."""


class QueueFull(BrightRunError):
    """As many jobs wait as may; nothing was started."""


class NotFound(BrightRunError, LookupError):
    """No such thing, or not in this team."""


class Conflict(BrightRunError):
    """True once, not any more: a name taken, a state that moved on."""


class TooLate(Conflict):
    """A request that waits for no decision any more; `by` is the user who decided it, "" where nobody did."""

    def __init__(self, what: str, *, by: str, fix: str = "") -> None:
        super().__init__(what, fix=fix)
        self.by = by


class LinkRefused(BrightRunError):
    """A signed link that has expired or was altered. `expired` tells which."""

    def __init__(self, what: str, *, expired: bool, fix: str = "") -> None:
        super().__init__(what, fix=fix)
        self.expired = expired


class Unavailable(BrightRunError, ConnectionError):
    """Something outside did not answer; nothing was changed and trying again is right."""


class NoCapacity(Unavailable):
    """No machine of the wanted kind is free now. `what` is the provider's answer, for people."""
