"""The files of a trained adapter: weights in both formats, configuration, how to use them, what was done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from functions.model.job_spec import JobSpec

SAFETENSORS = "adapter_model.safetensors"
PYTORCH = "adapter_model.bin"
CONFIG = "adapter_config.json"
README = "README.txt"
SUMMARY = "training_summary.json"
SUMS = "SHA256SUMS"

_README = """\
{title}

This archive holds a LoRA adapter: what was learned on top of a base model. It is of use together with that
base model only:

    {base_model}

Files
    adapter_model.safetensors   the adapter's weights
    adapter_model.bin           the same weights, for tools that read PyTorch files only
    adapter_config.json         where in the base model they belong
    training_summary.json       settings, losses, perplexities, data and versions of this training
    SHA256SUMS                  checksums; check them with: sha256sum -c SHA256SUMS

How to use it (Python, with the packages torch, transformers, peft and accelerate installed)

    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = AutoModelForCausalLM.from_pretrained("{base_model}", dtype="auto", device_map="auto")
    tokenizer = AutoTokenizer.from_pretrained("{base_model}")
    model = PeftModel.from_pretrained(base, "folder-where-you-unpacked-this")

    messages = [{{"role": "user", "content": "Hello!"}}]
    inputs = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    ).to(model.device)
    answer = model.generate(**inputs, max_new_tokens=300)
    print(tokenizer.decode(answer[0][inputs["input_ids"].shape[1]:], skip_special_tokens=True))

The model was trained with system prompts in front of its conversations; give it the same one when you use it.

If training_summary.json names NF4 as quantization, the base model was read in four bits during training, and the
perplexities were measured so. To get the very same figures, load the base with BitsAndBytesConfig(load_in_4bit=True,
bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True). Without it the model is slightly different, usually better.
"""


def write_adapter(model: Any, spec: JobSpec, folder: Path) -> None:
    """Write the adapter of a PEFT model: safetensors and configuration, all that is needed to make the rest.

    The configuration names the public base model, never a path of the machine that trained.

    Raises:
        OSError: there is no room.
    """
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    weights = {name: state[name].detach().cpu().contiguous() for name in sorted(state)}
    save_file(weights, folder / SAFETENSORS, metadata={"format": "pt"})
    config = model.peft_config["default"].to_dict()
    config |= {"base_model_name_or_path": spec.base_model, "inference_mode": True, "revision": None}
    write_json(folder / CONFIG, config)


def write_companions(spec: JobSpec, folder: Path, summary: Mapping[str, Any]) -> list[Path]:
    """Write the rest beside the adapter, checksums last; returns all files that belong into the archive.

    Raises:
        OSError: there is no room.
    """
    import torch
    from safetensors.torch import load_file

    # Into an open file: the archive's inner name is then always the same, and a full disk is told as an OSError.
    with (folder / PYTORCH).open("wb") as file:
        torch.save(load_file(folder / SAFETENSORS), file)
    title = f"{spec.job_name}\n{'=' * min(len(spec.job_name), 100)}"
    (folder / README).write_text(_README.format(title=title, base_model=spec.base_model), "utf-8")
    write_json(folder / SUMMARY, summary)
    names = (SAFETENSORS, PYTORCH, CONFIG, README, SUMMARY)
    (folder / SUMS).write_text("".join(f"{file_sha256(folder / name)}  {name}\n" for name in names), "utf-8")
    return [folder / name for name in (*names, SUMS)]


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON the same way every time: keys sorted, sets as sorted lists."""
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, default=_plain)
    path.write_text(text + "\n", "utf-8")


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, set | frozenset) else str(value)
