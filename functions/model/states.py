"""The life of a job: its states and the one table of legal transitions between them.

The database has the same table and refuses every other change (migration `lifecycle`); a test compares the two.
"""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands. Names are those of the requirement documents."""

    PENDING_CONFIGURATION = "pending_configuration"
    QUEUED = "queued"
    QUEUED_WAITING_FOR_GPU = "queued_waiting_for_gpu"
    PROVISIONING = "provisioning"
    PREPROCESSING = "preprocessing"
    LOADING_MODEL = "loading_model"
    TRAINING = "training"
    INTERRUPTED = "interrupted"
    RECOVERING = "recovering"
    FINALIZING = "finalizing"
    EVALUATING = "evaluating"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PAUSED = "paused"


_S = JobState

RUNNING = frozenset(
    {
        _S.PROVISIONING,
        _S.PREPROCESSING,
        _S.LOADING_MODEL,
        _S.TRAINING,
        _S.RECOVERING,
        _S.FINALIZING,
        _S.EVALUATING,
    }
)
WAITING = frozenset({_S.PENDING_CONFIGURATION, _S.QUEUED, _S.QUEUED_WAITING_FOR_GPU, _S.INTERRUPTED, _S.PAUSED})
IN_QUEUE = frozenset({_S.QUEUED, _S.QUEUED_WAITING_FOR_GPU})
TERMINAL = frozenset({_S.COMPLETED, _S.FAILED, _S.CANCELLED})
ACTIVE = (RUNNING | WAITING) - {_S.PENDING_CONFIGURATION}

_ENDINGS = frozenset({_S.FAILED, _S.CANCELLED})
_STOPS = _ENDINGS | {_S.INTERRUPTED, _S.PAUSED}

LEGAL: dict[JobState, frozenset[JobState]] = {
    _S.PENDING_CONFIGURATION: frozenset({_S.QUEUED, _S.CANCELLED}),
    _S.QUEUED: frozenset({_S.PROVISIONING, _S.QUEUED_WAITING_FOR_GPU}) | _ENDINGS,
    _S.QUEUED_WAITING_FOR_GPU: frozenset({_S.PROVISIONING, _S.QUEUED}) | _ENDINGS,
    _S.PROVISIONING: frozenset({_S.PREPROCESSING, _S.QUEUED_WAITING_FOR_GPU}) | _STOPS,
    _S.PREPROCESSING: frozenset({_S.LOADING_MODEL}) | _STOPS,
    _S.LOADING_MODEL: frozenset({_S.TRAINING, _S.FINALIZING}) | _STOPS,
    _S.TRAINING: frozenset({_S.FINALIZING, _S.EVALUATING}) | _STOPS,
    _S.INTERRUPTED: frozenset({_S.RECOVERING, _S.PAUSED}) | _ENDINGS,
    _S.RECOVERING: frozenset(
        {_S.PREPROCESSING, _S.LOADING_MODEL, _S.TRAINING, _S.FINALIZING, _S.QUEUED_WAITING_FOR_GPU}
    )
    | _STOPS,
    _S.FINALIZING: frozenset({_S.EVALUATING, _S.COMPLETED}) | _STOPS,
    _S.EVALUATING: frozenset({_S.FINALIZING, _S.COMPLETED}) | _STOPS,
    _S.PAUSED: frozenset({_S.QUEUED, _S.CANCELLED}),
    # Trying again makes another job, which goes on from this one's checkpoint.
    _S.FAILED: frozenset(),
    _S.COMPLETED: frozenset(),
    _S.CANCELLED: frozenset(),
}


def is_legal(before: JobState, after: JobState) -> bool:
    """Whether a job may go from `before` to `after`. Staying where it is, is not a transition."""
    return after in LEGAL[before]
