"""Checkpoints that are whole or not there: staged, sealed with a list of their files, then renamed."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

log = logging.getLogger(__name__)

_NAME = re.compile(r"step-(\d{8})")
_SEAL = "complete.json"
_ADAPTER = "adapter.safetensors"
_STATE = "state.pt"
_PROGRESS = "progress.json"


@dataclass(frozen=True)
class Progress:
    """How far a run has come. `step` counts finished optimizer steps; `seconds` is time spent in them."""

    step: int = 0
    tokens_trained: int = 0
    seconds: float = 0.0
    loss: float | None = None
    held_out_loss: float | None = None
    held_out_step: int | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint on disk."""

    folder: Path
    step: int
    bytes: int


class Checkpoints:
    """The checkpoints of one job under `folder`. `fingerprint` names data, base model and settings.

    A checkpoint of another fingerprint is passed over: going on from it would mix two trainings.
    """

    def __init__(self, folder: Path, *, fingerprint: str, keep: int) -> None:
        self._folder = folder
        self._fingerprint = fingerprint
        self._keep = keep

    def save(self, *, progress: Progress, weights: dict[str, Tensor], state: dict[str, Any]) -> Checkpoint:
        """Write a checkpoint; returns when it would survive a loss of power. Older ones beyond `keep` go.

        Raises:
            OSError: it could not be written; what was there before is untouched.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._folder / f"step-{progress.step:08d}"
        there = self._read(target) if target.is_dir() else None
        if there is not None:
            return there
        stage = self._folder / f".{target.name}.partial"
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir()
        try:
            save_file(weights, stage / _ADAPTER)
            with (stage / _STATE).open("wb") as file:
                torch.save(state, file)
            (stage / _PROGRESS).write_text(json.dumps(asdict(progress)), "utf-8")
            size = self._seal(stage)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise
        shutil.rmtree(target, ignore_errors=True)
        stage.rename(target)
        _sync(self._folder)
        self._prune()
        return Checkpoint(target, progress.step, size)

    def newest(self) -> Checkpoint | None:
        """The newest complete checkpoint of this run; incomplete ones are passed over with a line in the log."""
        return next((found for found in map(self._read, self._folders()) if found), None)

    def load(self, checkpoint: Checkpoint) -> tuple[Progress, dict[str, Tensor], dict[str, Any]]:
        """Progress, adapter weights by parameter name, and the rest of the state, all on the CPU."""
        progress = Progress(**json.loads((checkpoint.folder / _PROGRESS).read_text("utf-8")))
        state = torch.load(checkpoint.folder / _STATE, map_location="cpu", weights_only=True)
        return progress, load_file(checkpoint.folder / _ADAPTER), state

    def remove_all(self) -> None:
        """Free the space once the training's result is kept elsewhere."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _seal(self, stage: Path) -> int:
        sizes = {path.name: path.stat().st_size for path in sorted(stage.iterdir())}
        for name in sizes:
            _sync(stage / name)
        seal = {"fingerprint": self._fingerprint, "files": sizes}
        (stage / _SEAL).write_text(json.dumps(seal), "utf-8")
        _sync(stage / _SEAL)
        _sync(stage)
        return sum(sizes.values())

    def _folders(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return sorted((path for path in self._folder.iterdir() if _NAME.fullmatch(path.name)), reverse=True)

    def _read(self, folder: Path) -> Checkpoint | None:
        try:
            seal = json.loads((folder / _SEAL).read_text("utf-8"))
            sizes = {name: (folder / name).stat().st_size for name in seal["files"]}
        except (OSError, ValueError, KeyError) as error:
            log.warning("The checkpoint %s is incomplete and is passed over: %s", folder.name, error)
            return None
        if sizes != seal["files"]:
            log.warning("The checkpoint %s has files of the wrong size and is passed over.", folder.name)
            return None
        if seal["fingerprint"] != self._fingerprint:
            log.warning("The checkpoint %s belongs to other data or settings and is passed over.", folder.name)
            return None
        return Checkpoint(folder, int(folder.name.removeprefix("step-")), sum(sizes.values()))

    def _prune(self) -> None:
        complete = [folder for folder in self._folders() if self._read(folder)]
        for folder in complete[self._keep :]:
            shutil.rmtree(folder, ignore_errors=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
