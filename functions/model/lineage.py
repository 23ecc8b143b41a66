"""How runs come of one another, for the screens that tell of it."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, ConfigDict

from functions.model.states import JobState


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Relative(_Record):
    """Another run of the same line: the one that was tried again, or a try of this one."""

    id: UUID
    name: str
    state: JobState


class Family(_Record):
    """What a run came of, and what came of it: `tries` are the runs that tried it again, the oldest first.

    `differs` says what is other than in the parent, `batch 2 instead of 4`; empty where nothing is.
    """

    parent: Relative | None = None
    differs: str = ""
    tries: tuple[Relative, ...] = ()
