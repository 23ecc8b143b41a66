"""From bytes to UTF-8: refuses what is too large, not text, or in no encoding that can be trusted."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from functions.training_files.problems import refusal, showable

# Text with an emoji in every turn takes four bytes a character in memory: such a file of 150 MB was measured
# to need just under a gigabyte and 8 s. It is some 35 million tokens; past that a mistake is likelier than a wish.
MAX_BYTES = 150_000_000
# One line is one record or conversation; a longer one is a document that was not meant to be JSONL.
MAX_LINE_BYTES = 16_000_000
_CHUNK = 1 << 20

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
_MAGIC = (
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"\xd0\xcf\x11\xe0", "an old Office document (.xls or .doc)"),
    (b"PAR1", "a Parquet table"),
    (b"ARROW1", "an Arrow table"),
    (b"SQLite format 3", "an SQLite database"),
    (b"GGUF", "a GGUF model"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"{\\rtf", "an RTF document"),
)
_ACCEPTED = "Upload a BrightRun v4 .json, a BrightRun v5 .jsonl, or a .jsonl with turns or messages."


@dataclass(frozen=True)
class Source:
    """A training file as UTF-8 bytes without a byte order mark, known to be decodable."""

    data: bytes
    file_name: str

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """The lines that hold something, with their numbers from 1.

        Split at line feeds only (carriage returns are trimmed): U+2028 and its like are legal in JSON text.
        """
        start, number = 0, 0
        while start < len(self.data):
            end = self.data.find(b"\n", start)
            end = len(self.data) if end < 0 else end
            number += 1
            line = self.data[start:end].strip()
            if line:
                yield number, line
            start = end + 1


def open_source(data: bytes | Path, *, file_name: str) -> Source:
    """Read and check the bytes.

    Args:
        data: the bytes, or the path of a file; its size is checked before it is read.
        file_name: as the person called it, for the messages.

    Raises:
        TrainingFileInvalid: too large, empty, not text, or not in UTF-8 (UTF-16 and UTF-32 with a byte
            order mark are accepted).
        OSError: the path cannot be read.
    """
    raw = _bytes_within_limit(data, file_name)
    if not re.search(rb"[^\s\x00]", raw):
        what = "The file is empty." if not raw else "The file holds nothing but white space."
        raise refusal(what, file_name=file_name, fix="Export it again and check its size before uploading.")
    _refuse_other_kinds(raw, file_name)
    source = Source(_to_utf8(raw, file_name), file_name)
    if not source.data.strip():
        raise refusal(
            "The file holds nothing but white space.", file_name=file_name, fix="Export it again with records."
        )
    return source


def _bytes_within_limit(data: bytes | Path, file_name: str) -> bytes:
    size = data.stat().st_size if isinstance(data, Path) else len(data)
    if size > MAX_BYTES:
        raise refusal(
            f"The file is {size / 1e6:,.0f} MB; at most {MAX_BYTES / 1e6:,.0f} MB can be imported.",
            file_name=file_name,
            fix="Split it into several files of whole conversations.",
        )
    return data.read_bytes() if isinstance(data, Path) else data


def _refuse_other_kinds(raw: bytes, file_name: str) -> None:
    found = next((name for magic, name in _MAGIC if raw.startswith(magic)), "")
    if raw.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        found = _kind_of_zip(raw)
    elif not found and b"\x00" in raw[:8192] and not raw.startswith(tuple(bom for bom, _, _ in _BOMS)):
        if _mostly_every_other_byte_null(raw[:8192]):
            raise refusal(
                "The file looks like UTF-16 without a byte order mark.",
                file_name=file_name,
                fix="Save it as UTF-8 and upload it again.",
            )
        found = "a binary file"
    if found:
        raise refusal(f"This is {found}, not a training file.", file_name=file_name, fix=_ACCEPTED)


def _kind_of_zip(raw: bytes) -> str:
    names = raw[:65536] + raw[-65536:]  # first entries, and the directory at the end
    for part, name in ((b"xl/", "an Excel workbook (.xlsx)"), (b"word/", "a Word document (.docx)")):
        if part in names:
            return name
    return "a ZIP archive"


def _mostly_every_other_byte_null(head: bytes) -> bool:
    half = max(1, len(head) // 2)
    return any(head[offset::2].count(0) > 0.7 * half for offset in (0, 1))


def _to_utf8(raw: bytes, file_name: str) -> bytes:
    for bom, codec, name in _BOMS:
        if raw.startswith(bom):
            try:
                return raw.decode(codec).encode("utf-8")
            except UnicodeDecodeError as error:
                raise refusal(
                    f"The file starts as {name} but byte {error.start:,} does not fit it.",
                    file_name=file_name,
                    fix="Open it in an editor, save it as UTF-8 and upload it again.",
                ) from error
    body = raw.removeprefix(codecs.BOM_UTF8)
    offset = _first_bad_byte(body)
    if offset is not None:
        raise _not_utf8(body, offset, len(raw) - len(body), file_name)
    return body


def _first_bad_byte(data: bytes) -> int | None:
    """Offset of the first byte that is not UTF-8; by chunks, a whole decoded copy may be four times the file."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(data), _CHUNK):
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(data[start : start + _CHUNK], final=start + _CHUNK >= len(data))
        except UnicodeDecodeError as error:
            return start - pending + error.start
    return None


def _not_utf8(body: bytes, offset: int, bom: int, file_name: str) -> Exception:
    line = body.count(b"\n", 0, offset) + 1
    around = body[max(0, body.rfind(b"\n", 0, offset) + 1, offset - 60) : offset + 40]
    utf8_before = not body[:offset].isascii()
    guess = "the file mixes encodings" if utf8_before else "it looks like Windows-1252 or Latin-1"
    return refusal(
        f"Line {line:,} is not UTF-8: byte 0x{body[offset]:02x} at offset {offset + bom:,}; {guess}.",
        file_name=file_name,
        fix="Open it in an editor, save it as UTF-8 and upload it again.",
        detail=showable(around.split(b"\n")[0].decode("utf-8", errors="replace")),
    )
