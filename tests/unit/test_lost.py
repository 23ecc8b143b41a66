"""What a job's machines were lost to is read from the provider's words, and said as a person would."""

from __future__ import annotations

import pytest

from functions.lost import gave_up
from functions.model.diagnosis import FailureCode
from functions.model.job import Job
from functions.model.progress import Interruption, Progress
from tests.unit import block_views as views


def _lost(cause: str, *, checkpoint: int | None = None) -> Job:
    lost = Interruption(at=views.NOW, step=7, cause=cause)
    return views.job(progress=Progress(interruptions=(lost, lost), checkpoint_step=checkpoint))


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        ("exit code -9, the kernel says: out of memory", FailureCode.HOST_OUT_OF_MEMORY),
        ("OOMKilled", FailureCode.HOST_OUT_OF_MEMORY),
        ("exit code 137", FailureCode.HOST_KILLED),
        ("SIGSEGV", FailureCode.HOST_KILLED),
        ("exit code 3", FailureCode.UNKNOWN),
        ("the trainer crashed: OSError: no room on the moon", FailureCode.UNKNOWN),
        ("its container failed: ModuleNotFoundError: No module named 'trl'", FailureCode.UNKNOWN),
        ("Modal ended it at its time limit", FailureCode.INTERRUPTED),
        ("no room for it any more", FailureCode.INTERRUPTED),
    ],
)
def test_cause_tells_the_kind_of_failure(cause: str, code: FailureCode) -> None:
    failure = gave_up(_lost(cause))

    assert failure.code == code
    assert cause in failure.why
    assert bool(failure.reference) == (code == FailureCode.UNKNOWN)


def test_what_helps_says_where_it_would_go_on() -> None:
    assert gave_up(_lost("exit code 3")).fixes == ("Try again: nothing was trained yet.",)
    assert "goes on from step 5" in gave_up(_lost("exit code 3", checkpoint=5)).fixes[0]
