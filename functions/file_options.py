"""Training files as they can be chosen: which there are, and why one may not be used now."""

from __future__ import annotations

from uuid import UUID

from functions.errors import NotEligible, NotFound
from functions.model.training_file import TrainingFile
from functions.model.views import FileOption
from functions.ports import TRAINING_FILES, Files, Transaction
from functions.training_files import eligibility


def file_option(tx: Transaction, files: Files, file: TrainingFile) -> FileOption:
    """The file with the reasons, if any, why it may not be trained on now."""
    verdict = eligibility(
        file,
        file_present=files.exists(TRAINING_FILES, file.sequences_path),
        active_job_name=tx.jobs.active_on_file(file.id),
    )
    return FileOption(file=file, reasons=verdict.reasons)


def find_files(tx: Transaction, *, team_id: str, text: str, limit: int) -> tuple[FileOption, ...]:
    """Training files whose name holds the text, those that may be used first.

    Whether their contents are still in the store is asked only of a chosen one: it is a request for each.
    """
    in_use = tx.jobs.files_in_use(team_id)
    verdicts = [
        (file, eligibility(file, file_present=True, active_job_name=in_use.get(file.id)))
        for file in tx.files.search(team_id, text, limit)
    ]
    found = [FileOption(file=file, reasons=verdict.reasons) for file, verdict in verdicts]
    return tuple(sorted(found, key=lambda option: bool(option.reasons)))


def get_file(tx: Transaction, *, team_id: str, file_id: UUID) -> TrainingFile:
    """The team's training file.

    Raises:
        NotFound: it is gone, or another team's.
    """
    file = tx.files.get(team_id, file_id)
    if file is None:
        raise NotFound("This training file is not there any more.", fix="Choose another one.")
    return file


def chosen_file(tx: Transaction, files: Files, *, team_id: str, file_id: UUID) -> FileOption:
    """The chosen file, with the reasons, if any, why it may not be trained on now.

    Raises:
        NotFound: it is gone, or another team's.
    """
    return file_option(tx, files, get_file(tx, team_id=team_id, file_id=file_id))


def require_eligible(option: FileOption) -> None:
    """Let a usable file pass.

    Raises:
        NotEligible: with every reason and how to mend it.
    """
    if option.reasons:
        raise NotEligible(f"{option.file.name} cannot be used now. {' '.join(option.reasons)}", reasons=option.reasons)
