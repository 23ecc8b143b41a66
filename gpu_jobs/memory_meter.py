"""Bytes of tensors, counted exactly: what a CPU has in place of a GPU's allocator statistics."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def storage_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes that tensors hold, each storage counted once."""
    storages = {item.untyped_storage()._cdata: item.untyped_storage() for item in tensors}
    return sum(storage.nbytes() for storage in storages.values())


class LiveBytes(TorchDispatchMode):
    """While entered: how many bytes of tensors made since then are alive, now and at most.

    Every operator's results are followed until their storage is freed, in backward too. What an operator takes and
    gives back within itself is not seen; a GPU's allocator would count it.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = 0
        self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator and note what it made."""
        result = func(*args, **(kwargs or {}))
        for item in tree_leaves(result):
            if isinstance(item, Tensor):
                self._note(item.untyped_storage())
        return result

    def note(self, tensors: Iterable[Tensor]) -> None:
        """Count tensors that were there before as well."""
        for item in tensors:
            self._note(item.untyped_storage())

    def _note(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known or not size:
            return
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size
