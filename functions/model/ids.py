"""Ids that follow from what they name, so that a repeat makes the same one."""

from __future__ import annotations

from uuid import UUID, uuid5

_NAMESPACE = UUID("6f1b9d8e-6c1a-4a8e-9a70-2a6b6b1f7f10")


def derived_id(*parts: str) -> UUID:
    """A UUID (version 5) of the parts."""
    return uuid5(_NAMESPACE, "\x1f".join(parts))
