"""The base model in the wanted precision, with a LoRA adapter on it."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import nn

from functions.levers import packs
from functions.model.job_spec import Hyperparameters, JobSpec
from gpu_jobs.attention import set_attention
from gpu_jobs.devices import Device, available_memory_bytes
from gpu_jobs.failures import JobFailed
from gpu_jobs.hub import telling_what_is_missing
from gpu_jobs.tokenization import load_tokenizer

log = logging.getLogger(__name__)

_NF4_BLOCK = 64


def load_job_tokenizer(spec: JobSpec) -> Any:
    """The base model's tokenizer.

    Raises:
        JobFailed: `model_missing`, `model_gated` or `model_unreachable`.
    """
    with telling_what_is_missing(spec.base_model):
        return load_tokenizer(spec.base_model_path or spec.base_model)


def load_base_model(spec: JobSpec, device: Device) -> Any:
    """The causal language model of `spec`, frozen, on the device.

    NF4 is double-quantised in blocks of 64 with the device's floating-point type for computing. On a CPU with
    memory to spare the quantised weights are expanded once instead of in every pass: the same numbers, faster.

    Raises:
        JobFailed: `model_missing`, `model_gated` or `model_unreachable`, or `settings_invalid` for an attention
            kernel that is not there.
    """
    source = spec.base_model_path or spec.base_model
    nf4 = spec.engine.quantization == "nf4"
    with telling_what_is_missing(spec.base_model):
        config = _config(source)
        expanded = nf4 and not device.is_cuda and _fits_expanded(config, device)
        model = _from_pretrained(source, device, quantize=nf4 and not expanded)
    if expanded:
        _round_to_nf4(model)
    _keep_gradients_after_evaluation(model)
    kernel = set_attention(model, spec.engine, packing=packs(spec.engine, gpu=device.is_cuda))
    log.info("Attention runs on the kernel %s.", kernel)
    model.requires_grad_(False)
    model.config.use_cache = False
    return model


def add_adapter(model: Any, settings: Hyperparameters) -> Any:
    """A PEFT model with a fresh LoRA adapter, seeded; its weights are fp32 whatever the base is in.

    Adapters in bf16 lose small updates, and PEFT reads them back as fp32, so that a resumed run would drift.
    """
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(settings.seed)
    adapter = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.target_modules),
        task_type="CAUSAL_LM",
    )
    try:
        wrapped = get_peft_model(model, adapter)
    except ValueError as error:
        raise JobFailed(
            "settings_invalid",
            "The adapter cannot be put on this base model.",
            why=str(error),
            fixes=("Choose target modules that this model has; all its linear layers are called 'all-linear'.",),
        ) from error
    for parameter in wrapped.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return wrapped


def _config(source: str) -> Any:
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(source)


def _from_pretrained(source: str, device: Device, *, quantize: bool) -> Any:
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    four_bit = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=device.dtype,
    )
    model = AutoModelForCausalLM.from_pretrained(
        source,
        dtype=device.dtype,
        quantization_config=four_bit if quantize else None,
        attn_implementation="sdpa",
        device_map={"": device.kind} if device.is_cuda else None,
    )
    return model.eval()


def _fits_expanded(config: Any, device: Device) -> bool:
    """Whether the weights in the computing type take at most half of the memory that is free."""
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        parameters = sum(item.numel() for item in AutoModelForCausalLM.from_config(config).parameters())
    return int(parameters) * device.dtype.itemsize <= available_memory_bytes() // 2


@torch.no_grad()
def _round_to_nf4(model: Any) -> None:
    """Give every linear layer but the head the values that its double-quantised NF4 weight stands for."""
    from bitsandbytes import functional as bnb

    head = model.get_output_embeddings()
    for layer in model.modules():
        if isinstance(layer, nn.Linear) and layer is not head:
            packed, state = bnb.quantize_4bit(
                layer.weight.data, blocksize=_NF4_BLOCK, compress_statistics=True, quant_type="nf4"
            )
            layer.weight.data = bnb.dequantize_4bit(packed, state).to(layer.weight.dtype)


def _keep_gradients_after_evaluation(model: Any) -> None:
    """On CPUs with AVX512-BF16, bitsandbytes repacks weights in the first evaluation, and training stalls after it."""
    for layer in model.modules():
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False
