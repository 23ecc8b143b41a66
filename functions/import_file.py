"""Adding a training file: read, checked, counted, shown, and stored once it is confirmed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from uuid import uuid4

from functions.access import require
from functions.model.ids import derived_id
from functions.model.people import Permission, Person
from functions.model.training_file import EnrichmentStatus, TokenCounts, TrainingFile
from functions.model.views import ImportReport
from functions.ports import TRAINING_FILES, Clock, Database, Files, TokenCounter
from functions.training_files import (
    ParsedTrainingFile,
    describe,
    eligibility,
    read_training_file,
    to_jsonl,
)


class CheckedFile:
    """A file that was read and counted but not yet stored."""

    def __init__(self, *, report: ImportReport, original: Path, sequences: bytes) -> None:
        self.report = report
        self.original = original
        self.sequences = sequences


def count_tokens(counter: TokenCounter, base_model: str, parsed: ParsedTrainingFile) -> TokenCounts:
    """Tokens of one epoch, as one sequence a conversation and as one sequence a pair."""
    per_pair = tuple(parsed.pair_sequences)
    counted = counter.count(base_model, (*parsed.sequences, *per_pair))
    merged, separate = counted[: len(parsed.sequences)], counted[len(parsed.sequences) :]
    lengths = tuple(total for total, _ in merged)
    return TokenCounts(
        tokenizer=base_model,
        total=sum(lengths),
        trainable=sum(trainable for _, trainable in merged),
        per_pair=sum(total for total, _ in separate),
        longest=max(lengths, default=0),
        lengths=lengths,
    )


def check_file(
    path: Path, *, file_name: str, person: Person, counter: TokenCounter, base_model: str, clock: Clock
) -> CheckedFile:
    """Read and count a file without storing it.

    Raises:
        NotAllowed: the person may not add files.
        TrainingFileInvalid: with every problem, where it is and how to mend it.
    """
    require(person, Permission.IMPORT_FILES)
    parsed = read_training_file(path, file_name=file_name)
    sequences = to_jsonl(parsed.sequences)
    sha256 = _sha256(path)
    file_id = derived_id("training-file", person.team_id, sha256, str(uuid4()))
    file = TrainingFile(
        id=file_id,
        team_id=person.team_id,
        name=parsed.name,
        file_name=file_name,
        file_format=parsed.format,
        status="active",
        enrichment_status=EnrichmentStatus.COMPLETED,
        storage_path=f"{person.team_id}/{file_id}/original{path.suffix or '.json'}",
        sequences_path=f"{person.team_id}/{file_id}/sequences.jsonl",
        sequences_sha256=hashlib.sha256(sequences).hexdigest(),
        size_bytes=path.stat().st_size,
        sha256=sha256,
        stats=describe(parsed, count_tokens(counter, base_model, parsed)),
        created_by=person.user_id,
        created_at=clock(),
    )
    verdict = eligibility(file, file_present=True, active_job_name=None)
    report = ImportReport(
        file_name=file_name,
        name=file.name,
        size_bytes=file.size_bytes,
        file=file,
        warnings=parsed.warnings,
        reasons=verdict.reasons,
    )
    return CheckedFile(report=report, original=path, sequences=sequences)


def store_file(db: Database, files: Files, *, checked: CheckedFile, person: Person, clock: Clock) -> TrainingFile:
    """Store a checked file. The same bytes again return the file that is there already.

    Raises:
        NotAllowed: the person may not add files.
    """
    require(person, Permission.IMPORT_FILES)
    file = checked.report.file
    with db.transaction() as tx:
        there = tx.files.by_content(person.team_id, file.sha256)
    if there is not None:
        return there
    files.put(TRAINING_FILES, file.storage_path, checked.original)
    files.put(TRAINING_FILES, file.sequences_path, checked.sequences)
    with db.transaction() as tx:
        tx.ledger.lock_limit(person.team_id)  # one import of a team at a time: the same bytes are added once
        there = tx.files.by_content(person.team_id, file.sha256)
        if there is not None:
            return there
        tx.files.add(file)
        tx.audit.append(
            team_id=person.team_id,
            at=clock(),
            actor=person.user_id,
            action="training_file.added",
            target=str(file.id),
            detail={"name": file.name, "conversations": file.stats.conversations},
        )
    return file


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
