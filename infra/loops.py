"""What goes round and round in an installation, wherever it runs: a process of its own, or a container for a while."""

from __future__ import annotations

import logging
from collections.abc import Callable

from functions.digest import BudgetLoop
from functions.errors import BrightRunError
from infra.clock import utc_now
from infra.wiring import Parts

log = logging.getLogger(__name__)


def repeat(
    step: Callable[[], bool], *, pause: float, until: Callable[[], bool], rest: Callable[[float], object]
) -> None:
    """Call `step` again and again, whatever it raises; it returns whether there is more to do at once.

    Args:
        step: what to do.
        pause: seconds between two steps where there is no more to do.
        until: whether it is time to end.
        rest: waits for so many seconds, or until it is time to end.
    """
    while not until():
        try:
            busy = step()
        except BrightRunError as error:
            log.warning("%s; trying again", error)
            busy = False
        except Exception:
            # A loop that ends early leaves jobs without anybody; another one beside it must not suffer either.
            log.exception("unexpected error; trying again")
            busy = False
        if not busy:
            rest(pause)


def reconciling(parts: Parts) -> Callable[[], bool]:
    """One step of the reconcile loop: the jobs, and then the budgets."""
    reconciler, budgets = parts.reconciler(), BudgetLoop(parts.db, clock=utc_now)

    def step() -> bool:
        reconciler.step()
        budgets.step()
        return False

    return step
