"""Which files may be trained on now, why not, and the preset that the form begins with."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from functions.model.training_file import EnrichmentStatus, TrainingFile
from functions.training_files import default_preset, describe, eligibility, read_training_file


def file_of(conversations: int, **changes: Any) -> TrainingFile:
    talk = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    lines = "\n".join(json.dumps({"turns": talk}) for _ in range(conversations))
    parsed = read_training_file(lines.encode(), file_name="file.jsonl")
    known: dict[str, Any] = {
        "id": UUID(int=1),
        "team_id": "T1",
        "name": parsed.name,
        "file_name": "file.jsonl",
        "file_format": parsed.format,
        "status": "active",
        "enrichment_status": EnrichmentStatus.COMPLETED,
        "storage_path": "original",
        "sequences_path": "sequences",
        "sequences_sha256": "0" * 64,
        "size_bytes": len(lines),
        "sha256": "0" * 64,
        "stats": describe(parsed, None),
        "created_by": "U1",
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return TrainingFile(**known | changes)


def test_fifty_conversations_are_enough() -> None:
    verdict = eligibility(file_of(50), file_present=True, active_job_name=None)
    assert verdict.ok
    assert verdict.reasons == ()


def test_forty_nine_can_be_imported_but_not_trained_on() -> None:
    verdict = eligibility(file_of(49), file_present=True, active_job_name=None)
    assert not verdict.ok
    (reason,) = verdict.reasons
    assert "49 of the 50 needed" in reason
    assert "at least 1 more" in reason


@pytest.mark.parametrize(
    ("changes", "present", "job", "reason"),
    [
        ({"enrichment_status": EnrichmentStatus.PROCESSING}, True, None, "still being checked"),
        ({"enrichment_status": EnrichmentStatus.FAILED}, True, None, "checking it failed"),
        ({"status": "archived"}, True, None, "is archived"),
        ({}, False, None, "Storage file missing"),
        ({}, True, "Spring run", '"Spring run" is active'),
    ],
)
def test_each_reason_says_which(changes: Any, present: bool, job: str | None, reason: str) -> None:
    verdict = eligibility(file_of(50, **changes), file_present=present, active_job_name=job)
    assert not verdict.ok
    (said,) = verdict.reasons
    assert reason in said


def test_all_reasons_are_told_at_once() -> None:
    file = file_of(3, enrichment_status=EnrichmentStatus.FAILED)
    assert len(eligibility(file, file_present=False, active_job_name="x").reasons) == 4


@pytest.mark.parametrize(
    ("conversations", "preset"),
    [(0, "conservative"), (149, "conservative"), (150, "balanced"), (300, "balanced"), (301, "aggressive")],
)
def test_the_preset_follows_the_number_of_conversations(conversations: int, preset: str) -> None:
    assert default_preset(conversations) == preset
