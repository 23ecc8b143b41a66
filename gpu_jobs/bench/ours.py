"""A case through this trainer: the very objects that a job trains with."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from uuid import UUID

from functions.model.events import Body, Metrics
from functions.model.job_spec import EngineOptions, Hyperparameters, JobSpec, TrainingData
from gpu_jobs.attention import set_attention
from gpu_jobs.batching import Layout
from gpu_jobs.bench.figures import Case
from gpu_jobs.bench.meter import Meter
from gpu_jobs.checkpoints import Checkpoints
from gpu_jobs.devices import Device
from gpu_jobs.engine import compile_layers, enable_checkpointing, expected_memory, levers_of
from gpu_jobs.loss import SummedCrossEntropy
from gpu_jobs.model_loading import add_adapter
from gpu_jobs.perplexity import HeldOutMeasure
from gpu_jobs.tokenization import TokenizedSequence
from gpu_jobs.training import Trainer

MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_DOCUMENTS = 4


def documents(case: Case, vocabulary: int, count: int) -> list[TokenizedSequence]:
    """Documents of random tokens, all of which carry loss; always the same."""
    import torch

    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(3, vocabulary, (count, case.document), generator=generator).tolist()
    return [TokenizedSequence(str(number), tuple(row), tuple(row)) for number, row in enumerate(ids)]


def spec_of(case: Case, steps: int, engine: EngineOptions, work_dir: str) -> JobSpec:
    """The job that this case would be."""
    return JobSpec(
        job_id=UUID(int=0),
        job_name="bench",
        attempt=1,
        base_model=case.shape,
        data=TrainingData(url="", sha256="", name="bench"),
        hyperparameters=Hyperparameters(
            rank=case.rank,
            alpha=2 * case.rank,
            dropout=0.0,
            target_modules=MODULES,
            learning_rate=1e-4,
            epochs=1,
            batch_size=_DOCUMENTS,
            gradient_accumulation_steps=1,
            warmup_ratio=0.0,
            max_length=max(64, case.document),
            max_steps=steps,
        ),
        engine=engine,
        work_dir=work_dir,
        checkpoint_every_steps=10**6,
        evaluate_every_steps=10**6,
    )


def run(base: Any, case: Case, device: Device, meter: Meter, *, steps: int, engine: EngineOptions) -> int:
    """Train `steps` steps of one packed row each under the meter; returns the bytes that the estimate expects."""
    with tempfile.TemporaryDirectory() as folder:
        spec = spec_of(case, steps, engine, folder)
        set_attention(base, engine, packing=True)
        model = add_adapter(base, spec.hyperparameters)
        chosen = levers_of(spec, base, device)
        enable_checkpointing(base, chosen)
        if chosen.compile:
            compile_layers(model, spec)
        layout = Layout(packing=True, pass_tokens=_DOCUMENTS * case.document, pad_token_id=0)
        loss = SummedCrossEntropy(model, chunk_tokens=chosen.loss_chunk_tokens)
        sequences = documents(case, base.config.vocab_size, steps * _DOCUMENTS)
        trainer = Trainer(
            spec=spec,
            model=model,
            sequences=sequences,
            layout=layout,
            device=device,
            chosen=chosen,
            loss=loss,
            held_out=HeldOutMeasure(model, sequences[:1], loss=loss, layout=layout, device=device, check=lambda: None),
            checkpoints=Checkpoints(Path(folder), fingerprint="bench", keep=1),
            emit=lambda body: _note(body, meter),
            check=lambda: None,
        )
        tokens = _DOCUMENTS * case.document
        targets = tokens - _DOCUMENTS
        expected = expected_memory(spec, base, chosen, device, tokens=tokens, targets=targets, overhead=0)
        try:
            with meter:
                trainer.run()
        finally:
            model.unload()
            base.activation_checkpointing_disable()
            for layer in base.modules():
                layer._compiled_call_impl = None  # the next engine gets the layers as they were made
    return expected.total


def _note(body: Body, meter: Meter) -> None:
    if isinstance(body, Metrics):
        meter.step()
