"""What a run takes over from the one that it goes on from, besides its checkpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from pydantic import TypeAdapter

from functions.model.events import Body, HeldOut, Metrics
from functions.model.job_spec import ResumeFrom
from gpu_jobs.job_run import JobRun
from gpu_jobs.result import FOLDER, TrainingResult, kept_result

_POINTS = frozenset(kind.model_fields["kind"].default for kind in (Metrics, HeldOut))
_POINT: TypeAdapter[Metrics | HeldOut] = TypeAdapter(Metrics | HeldOut)


def adopt_result(run: JobRun) -> TrainingResult | None:
    """The finished training of the run that this one goes on from, copied; None if it did not get so far.

    Raises:
        OSError: there is no room for the copy.
    """
    source = run.spec.resume_from
    result = kept_result(Path(source.work_dir), run.fingerprint) if source else None
    if source is None or result is None:
        return None
    # First: who is killed here comes by again, who has the copy does not.
    for body in untold(source, up_to=result.steps):
        run.emit(body)
    stage = run.work_dir / f".{FOLDER}.partial"
    shutil.rmtree(stage, ignore_errors=True)
    shutil.copytree(Path(source.work_dir) / FOLDER, stage)
    stage.rename(run.work_dir / FOLDER)
    return result


def untold(source: ResumeFrom, *, up_to: int) -> Iterator[Body]:
    """The losses that the earlier run wrote down and could not deliver any more, each step's once.

    The service gave this run the curve up to `source.step`; up to its checkpoint the rest is only here.
    """
    if source.step is None:
        return
    found: dict[tuple[int, str], Body] = {}
    for path in sorted(Path(source.work_dir).glob("events-*.jsonl")):
        for line in path.read_text("utf-8").rpartition("\n")[0].splitlines():
            body = json.loads(line)["body"]
            if body["kind"] in _POINTS and source.step < body["step"] <= up_to:
                found[body["step"], body["kind"]] = _POINT.validate_python(body)
    for key in sorted(found, key=lambda item: (item[0], item[1] != "metrics")):
        yield found[key]
