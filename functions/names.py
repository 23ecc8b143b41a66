"""What a person may call things: job names and tags."""

from __future__ import annotations

import re
import unicodedata
from datetime import date

from functions.errors import InvalidInput

NAME_MIN, NAME_MAX = 3, 100
DESCRIPTION_MAX, NOTES_MAX = 500, 2000
TAGS_MAX = 10
_TAG = re.compile(r"[a-z0-9-]{3,30}")


def suggest_name(*, file_name: str, preset_name: str, day: date) -> str:
    """`File - Preset - 2026-11-21`, cut in the file's name where it would be too long."""
    ending = f" - {preset_name} - {day.isoformat()}"
    return file_name[: NAME_MAX - len(ending)].rstrip() + ending


def clean_name(name: str) -> str:
    """The name as it will be stored: one line, no control characters, single spaces.

    Raises:
        InvalidInput: it is shorter than 3 or longer than 100 characters.
    """
    visible = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in name)
    cleaned = " ".join(unicodedata.normalize("NFC", visible).split())
    if not NAME_MIN <= len(cleaned) <= NAME_MAX:
        raise InvalidInput(
            f"A job name has {NAME_MIN} to {NAME_MAX} characters; this one has {len(cleaned)}.", field="name"
        )
    return cleaned


def clean_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    """The tags in lower case, each once.

    Raises:
        InvalidInput: more than ten, or one that is not 3 to 30 letters, digits and hyphens.
    """
    cleaned = tuple(dict.fromkeys(tag.strip().lower() for tag in tags if tag.strip()))
    if len(cleaned) > TAGS_MAX:
        raise InvalidInput(f"At most {TAGS_MAX} tags; there are {len(cleaned)}.", field="tags")
    for tag in cleaned:
        if not _TAG.fullmatch(tag):
            raise InvalidInput(f"The tag {tag!r} must be 3 to 30 letters, digits or hyphens.", field="tags")
    return cleaned


def check_length(text: str, *, limit: int, field: str) -> str:
    """The text without surrounding space.

    Raises:
        InvalidInput: it is longer than the limit.
    """
    text = text.replace("\x00", "").strip()  # Postgres takes no NUL
    if len(text) > limit:
        raise InvalidInput(f"At most {limit} characters; there are {len(text)}.", field=field)
    return text
