"""A training file as the team sees it: what is in it, how good it is, whether it may be used."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict

MINIMUM_CONVERSATIONS = 50
HIGH_QUALITY = 4.0  # of 5; below it a file is shown as "review"


class FileFormat(StrEnum):
    """The formats that are understood."""

    BRIGHTRUN_V4 = "brightrun-lora-v4"
    BRIGHTRUN_V5 = "brightrun-lora-v5"
    TURNS = "turns-jsonl"


class EnrichmentStatus(StrEnum):
    """Whether a file has been checked and counted."""

    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


class QualityScores(BaseModel):
    """Means over the trainable pairs, 1 to 5; None where no record carries the score."""

    model_config = ConfigDict(frozen=True)

    average: float | None = None
    lowest: float | None = None
    highest: float | None = None
    empathy: float | None = None
    clarity: float | None = None
    appropriateness: float | None = None
    brand_voice: float | None = None
    human_reviewed: int = 0


class TokenCounts(BaseModel):
    """Tokens of one epoch with `tokenizer` (a base model's id).

    `total` counts one sequence a conversation, `per_pair` what one sequence a pair would cost;
    `trainable` are the tokens that carry loss (end-of-turn tokens included).
    """

    model_config = ConfigDict(frozen=True)

    tokenizer: str
    total: int
    trainable: int
    per_pair: int
    longest: int
    lengths: tuple[int, ...] = ()


class TrainingFileStats(BaseModel):
    """What the import found. Distributions map a key (persona, arc, topic) to conversations."""

    model_config = ConfigDict(frozen=True)

    conversations: int
    training_pairs: int
    records: int
    sequences: int
    quality: QualityScores
    personas: dict[str, int]
    emotional_arcs: dict[str, int]
    topics: dict[str, int]
    tokens: TokenCounts | None = None


class TrainingFile(BaseModel):
    """A row of `training_files`. `storage_path` holds the original, `sequences_path` what jobs read."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    team_id: str
    name: str
    file_name: str
    file_format: FileFormat
    status: str
    enrichment_status: EnrichmentStatus
    storage_path: str
    sequences_path: str
    sequences_sha256: str
    size_bytes: int
    sha256: str
    stats: TrainingFileStats
    created_by: str
    created_at: datetime
