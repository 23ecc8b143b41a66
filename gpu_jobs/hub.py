"""What a model hub's refusals mean. Imports no torch: who only counts tokens needs this, too."""

from __future__ import annotations

from collections.abc import Iterator

from gpu_jobs.failures import model_gated, model_missing, model_unreachable


class telling_what_is_missing:  # noqa: N801 - a context manager, read like a function
    """Turns the hub's many ways of saying "no such model" into the job's own failures.

    Raises:
        JobFailed: `model_missing`, `model_gated` or `model_unreachable`.
    """

    def __init__(self, base_model: str) -> None:
        self._name = base_model

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError

        # By class, not by text: the hub's words for a missing model speak of gated ones too.
        chain = list(_causes(error))
        if any(isinstance(item, GatedRepoError) for item in chain):
            raise model_gated(self._name) from error
        if any(isinstance(item, RepositoryNotFoundError) for item in chain):
            raise model_missing(self._name, why=str(error)) from error
        if any(isinstance(item, LocalEntryNotFoundError) for item in chain):
            raise model_unreachable(self._name, why=str(error)) from error
        if isinstance(error, OSError) and error.errno is None:  # transformers raises bare OSErrors with a text only
            raise model_missing(self._name, why=str(error)) from error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
