"""The embedded model, converted and trained by the very commands that run in production."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from functions.model.job_spec import EMBEDDED_MODEL, EngineOptions
from gpu_jobs.embedded_model import FOLDER, ensure_embedded_model
from gpu_jobs.environment import physical_cores, training_environment
from gpu_jobs.tokenization import count_tokens
from tests.unit.gpu_tiny import conversations, job_spec, kinds, told

pytestmark = pytest.mark.weights

_ENSURE = "import sys; from pathlib import Path; from gpu_jobs.embedded_model import ensure_embedded_model as e; "


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two processes ask for the model at once; both get it, and it was converted once."""
    folder = tmp_path_factory.mktemp("models")
    command = [sys.executable, "-c", _ENSURE + "print(e(Path(sys.argv[1])), 'torch' in sys.modules)", str(folder)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        output, _ = process.communicate(timeout=200)
        assert output.split() == [str(folder / FOLDER), "False"]
    assert sorted(path.name for path in folder.iterdir()) == [f".{FOLDER}.lock", FOLDER]
    return folder


def test_embedded_model_has_its_own_padding_and_marks_what_it_says(models_dir: Path) -> None:
    from gpu_jobs.tokenization import load_tokenizer

    tokenizer = load_tokenizer(ensure_embedded_model(models_dir))

    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert "{% generation %}" in tokenizer.chat_template
    counted = count_tokens(models_dir / FOLDER, conversations(2))
    assert all(0 < item.trainable < item.total for item in counted)


def test_real_training_lowers_the_perplexity_and_ends_well(models_dir: Path, tmp_path: Path) -> None:
    spec = job_spec(
        tmp_path / "job", sequences=conversations(10), base_model=EMBEDDED_MODEL, engine=EngineOptions(),
        base_model_path=str(models_dir / FOLDER), max_steps=6, learning_rate=0.001, rank=8, dropout=0.0,
    )  # fmt: skip
    file = tmp_path / "spec.json"
    file.write_text(spec.model_dump_json(), "utf-8")
    command = [sys.executable, "-m", "gpu_jobs", str(file)]

    done = subprocess.run(command, env={**os.environ, **training_environment(), "HF_HUB_OFFLINE": "1"}, check=False)

    assert done.returncode == 0
    assert kinds(spec)[-1] == "finished"
    perplexity = next(body for body in told(spec) if body["kind"] == "perplexity")
    assert perplexity["tuned"] < 0.7 * perplexity["base"]
    summary = json.loads((tmp_path / "job/adapter/training_summary.json").read_text("utf-8"))
    assert summary["held_out"]["tuned"]["perplexity"] == pytest.approx(perplexity["tuned"])


def test_environment_keeps_memory_and_counts_real_cores() -> None:
    environment = training_environment()

    assert environment["MALLOC_MMAP_THRESHOLD_"] == "4294967296"
    assert 1 <= physical_cores() <= (os.cpu_count() or 1)
