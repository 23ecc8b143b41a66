"""What a model hub answers is told as what it is: no such model, or a licence that is not accepted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from gpu_jobs.failures import JobFailed
from gpu_jobs.hub import telling_what_is_missing
from tests.scenario.hub import model_hub
from tests.unit.gpu_tiny import job_spec, told

LLAMA = "meta-llama/Meta-Llama-3-8B-Instruct"


@pytest.mark.parametrize(("answer", "code"), [("missing", "model_missing"), ("gated", "model_gated")])
def test_the_real_client_and_a_hub_that_refuses(tmp_path: Path, answer: str, code: str) -> None:
    spec = job_spec(tmp_path / "job", base_model=LLAMA, base_model_path=None)
    document = tmp_path / "spec.json"
    document.write_text(spec.model_dump_json(), "utf-8")
    with model_hub(answer) as url:
        environment = os.environ | {"HF_ENDPOINT": url, "HF_HOME": str(tmp_path / "hf")}
        done = subprocess.run(
            [sys.executable, "-m", "gpu_jobs", str(document)], env=environment, capture_output=True, check=False
        )
    assert done.returncode == 1
    failed = told(spec)[-1]
    assert (failed["kind"], failed["code"]) == ("failed", code)
    assert LLAMA in failed["what"]


def test_a_hub_that_does_not_answer_is_not_a_model_that_is_missing() -> None:
    # The client itself tries for a minute before it says so.
    silent = OSError("We couldn't connect to the hub")
    silent.__cause__ = LocalEntryNotFoundError("An error happened while trying to locate the file on the Hub")
    with pytest.raises(JobFailed) as failed, telling_what_is_missing(LLAMA):
        raise silent
    assert failed.value.code == "model_unreachable"
