"""The same case through TRL's SFTTrainer, with the same settings: rank, optimizer, packing, checkpointing, type."""

from __future__ import annotations

import tempfile
from typing import Any

from functions.levers import Levers
from gpu_jobs.bench.figures import Case
from gpu_jobs.bench.meter import Meter
from gpu_jobs.bench.ours import MODULES, documents
from gpu_jobs.devices import Device


def run(base: Any, case: Case, device: Device, meter: Meter, *, steps: int, chosen: Levers) -> None:
    """Train `steps` steps of one packed row each under the meter."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import TrainerCallback
    from transformers.utils import is_flash_attn_2_available
    from trl import SFTConfig, SFTTrainer

    class Steps(TrainerCallback):  # type: ignore[misc]
        """Tells the meter of each optimizer step."""

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            meter.step()

    base.set_attn_implementation("flash_attention_2" if device.is_cuda and is_flash_attn_2_available() else "sdpa")
    rows = documents(case, base.config.vocab_size, steps * 4)
    data = Dataset.from_dict(
        {"input_ids": [list(row.input_ids) for row in rows], "labels": [list(row.labels) for row in rows]}
    )
    with tempfile.TemporaryDirectory() as output:
        settings = SFTConfig(
            output,
            max_length=case.document * 4,
            packing=True,
            per_device_train_batch_size=1,
            gradient_accumulation_steps=1,
            max_steps=steps,
            learning_rate=1e-4,
            lr_scheduler_type="cosine",
            optim="adamw_torch_fused" if chosen.optimizer == "adamw_torch" else chosen.optimizer,
            bf16=device.dtype is torch.bfloat16,
            use_cpu=not device.is_cuda,
            activation_checkpointing=chosen.checkpointing != "none",
            logging_steps=10**6,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=42,
        )
        trainer = SFTTrainer(
            base,
            settings,
            train_dataset=data,
            processing_class=make_tokenizer(),
            peft_config=LoraConfig(
                r=case.rank, lora_alpha=2 * case.rank, lora_dropout=0.0, task_type="CAUSAL_LM",
                target_modules=list(MODULES),
            ),
            callbacks=[Steps()],
        )  # fmt: skip
        try:
            with meter:
                trainer.train()
        finally:
            trainer.model.unload()
            base.activation_checkpointing_disable()


def make_tokenizer() -> Any:
    """SFTTrainer wants one; the data are tokens already."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(WordLevel({"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3}, unk_token="<unk>"))  # noqa: S106
    named = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=words, **named)
