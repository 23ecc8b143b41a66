"""JobSpec: the whole input of a GPU job, as one JSON document."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

EMBEDDED_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"

# As transformers and TRL name them; the 8-bit and paged ones are bitsandbytes' and need a GPU.
OptimizerName = Literal["adamw_torch", "adamw_8bit", "paged_adamw_8bit", "paged_adamw_32bit"]


class Hyperparameters(BaseModel):
    """What is learned and how fast. Batch size is sequences a micro-batch on one GPU."""

    model_config = ConfigDict(frozen=True)

    rank: int = Field(ge=1, le=256)
    alpha: int = Field(ge=1)
    dropout: float = Field(ge=0, lt=1)
    target_modules: tuple[str, ...]
    learning_rate: float = Field(gt=0, lt=1)
    epochs: int = Field(ge=1, le=50)
    batch_size: int = Field(ge=1)
    gradient_accumulation_steps: int = Field(ge=1)
    warmup_ratio: float = Field(ge=0, lt=1)
    lr_scheduler: str = "cosine"
    weight_decay: float = 0.0
    max_length: int = Field(default=4096, ge=64)
    max_steps: int | None = Field(default=None, ge=1)
    seed: int = 42


class EngineOptions(BaseModel):
    """How the same mathematics is run. None means: what is right for the device; `functions.levers` says what that is.

    `attention`: "packed" keeps packed sequences apart without a mask; it and the flash kernels want a GPU to be fast.
    `activation_checkpointing`: "selective" keeps what attention made and recomputes the rest.
    `activation_offloading`: what backward needs waits in main memory (GPU only).
    `loss_chunk_tokens`: how many tokens get their logits at a time.
    `compile_cache_dir`: where compiled kernels are kept; None is a folder beside the jobs' work folders.
    """

    model_config = ConfigDict(frozen=True)

    quantization: Literal["nf4", "none"] = "nf4"
    compute_dtype: Literal["bfloat16", "float32"] | None = None
    packing: bool | None = None
    attention: Literal["packed", "sdpa", "flash_attention_2", "flash_attention_3", "eager"] | None = None
    activation_checkpointing: bool | Literal["selective"] | None = None
    activation_offloading: bool | None = None
    loss_chunk_tokens: int | None = Field(default=None, ge=1)
    optimizer: OptimizerName | None = None
    compile: bool | None = None
    compile_cache_dir: str | None = None


class TrainingData(BaseModel):
    """Where the sequences are (a JSON Lines file of TrainingSequence) and how they are split."""

    model_config = ConfigDict(frozen=True)

    url: str
    sha256: str
    name: str
    held_out_fraction: float = Field(default=0.2, gt=0, lt=1)


class ResumeFrom(BaseModel):
    """An earlier job from whose newest checkpoint this one goes on. Data, base model and adapter are the same.

    `work_dir`, `hyperparameters` and `engine` are those of the earlier job: they name its checkpoints. `step` is the
    last one whose losses the service has; what the earlier job wrote down after it is told by this one.
    """

    model_config = ConfigDict(frozen=True)

    work_dir: str
    hyperparameters: Hyperparameters
    engine: EngineOptions
    step: int | None = None


class JobSpec(BaseModel):
    """The whole input of one attempt of a GPU job. The job's token is not in it (environment only).

    `work_dir` outlives attempts: checkpoints, event spool and artifacts are in it.
    `base_model` is a Hugging Face id or a local folder; `base_model_path`, where set, is read instead.
    `rate_cents_per_hour` only serves the cost line of the summary that is packed with the adapter.
    `start` counts the starts of this attempt where the machine's owner starts it again by itself
    (`restarted_by_owner`). After `stop_after_seconds` the job saves and ends as interrupted, before it is ended.
    """

    model_config = ConfigDict(frozen=True)

    job_id: UUID
    job_name: str
    attempt: int = Field(ge=1)
    base_model: str
    base_model_path: str | None = None
    data: TrainingData
    hyperparameters: Hyperparameters
    engine: EngineOptions = EngineOptions()
    work_dir: str
    checkpoint_every_steps: int = Field(default=100, ge=1)
    evaluate_every_steps: int | None = Field(default=None, ge=1)
    keep_checkpoints: int = Field(default=2, ge=1)
    service_url: str = ""
    rate_cents_per_hour: int = Field(default=0, ge=0)
    preset: str = ""
    resume_from: ResumeFrom | None = None
    start: int = Field(default=1, ge=1)
    restarted_by_owner: bool = False
    stop_after_seconds: int | None = Field(default=None, ge=1)
