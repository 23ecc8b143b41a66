"""Why a job failed and what would help, as data: screens draw it, a retry applies it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from functions.model.estimate import MemoryNeed
from functions.model.events import FailedRecord

LABEL_MAX = 75
# FR3.1.3: a job without a GPU is tried every 5 minutes.
RETRY_EVERY = timedelta(minutes=5)
Setting = bool | int | float | str | None


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class FailureCode(StrEnum):
    """What programs call the failures that are recognised; `Failed.code` holds one of them."""

    OUT_OF_MEMORY = "out_of_memory"
    HOST_OUT_OF_MEMORY = "host_out_of_memory"
    HOST_KILLED = "host_killed"
    DATASET_FORMAT = "dataset_format"
    DATA_UNREADABLE = "data_unreadable"
    DATA_ALTERED = "data_altered"
    TIMEOUT = "timeout"
    NO_CAPACITY = "no_capacity"
    LAUNCH_FAILED = "launch_failed"
    MODEL_MISSING = "model_missing"
    MODEL_GATED = "model_gated"
    MODEL_UNREACHABLE = "model_unreachable"
    DISK_FULL = "disk_full"
    NAN_LOSS = "nan_loss"
    SETTINGS_INVALID = "settings_invalid"
    UPLOAD_FAILED = "upload_failed"
    INTERRUPTED = "interrupted"
    UNKNOWN = "unknown"


class Change(_Record):
    """One setting that a fix changes. `name` is a field of Configuration, its hyperparameters or its engine.

    `called` is what people call both values where those are keys; else empty.
    """

    name: str
    before: Setting
    after: Setting
    called: tuple[str, ...] = ()


class Fix(_Record):
    """Something that helps. One with `changes` can be tried at a press; one without is done by a person.

    `tried` and `worked` count this team's retries with this fix after this failure.
    """

    key: str
    label: str = Field(max_length=LABEL_MAX)
    why: str = ""
    changes: tuple[Change, ...] = ()
    tried: int = 0
    worked: int = 0


class Diagnosis(_Record):
    """One failure explained: `problem` in a sentence, `cause` in numbers, `fixes` with the best first.

    `again` tells whether trying again as it is makes sense.
    """

    code: str
    problem: str
    cause: str = ""
    fixes: tuple[Fix, ...] = ()
    again: bool = True
    memory: MemoryNeed | None = None
    record: FailedRecord | None = None
    reference: str = ""
    log_tail: tuple[str, ...] = ()

    def fix(self, key: str) -> Fix | None:
        """The fix with this key, if it is still suggested."""
        return next((item for item in self.fixes if item.key == key), None)


class ConfigurationKey(_Record):
    """What failures are counted by."""

    preset: str
    tier: str
    base_model: str
    batch_size: int


class SuggestionRecord(_Record):
    """How often a fix was tried to an end, and how often the job then completed."""

    tried: int = 0
    worked: int = 0


class EndingCounts(_Record):
    """How jobs of one configuration ended: completed ones, and failed ones by code."""

    completed: int = 0
    failed: dict[str, int] = {}

    @property
    def total(self) -> int:
        """All of them."""
        return self.completed + sum(self.failed.values())


class FailureHistory(_Record):
    """What past jobs say about the fixes of one failure: records by fix key."""

    suggestions: dict[str, SuggestionRecord] = {}


class WaitRecord(_Record):
    """How waits for a machine ended: those in which none came (`in_vain`), in all and around one hour of the day.

    Waits that somebody cut short are left out.
    """

    waits: int = 0
    in_vain: int = 0
    around: int = 0
    around_in_vain: int = 0


class GpuWait(_Record):
    """A job's wait for a GPU: since when, how often it was tried in vain, when it is tried next and given up."""

    tier: str
    reason: str
    since: datetime
    tries: int
    next_try_at: datetime
    gives_up_at: datetime
