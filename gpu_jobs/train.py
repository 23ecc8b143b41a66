"""One job from its data to its delivered adapter. Read from top to bottom, this is what training is here."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from functions.levers import Levers, packs
from functions.memory import OVERHEAD, in_parts
from functions.model.conversation import TrainingSequence
from functions.model.estimate import MemoryNeed
from functions.model.events import Finished, HeldOut, PerplexityMeasured, Planned, Resumed, Stage
from functions.model.job_spec import JobSpec
from gpu_jobs.artifacts import pack, store
from gpu_jobs.background import Background
from gpu_jobs.batching import Layout, default_layout
from gpu_jobs.checkpoints import Checkpoints
from gpu_jobs.devices import Device, find_device
from gpu_jobs.engine import (
    compile_layers,
    compute_dtype,
    enable_checkpointing,
    expected_memory,
    levers_of,
    require_usable,
)
from gpu_jobs.going_on import adopt_result
from gpu_jobs.job_run import JobRun
from gpu_jobs.loss import SummedCrossEntropy
from gpu_jobs.model_loading import add_adapter, load_base_model, load_job_tokenizer
from gpu_jobs.perplexity import HeldOutMeasure
from gpu_jobs.result import FOLDER, TrainingResult, keep_result, kept_result, machine_seconds, summarize
from gpu_jobs.split import split_held_out
from gpu_jobs.tokenization import TokenizedSequence, tokenize_sequences
from gpu_jobs.training import Trainer, plan_steps
from gpu_jobs.training_data import read_training_data

log = logging.getLogger(__name__)


class Prepared(NamedTuple):
    """Both sides of the split as tokens, and how they are laid out into forward passes."""

    train: list[TokenizedSequence]
    held_out: list[TokenizedSequence]
    layout: Layout


class Loaded(NamedTuple):
    """The base model with its adapter, and the levers it runs with."""

    model: Any
    chosen: Levers


def train_job(run: JobRun) -> None:
    """Take a job through its four stages. What an earlier attempt finished is not done again.

    Raises:
        Interrupted: a signal came; what was finished is saved.
        JobFailed, OSError, ...: see `failures.describe`.
    """
    result = kept_result(run.work_dir, run.fingerprint) or adopt_result(run)
    if result is None:
        device = device_for(run.spec)
        tokenizer = load_job_tokenizer(run.spec)
        loading = Background(lambda: load_base_model(run.spec, device))
        prepared = preprocess(run, device, tokenizer)
        loaded = load(run, device, loading)
        result = train(run, device, prepared, loaded)
    elif run.spec.attempt > 1 or run.spec.start > 1:
        run.emit(Resumed(step=result.steps))
    # Here and not in `train`: who was killed between keeping the result and this comes by again.
    _checkpoints(run).remove_all()
    deliver(run, result)


def device_for(spec: JobSpec) -> Device:
    """The device of this machine, computing in the type that was asked for.

    Raises:
        JobFailed: `settings_invalid`, for an engine option that it cannot run.
    """
    device = find_device()
    require_usable(spec, device)
    return replace(device, dtype=compute_dtype(spec, device))


def preprocess(run: JobRun, device: Device, tokenizer: Any) -> Prepared:
    """Fetch the training file, hold some conversations out, and turn both sides into tokens."""
    spec, settings = run.spec, run.spec.hyperparameters
    run.start(Stage.PREPROCESSING, "Fetching the training file…")
    sequences = read_training_data(spec.data, run.work_dir, run.check)
    train, held_out = split_held_out(sequences, spec.data.held_out_fraction, settings.seed)
    run.say(f"Tokenizing {_conversations([*train, *held_out])} conversations…")
    tokens = tokenize_sequences(train, tokenizer, settings.max_length, check=run.check)
    prepared = Prepared(
        tokens,
        tokenize_sequences(held_out, tokenizer, settings.max_length, check=run.check),
        default_layout(
            cuda=device.is_cuda,
            packing=packs(spec.engine, gpu=device.is_cuda),
            batch_size=settings.batch_size,
            # A batch is at most so many of the longest there are: more places than that would only cost memory.
            max_length=max(map(len, tokens), default=settings.max_length),
            pad_token_id=tokenizer.pad_token_id or 0,
        ),
    )
    run.finish(f"{_conversations(train)} conversations to train on, {_conversations(held_out)} held out")
    _tell_plan(run, device, prepared)
    return prepared


def load(run: JobRun, device: Device, loading: Background[Any]) -> Loaded:
    """Take the base model, which was read beside preprocessing, and put a fresh adapter on it.

    What went wrong in reading it is raised here: in the stage that it belongs to.
    """
    run.start(Stage.MODEL_LOADING, f"Loading {run.spec.base_model}…")
    base = loading.result(run.check)
    run.say("Adding the adapter…")
    model = add_adapter(base, run.spec.hyperparameters)
    chosen = levers_of(run.spec, base, device)
    enable_checkpointing(base, chosen)
    if chosen.compile:
        compile_layers(model, run.spec)
    trainable, total = model.get_nb_trainable_parameters()
    run.finish(f"{trainable:,} of {total:,} parameters are trained")
    return Loaded(model, chosen)


def train(run: JobRun, device: Device, prepared: Prepared, loaded: Loaded) -> TrainingResult:
    """Measure the base model, train, and keep the result."""
    model, chosen = loaded
    run.memory = _expected_memory(run.spec, device, prepared, loaded)
    log.info("Expected memory: %s", in_parts(run.memory))
    loss = SummedCrossEntropy(model, chunk_tokens=chosen.loss_chunk_tokens)
    held_out = HeldOutMeasure(
        model, prepared.held_out, loss=loss, layout=prepared.layout, device=device, check=run.check
    )
    conversations = _conversations(prepared.held_out)
    run.start(Stage.TRAINING, f"Measuring the base model on {conversations} held-out conversations…")
    base = held_out.base(run.work_dir / "base-perplexity.json", run.fingerprint)
    # Also where an earlier attempt measured it: that one may have been killed before it could say so.
    run.emit(HeldOut(step=0, loss=base.loss))
    trainer = Trainer(
        spec=run.spec,
        model=model,
        sequences=prepared.train,
        layout=prepared.layout,
        device=device,
        chosen=chosen,
        loss=loss,
        held_out=held_out,
        checkpoints=_checkpoints(run),
        earlier=run.earlier,
        emit=run.emit,
        check=run.check,
    )
    run.say(f"Training {trainer.schedule.total_steps} steps…")
    progress = trainer.run()
    result = TrainingResult(
        fingerprint=run.fingerprint,
        steps=progress.step,
        trained_tokens=progress.tokens_trained,
        seconds=progress.seconds,
        final_loss=progress.loss,
        base_loss=base.loss,
        tuned_loss=progress.held_out_loss if progress.held_out_loss is not None else held_out.tuned().loss,
        held_out_tokens=base.tokens,
        held_out_conversations=conversations,
        peak_memory_bytes=trainer.peak_memory_bytes or None,
    )
    keep_result(model, run.spec, result)
    run.finish(f"{progress.step} steps")
    return result


def deliver(run: JobRun, result: TrainingResult) -> None:
    """Tell the perplexities, pack the adapter, store it, and say that all is done."""
    run.start(Stage.FINALIZATION, "Packing the adapter…")
    base, tuned = result.perplexities
    run.emit(
        PerplexityMeasured(
            base=base, tuned=tuned, tokens=result.held_out_tokens, conversations=result.held_out_conversations
        )
    )
    summary = summarize(run.spec, result, machine_seconds=machine_seconds(run.work_dir))
    archive = pack(run.spec, run.work_dir / FOLDER, summary)
    run.say(f"Storing {archive.path.name}…")
    stored = store(archive, run.service, run.check)
    run.emit(stored)
    run.finish()
    run.emit(
        Finished(
            steps=result.steps,
            stage_seconds=run.stage_seconds,
            trained_tokens=result.trained_tokens,
            tokens_per_second=result.tokens_per_second,
            final_loss=result.final_loss,
            held_out_loss=result.tuned_loss,
            peak_memory_bytes=result.peak_memory_bytes,
        )
    )


def _expected_memory(spec: JobSpec, device: Device, prepared: Prepared, loaded: Loaded) -> MemoryNeed:
    longest = max(prepared.train, key=len)
    packed = max(prepared.layout.pass_tokens, len(longest)) if prepared.layout.packing else len(longest)
    targets = max(packed * item.trainable // len(item) for item in prepared.train)
    base = loaded.model.get_base_model()
    overhead = OVERHEAD if device.is_cuda else 0
    return expected_memory(spec, base, loaded.chosen, device, tokens=packed, targets=targets, overhead=overhead)


def _checkpoints(run: JobRun) -> Checkpoints:
    return Checkpoints(run.work_dir / "checkpoints", fingerprint=run.fingerprint, keep=run.spec.keep_checkpoints)


def _tell_plan(run: JobRun, device: Device, prepared: Prepared) -> None:
    settings = run.spec.hyperparameters
    run.emit(
        Planned(
            total_steps=plan_steps(len(prepared.train), settings).total_steps,
            epochs=settings.epochs,
            train_conversations=_conversations(prepared.train),
            held_out_conversations=_conversations(prepared.held_out),
            train_sequences=len(prepared.train),
            train_tokens=sum(map(len, prepared.train)),
            trainable_tokens=sum(item.trainable for item in prepared.train),
            truncated_sequences=sum(item.truncated for item in prepared.train),
            device=device.name,
            device_memory_bytes=device.memory_bytes,
        )
    )


def _conversations(sequences: Sequence[TokenizedSequence] | Sequence[TrainingSequence]) -> int:
    return len({item.conversation_id for item in sequences})
