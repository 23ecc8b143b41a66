"""The baseline of the training measurement: a bare TRL script, as short as its documentation shows it.

`python -m tests.bench.bare_trl MODEL_FOLDER SEQUENCES STEPS MAX_LENGTH`; prints one JSON line.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from functions.model.conversation import TrainingSequence


def main() -> None:
    """Train and report tokens a second over the optimizer steps, and the peak of memory."""
    folder, sequences, steps, max_length = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(2)
    rows = [TrainingSequence.model_validate_json(line) for line in sequences.read_text("utf-8").splitlines()]
    data = Dataset.from_list([{"messages": _messages(row)} for row in rows])
    with tempfile.TemporaryDirectory() as output:
        trainer = SFTTrainer(
            AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
            SFTConfig(
                output,
                max_length=max_length,
                assistant_only_loss=True,
                per_device_train_batch_size=2,
                gradient_accumulation_steps=2,
                max_steps=steps,
                learning_rate=1e-3,
                logging_steps=1,
                save_strategy="no",
                bf16=False,
                use_cpu=True,
                activation_checkpointing=False,
                report_to="none",
                disable_tqdm=True,
                seed=42,
            ),
            train_dataset=data,
            processing_class=AutoTokenizer.from_pretrained(folder),
            peft_config=LoraConfig(
                r=16, lora_alpha=32, lora_dropout=0.0, task_type="CAUSAL_LM", target_modules="all-linear"
            ),
        )
        began = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - began
        tokens = max(entry.get("num_tokens", 0) for entry in trainer.state.log_history)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    sys.stdout.write(json.dumps({"tokens_per_second": tokens / seconds, "peak_bytes": peak}) + "\n")


def _messages(row: TrainingSequence) -> list[dict[str, str]]:
    system = [{"role": "system", "content": row.system}] if row.system else []
    return [*system, *({"role": message.role, "content": message.content} for message in row.messages)]


main()
