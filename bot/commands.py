"""The slash commands, as the manifest, the workspace and the help page list them."""

from __future__ import annotations

TRAIN = "/train"
JOBS = "/jobs"
DATASETS = "/datasets"
BRIGHTRUN = "/brightrun"

# (command, description, usage hint)
COMMANDS: tuple[tuple[str, str, str], ...] = (
    (TRAIN, "Start a training run", ""),
    (JOBS, "See runs and their results", ""),
    (DATASETS, "See and add training files", ""),
    (BRIGHTRUN, "Help", "help"),
)
