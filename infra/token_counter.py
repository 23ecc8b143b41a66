"""Counts tokens in a process of its own: the bot neither loads a tokenizer nor waits for one.

Run as `python -m infra.token_counter MODEL_FOLDER`: sequences as JSON Lines in, one pair of numbers a line out.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence

from functions.errors import Unavailable
from functions.model.conversation import TrainingSequence

_PATIENCE_SECONDS = 600


class SubprocessTokenCounter:
    """The `TokenCounter` port. `model_path` gives a base model's local folder or hub id."""

    def __init__(self, model_path: Callable[[str], str]) -> None:
        self._model_path = model_path

    def count(self, base_model: str, sequences: Sequence[TrainingSequence]) -> list[tuple[int, int]]:
        """(tokens, tokens that carry loss) of every sequence.

        Raises:
            Unavailable: the tokenizer could not be loaded.
        """
        lines = "\n".join(sequence.model_dump_json() for sequence in sequences)
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "infra.token_counter", self._model_path(base_model)],
            input=lines.encode(),
            capture_output=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            detail = done.stderr.decode(errors="replace").strip().splitlines()
            raise Unavailable(
                f"The tokenizer of {base_model} could not be used.",
                where=detail[-1] if detail else "",
                fix="Try again.",
            )
        return [(int(total), int(trainable)) for total, trainable in map(str.split, done.stdout.decode().splitlines())]


def main() -> None:
    """Count what comes in on standard input."""
    from gpu_jobs.tokenization import count_tokens

    sequences = [TrainingSequence.model_validate_json(line) for line in sys.stdin.buffer if line.strip()]
    for total, trainable in count_tokens(sys.argv[1], sequences):
        sys.stdout.write(f"{total} {trainable}\n")


if __name__ == "__main__":
    main()
