"""One thing of many that fails does not hold up the others."""

from __future__ import annotations

import logging
from collections.abc import Callable

from functions.errors import BrightRunError

log = logging.getLogger(__name__)


def guarded(what: str, action: Callable[[], None]) -> None:
    """Do it; its trouble is logged, as that of `what`, and goes no further."""
    try:
        action()
    except BrightRunError as error:
        log.warning("%s: %s", what, error)
    except Exception:
        log.exception("%s: unexpected error", what)
