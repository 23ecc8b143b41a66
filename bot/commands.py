"""The slash commands, as the manifest, the workspace and the help page list them."""

from __future__ import annotations

TRAIN = "/train"
JOBS = "/jobs"
DATASETS = "/datasets"
BUDGET = "/budget"
BRIGHTRUN = "/brightrun"

# (command, description, usage hint)
COMMANDS: tuple[tuple[str, str, str], ...] = (
    (TRAIN, "Start a training run", ""),
    (JOBS, "See runs and their results", ""),
    (DATASETS, "See and add training files", ""),
    (BUDGET, "See and manage the training budget", "[audit]"),
    (BRIGHTRUN, "Help, client invoices, and roles", "help | invoices | roles"),
)
