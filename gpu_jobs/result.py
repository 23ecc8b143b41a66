"""The outcome of a training, kept on disk: once it is there, later attempts only pack and store."""

from __future__ import annotations

import json
import math
import platform
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from functions.model.job_spec import JobSpec
from functions.model.money import cost_cents
from gpu_jobs.adapter_files import write_adapter

FOLDER = "adapter"
_RESULT = "result.json"
_PACKAGES = ("torch", "transformers", "peft", "bitsandbytes", "safetensors")


@dataclass(frozen=True)
class TrainingResult:
    """Losses are means over trainable tokens, in nats; `seconds` is time spent in optimizer steps."""

    fingerprint: str
    steps: int
    trained_tokens: int
    seconds: float
    final_loss: float | None
    base_loss: float
    tuned_loss: float
    held_out_tokens: int
    held_out_conversations: int
    peak_memory_bytes: int | None

    @property
    def tokens_per_second(self) -> float:
        """Over all steps of all attempts that count."""
        return self.trained_tokens / self.seconds if self.seconds else 0.0

    @property
    def perplexities(self) -> tuple[float, float]:
        """Of the base model and of the tuned one, over the same tokens."""
        base, tuned = (math.exp(min(loss, 700.0)) for loss in (self.base_loss, self.tuned_loss))
        return base, tuned


def keep_result(model: Any, spec: JobSpec, result: TrainingResult) -> None:
    """Write adapter and figures to `work_dir/adapter`: all of it, or nothing.

    Raises:
        OSError: there is no room.
    """
    target = Path(spec.work_dir) / FOLDER
    stage = target.with_name(f".{FOLDER}.partial")
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True)
    write_adapter(model, spec, stage)
    (stage / _RESULT).write_text(json.dumps(asdict(result)), "utf-8")
    shutil.rmtree(target, ignore_errors=True)
    stage.rename(target)


def kept_result(work_dir: Path, fingerprint: str) -> TrainingResult | None:
    """What an earlier attempt of the same job brought about; None if there is nothing."""
    try:
        result = TrainingResult(**json.loads((work_dir / FOLDER / _RESULT).read_text("utf-8")))
    except FileNotFoundError:
        return None
    return result if result.fingerprint == fingerprint else None


def summarize(spec: JobSpec, result: TrainingResult, *, machine_seconds: float) -> dict[str, Any]:
    """What goes with the adapter as training_summary.json. Money in cents, times in seconds."""
    base, tuned = result.perplexities
    return {
        "job": {"id": str(spec.job_id), "name": spec.job_name, "attempts": spec.attempt, "preset": spec.preset},
        "base_model": spec.base_model,
        "data": {"name": spec.data.name, "sha256": spec.data.sha256, "held_out_fraction": spec.data.held_out_fraction},
        "hyperparameters": spec.hyperparameters.model_dump(mode="json"),
        "engine": spec.engine.model_dump(mode="json"),
        "training": {
            "steps": result.steps,
            "trained_tokens": result.trained_tokens,
            "final_loss": result.final_loss,
            "seconds": round(result.seconds, 1),
            "tokens_per_second": round(result.tokens_per_second, 1),
        },
        "held_out": {
            "conversations": result.held_out_conversations,
            "tokens": result.held_out_tokens,
            "base": {"loss": result.base_loss, "perplexity": base},
            "tuned": {"loss": result.tuned_loss, "perplexity": tuned},
        },
        "cost": {
            "machine_seconds": round(machine_seconds, 1),
            "cents_per_hour": spec.rate_cents_per_hour,
            "cents": cost_cents(machine_seconds, spec.rate_cents_per_hour),
        },
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
    }


def machine_seconds(work_dir: Path) -> float:
    """Time from the first to the last event of every attempt, added up."""
    return sum(_span(path.read_text("utf-8").splitlines()) for path in sorted(work_dir.glob("events-*.jsonl")))


def _span(lines: Sequence[str]) -> float:
    if len(lines) < 2:
        return 0.0
    first, last = (datetime.fromisoformat(json.loads(line)["at"]) for line in (lines[0], lines[-1]))
    return (last - first).total_seconds()
