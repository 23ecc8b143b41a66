"""Tokens a second and peak memory of `gpu_jobs` against a bare TRL script: same data, same settings, in turns."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from uuid import uuid4

from functions.model.events import Finished
from functions.model.job_spec import EMBEDDED_MODEL, EngineOptions, Hyperparameters, JobSpec, TrainingData
from functions.training_files import read_training_file, to_jsonl
from gpu_jobs.embedded_model import ensure_embedded_model
from gpu_jobs.environment import training_environment
from tests.bench.result import Result

_ROOT = Path(__file__).resolve().parents[2]
_STEPS = 3
_SEQUENCES = 12
_MAX_LENGTH = 1024
_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def measure() -> list[Result]:
    """The two ratios. Neither side is quantised: on a CPU, TRL's NF4 is so slow that it would flatter us."""
    with tempfile.TemporaryDirectory(prefix="brightrun-bench-") as name:
        folder = Path(name)
        model = ensure_embedded_model((_ROOT / ".brightrun" / "models").resolve())
        sequences = folder / "sequences.jsonl"
        parsed = read_training_file(_ROOT / "infra" / "demo" / "nell-harrow.json", file_name="nell-harrow.json")
        sequences.write_bytes(to_jsonl(parsed.sequences[:_SEQUENCES]))
        theirs = _bare(model, sequences)
        ours = _ours(model, sequences, folder)
    return [
        Result(
            "training tokens/s against a bare TRL script",
            ours["tokens_per_second"] / theirs["tokens_per_second"],
            "times",
            at_least=0.98,
            note=f"{ours['tokens_per_second']:.0f} and {theirs['tokens_per_second']:.0f} tokens/s",
        ),
        Result(
            "peak memory against a bare TRL script",
            ours["peak_bytes"] / theirs["peak_bytes"],
            "times",
            at_most=1.05,
            note=f"{ours['peak_bytes'] / 1e9:.1f} and {theirs['peak_bytes'] / 1e9:.1f} GB",
        ),
    ]


def _bare(model: Path, sequences: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.bare_trl", str(model), str(sequences), str(_STEPS), str(_MAX_LENGTH)]
    done = subprocess.run(command, env=os.environ | training_environment(), capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _ours(model: Path, sequences: Path, folder: Path) -> dict[str, float]:
    spec = JobSpec(
        job_id=uuid4(),
        job_name="bench",
        attempt=1,
        base_model=EMBEDDED_MODEL,
        base_model_path=str(model),
        data=TrainingData(
            url=sequences.as_uri(), sha256=hashlib.sha256(sequences.read_bytes()).hexdigest(), name="bench"
        ),
        hyperparameters=Hyperparameters(
            rank=16,
            alpha=32,
            dropout=0.0,
            target_modules=_MODULES,
            learning_rate=1e-3,
            epochs=1,
            batch_size=2,
            gradient_accumulation_steps=2,
            warmup_ratio=0.0,
            max_length=_MAX_LENGTH,
            max_steps=_STEPS,
        ),
        engine=EngineOptions(quantization="none"),
        work_dir=str(folder / "work"),
    )
    spec_file = folder / "spec.json"
    spec_file.write_text(spec.model_dump_json(), "utf-8")
    environment = os.environ | training_environment() | {"BRIGHTRUN_JOB_TOKEN": "bench"}
    subprocess.run([sys.executable, "-m", "gpu_jobs", str(spec_file)], env=environment, capture_output=True, check=True)
    lines = (folder / "work" / "events-1.jsonl").read_text("utf-8").splitlines()
    finished = Finished.model_validate(json.loads(lines[-1])["body"])
    assert finished.peak_memory_bytes is not None
    return {"tokens_per_second": finished.tokens_per_second, "peak_bytes": float(finished.peak_memory_bytes)}
