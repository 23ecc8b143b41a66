"""The optimizer and the course of its learning rate."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from functions.model.job_spec import Hyperparameters, OptimizerName
from gpu_jobs.failures import JobFailed

_BITSANDBYTES = {
    "adamw_8bit": "AdamW8bit",
    "paged_adamw_8bit": "PagedAdamW8bit",
    "paged_adamw_32bit": "PagedAdamW32bit",
}


def make_optimizer(weights: list[Tensor], settings: Hyperparameters, name: OptimizerName) -> torch.optim.Optimizer:
    """AdamW over these weights: torch's, fused, or one of bitsandbytes'."""
    options: dict[str, Any] = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    if name == "adamw_torch":
        return torch.optim.AdamW(weights, fused=True, **options)
    import bitsandbytes

    return getattr(bitsandbytes.optim, _BITSANDBYTES[name])(weights, **options)  # type: ignore[no-any-return]


def make_scheduler(
    optimizer: torch.optim.Optimizer, settings: Hyperparameters, *, warmup_steps: int, total_steps: int
) -> Any:
    """The learning-rate schedule that the settings name.

    Raises:
        JobFailed: `settings_invalid`, there is no such schedule.
    """
    from transformers import get_scheduler

    try:
        return get_scheduler(
            settings.lr_scheduler, optimizer, num_warmup_steps=warmup_steps, num_training_steps=total_steps
        )
    except (ValueError, TypeError) as error:
        raise JobFailed(
            "settings_invalid",
            f"The learning-rate schedule “{settings.lr_scheduler}” cannot be used.",
            why=str(error),
            fixes=("Choose cosine, linear or constant_with_warmup.",),
        ) from error
