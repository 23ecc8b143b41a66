"""The same cases through Unsloth, where it is installed. It patches what it imports, so it has a process to itself."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

from gpu_jobs.bench.figures import Case, Figures, flop_per_token
from gpu_jobs.bench.shapes import SHAPES

# Unsloth reads models from disk; the 70B-shaped one is made on the card and would be 40 GB to write.
_SHAPES = ("8b",)


def rows(shape: str, asked: Namespace, peak: float) -> list[Figures]:
    """Unsloth's figures for a shape; none where it is not installed or there is no GPU."""
    if shape not in _SHAPES or asked.device != "cuda" or importlib.util.find_spec("unsloth") is None:
        return []
    with tempfile.TemporaryDirectory() as folder:
        return [
            _row(Case(shape, length, rank, asked.steps), folder, peak)
            for length in asked.lengths
            for rank in asked.ranks
        ]


def _row(case: Case, folder: str, peak: float) -> Figures:
    command = [sys.executable, "-m", "gpu_jobs.bench.unsloth_run", json.dumps(vars(case)), folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own module
    if done.returncode:
        words = done.stderr.strip().splitlines()
        return Figures(case, "Unsloth", note=f"failed: {words[-1][:120] if words else done.returncode}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return Figures(case, "Unsloth", device_flop_per_second=peak, **found)


def main(case: Case, folder: Path) -> dict[str, Any]:
    """Save a model of the case's shape once, train it with Unsloth's kernels, and return the figures."""
    import torch
    from transformers import LlamaForCausalLM, TrainerCallback
    from trl import SFTConfig, SFTTrainer
    from unsloth import FastLanguageModel  # first, as it wants

    from gpu_jobs.bench.meter import Meter
    from gpu_jobs.bench.ours import MODULES, documents
    from gpu_jobs.bench.plain_trl import make_tokenizer
    from gpu_jobs.bench.shapes import config_of
    from gpu_jobs.devices import find_device
    from gpu_jobs.engine import shape_of

    device = find_device()
    if not (folder / "config.json").exists():
        with torch.device("cuda"):
            LlamaForCausalLM(config_of(SHAPES[case.shape])).bfloat16().save_pretrained(folder)
        make_tokenizer().save_pretrained(folder)
        torch.cuda.empty_cache()
    model, tokenizer = FastLanguageModel.from_pretrained(str(folder), max_seq_length=case.length, load_in_4bit=True)
    shape = shape_of(model.config)
    model = FastLanguageModel.get_peft_model(
        model, r=case.rank, lora_alpha=2 * case.rank, lora_dropout=0.0, target_modules=list(MODULES),
        use_gradient_checkpointing="unsloth",
    )  # fmt: skip
    meter = Meter(device, model, memory=False)

    class Steps(TrainerCallback):  # type: ignore[misc]
        """Tells the meter of each optimizer step."""

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            meter.step()

    from datasets import Dataset

    tokens = documents(case, model.config.vocab_size, case.steps * 4)
    data = Dataset.from_dict({name: [list(getattr(row, name)) for row in tokens] for name in ("input_ids", "labels")})
    settings = SFTConfig(
        str(folder / "out"), max_length=case.length, packing=True, per_device_train_batch_size=1,
        max_steps=case.steps, learning_rate=1e-4, optim="adamw_8bit", bf16=True, report_to="none", save_strategy="no",
    )  # fmt: skip
    trainer = SFTTrainer(model, settings, train_dataset=data, processing_class=tokenizer, callbacks=[Steps()])
    with meter:
        trainer.train()
    return {
        "tokens": meter.steps * 4 * case.document,
        "seconds": meter.seconds,
        "peak_bytes": meter.peak_bytes,
        "flop_per_token": flop_per_token(shape, case, MODULES),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Case(**json.loads(sys.argv[1])), Path(sys.argv[2]))) + "\n")
