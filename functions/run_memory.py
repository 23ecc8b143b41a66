"""What one run needs of its machine's memory: the memory model over its configuration and its training file."""

from __future__ import annotations

from functions import catalog
from functions.memory import memory_need
from functions.model.estimate import MemoryNeed
from functions.model.job import Configuration
from functions.model.training_file import TrainingFile


def run_memory(configuration: Configuration, file: TrainingFile | None) -> MemoryNeed:
    """Bytes by part; where the file's lengths are not known, as for its longest allowed sequence."""
    settings = configuration.hyperparameters
    return memory_need(
        catalog.base_model(configuration.base_model),
        settings,
        longest=file.stats.tokens.longest if file and file.stats.tokens else settings.max_length,
        available=catalog.tier(configuration.tier).memory_bytes,
        engine=configuration.engine,
    )
