"""Counts tokens in a process of its own: the bot neither loads a tokenizer nor waits for one.

Run as `python -m infra.token_counter MODEL_FOLDER`: sequences as JSON Lines in, one pair of numbers a line out.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from functions.errors import BrightRunError, InvalidInput, NotFound, Unavailable
from functions.model.conversation import TrainingSequence
from functions.model.diagnosis import FailureCode

_PATIENCE_SECONDS = 600
_LOOK_AT_IT = "Whoever runs Bright Run should look whether all of the model is there."
# What the process says by its exit code.
_REFUSALS = {3: FailureCode.MODEL_GATED, 4: FailureCode.MODEL_MISSING, 5: FailureCode.MODEL_UNREACHABLE}


class SubprocessTokenCounter:
    """The `TokenCounter` port.

    Args:
        model_path: gives a base model's local folder or hub id.
        token: for gated models at the hub; "" leaves it to the environment.
    """

    def __init__(self, model_path: Callable[[str], str], *, token: str = "") -> None:
        self._model_path = model_path
        self._token = token

    def count(self, base_model: str, sequences: Sequence[TrainingSequence]) -> list[tuple[int, int]]:
        """(tokens, tokens that carry loss) of every sequence.

        Raises:
            InvalidInput: the tokenizer is gated at the hub.
            NotFound: there is no such tokenizer.
            Unavailable: the tokenizer could not be loaded.
        """
        lines = "\n".join(sequence.model_dump_json() for sequence in sequences)
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "infra.token_counter", self._model_path(base_model)],
            input=lines.encode(),
            capture_output=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
            env=os.environ | ({"HF_TOKEN": self._token} if self._token else {}),
        )
        if done.returncode != 0:
            detail = done.stderr.decode(errors="replace").strip().splitlines()
            _refuse(base_model, done.returncode, detail[-1] if detail else "")
        return [(int(total), int(trainable)) for total, trainable in map(str.split, done.stdout.decode().splitlines())]


def _refuse(base_model: str, code: int, detail: str) -> NoReturn:
    refusals: dict[FailureCode, BrightRunError] = {
        FailureCode.MODEL_GATED: InvalidInput(
            f"Tokens cannot be counted: the owner of {base_model} has to agree first.",
            fix=f"Whoever runs Bright Run accepts the licence on https://huggingface.co/{base_model}, sets HF_TOKEN"
            " and starts Bright Run again.",
        ),
        FailureCode.MODEL_MISSING: NotFound(
            f"Tokens cannot be counted: there is no tokenizer of {base_model}.",
            where=detail,
            fix=_LOOK_AT_IT,
        ),
        FailureCode.MODEL_UNREACHABLE: Unavailable(
            f"Tokens cannot be counted: the model hub did not hand over the tokenizer of {base_model}.",
            fix="Try again in a few minutes.",
        ),
    }
    if code in _REFUSALS:
        raise refusals[_REFUSALS[code]]
    raise Unavailable(
        f"The tokenizer of {base_model} could not be used.",
        where=detail,
        fix=f"Try again. If that does not help: {_LOOK_AT_IT[0].lower()}{_LOOK_AT_IT[1:]}",
    )


def main() -> None:
    """Count what comes in on standard input."""
    from gpu_jobs.failures import JobFailed
    from gpu_jobs.hub import telling_what_is_missing
    from gpu_jobs.tokenization import count_tokens

    sequences = [TrainingSequence.model_validate_json(line) for line in sys.stdin.buffer if line.strip()]
    try:
        with telling_what_is_missing(sys.argv[1]):
            counted = count_tokens(sys.argv[1], sequences)
    except JobFailed as error:
        sys.stderr.write(f"{' '.join((error.why or error.what).split())[:200]}\n")
        sys.exit(next(code for code, refusal in _REFUSALS.items() if refusal == error.code))
    for total, trainable in counted:
        sys.stdout.write(f"{total} {trainable}\n")


if __name__ == "__main__":
    main()
