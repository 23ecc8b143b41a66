"""What people do to jobs in the middle of it all: pause, let go on, cancel, move to the front."""

from __future__ import annotations

from collections.abc import Callable

from functions.errors import BrightRunError
from functions.lifecycle import cancel_job, pause_job, promote_job, resume_paused
from functions.model.people import Person, Role
from infra.clock import utc_now
from tests.recovery.installation import Installation, LiveJob
from tests.scenario.house import ELENA, TEAM

_MARCUS = Person(team_id=TEAM, user_id="U0MARCUS", role=Role.MANAGER)
# While a person's card has the button.
PAUSABLE = ("provisioning", "recovering", "preprocessing", "loading_model", "training", "finalizing")
CANCELLABLE = ("queued", *PAUSABLE, "interrupted", "paused")


class People:
    """Their verbs, over the installation's own database; False where that is away or they come too late."""

    def __init__(self, house: Installation) -> None:
        self._db = house.parts.db

    def pause(self, job: LiveJob) -> bool:
        """Let it save and rest."""
        return _done(lambda: pause_job(self._db, clock=utc_now, person=ELENA, job_id=job.id))

    def resume(self, job: LiveJob) -> bool:
        """Put it back into the queue."""
        return _done(lambda: resume_paused(self._db, clock=utc_now, person=ELENA, job_id=job.id))

    def cancel(self, job: LiveJob) -> bool:
        """End it for good."""
        return _done(lambda: cancel_job(self._db, clock=utc_now, person=ELENA, job_id=job.id, reason="Testing"))

    def promote(self, job: LiveJob) -> bool:
        """Put it before all others."""
        return _done(lambda: promote_job(self._db, clock=utc_now, person=_MARCUS, job_id=job.id))


def _done(deed: Callable[[], object]) -> bool:
    try:
        deed()
    except BrightRunError:
        return False
    return True
