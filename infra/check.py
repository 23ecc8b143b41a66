"""`brightrun check`: what a training file holds and whether a job could be started from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from functions import catalog
from functions.errors import BrightRunError, TrainingFileInvalid
from functions.import_file import check_file
from functions.model.people import Person, Role
from functions.model.views import ImportReport
from infra.clock import utc_now
from infra.local_compute import LocalCompute
from infra.settings import LOCAL_TEAM, Settings
from infra.token_counter import SubprocessTokenCounter


@dataclass(frozen=True)
class CheckResult:
    """What was found: a report, or the error that says why there is none."""

    path: Path
    report: ImportReport | None
    error: BrightRunError | None

    @property
    def startable(self) -> bool:
        """Whether a job could be started from the file."""
        return self.report is not None and not self.report.reasons

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that stands in the way."""
        if self.report is not None:
            return self.report.reasons
        if isinstance(self.error, TrainingFileInvalid) and self.error.problems:
            return self.error.problems
        return (str(self.error),) if self.error else ()

    def as_json(self) -> dict[str, object]:
        """For programs."""
        found: dict[str, object] = {
            "file": str(self.path),
            "startable": self.startable,
            "problems": list(self.problems),
        }
        if self.report is not None:
            found |= {
                "name": self.report.name,
                "format": self.report.file.file_format.value,
                "warnings": list(self.report.warnings),
                "stats": self.report.file.stats.model_dump(mode="json", exclude={"tokens": {"lengths"}}),
            }
        elif self.error is not None:
            found["error"] = str(self.error)
        return found

    def as_text(self) -> str:
        """For people."""
        if self.report is None:
            lines = [f"{self.path.name} cannot be used. {self.error.what if self.error else ''}".rstrip()]
            details = [problem for problem in self.problems if problem != str(self.error)]
            fix = [self.error.fix] if self.error and self.error.fix else []
            return "\n".join([*lines, *(f"  - {problem}" for problem in details), *fix])
        stats = self.report.file.stats
        lines = [
            f"{self.report.name} ({self.report.file.file_format.value}, {self.report.size_bytes:,} bytes)",
            f"  {stats.conversations} conversations, {stats.training_pairs} training pairs in {stats.records} records",
        ]
        if stats.tokens is not None:
            lines.append(
                f"  {stats.tokens.total:,} tokens an epoch, {stats.tokens.trainable:,} of them trained on; "
                f"one sequence a pair would take {stats.tokens.per_pair:,}"
            )
        if stats.quality.average is not None:
            lines.append(f"  quality {stats.quality.average:.2f} of 5")
        lines += [f"  note: {warning}" for warning in self.report.warnings]
        verdict = "Ready for training." if self.startable else "Not ready for training:"
        return "\n".join([*lines, verdict, *(f"  - {problem}" for problem in self.problems)])


def check_training_file(path: Path, settings: Settings) -> CheckResult:
    """Read, check and count the file; nothing is stored."""
    compute = LocalCompute(settings.data_dir)
    try:
        checked = check_file(
            path,
            file_name=path.name,
            person=Person(team_id=LOCAL_TEAM, user_id="cli", role=Role.ADMIN),
            counter=SubprocessTokenCounter(lambda model: compute.model_path(model) or model),
            base_model=catalog.models_of(compute.provider)[-1].hub_id,
            clock=utc_now,
        )
    except BrightRunError as error:
        return CheckResult(path=path, report=None, error=error)
    return CheckResult(path=path, report=checked.report, error=None)
