"""The link to a result, for the one who asked."""

from __future__ import annotations

from datetime import datetime

from blocks.text import Block, MessageParts, actions, bold, button, context, safe, section
from blocks.units import count, file_size, when
from functions.model.job import Artifact

ACTION_LINK = "artifact_link"
_URL_MAX = 3000


def download_message(artifact: Artifact, *, url: str, expires_at: datetime, downloads: int) -> MessageParts:
    """The link as a button, how long it works, what is in the file.

    Args:
        artifact: the file.
        url: where it is fetched; it works without signing in, so it is shown to one person only.
        expires_at: when the link stops working.
        downloads: how many links were made so far, this one included.
    """
    name, size = safe(artifact.name, 200), file_size(artifact.size_bytes)
    text = f"Your link to {name} ({size}) is ready."
    head = section(f"{bold(artifact.name)}  ·  {size}\nThe link works until {when(expires_at)}.")
    note = "README.txt in it says how to load the adapters. Anyone who has the link can use it."
    return text, [head, *_link(url), context(f"{note} {_ordinal(downloads)}")]


def report_message(job_name: str, *, url: str, size_bytes: int, expires_at: datetime) -> MessageParts:
    """The link to a run's report as a button; arguments as for `download_message`."""
    text = f"The report of {safe(job_name, 150)} is ready."
    head = section(
        f"{bold(job_name)}  ·  report, PDF, {file_size(size_bytes)}\nThe link works until {when(expires_at)}."
    )
    return text, [head, *_link(url, "Open report"), context("Anyone who has the link can use it.")]


def _link(url: str, label: str = "Download file") -> list[Block]:
    if len(url) > _URL_MAX:
        # A button takes no longer address; the text does not carry one either.
        return [section("⚠ The link is too long for Slack. Ask an admin to shorten the storage's address.")]
    return [actions(button(label, ACTION_LINK, url=url, style="primary"))]


def _ordinal(downloads: int) -> str:
    return "First download." if downloads <= 1 else f"{count(downloads, 'download')} so far."
