"""Files that cannot be read at all: the person learns what the file is and how to mend it."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import zipfile
from pathlib import Path

import pytest

from functions.errors import TrainingFileInvalid
from functions.training_files import decoding, formats, parsed, read_training_file

GOOD = '{"messages": [{"role": "user", "content": "Grüße"}, {"role": "assistant", "content": "Hallo"}]}'


def refused(data: bytes | str, file_name: str = "file.jsonl") -> str:
    raw = data.encode() if isinstance(data, str) else data
    with pytest.raises(TrainingFileInvalid) as caught:
        read_training_file(raw, file_name=file_name)
    assert caught.value.problems
    return "\n".join(caught.value.problems)


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, "content")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "is empty"),
        (b" \r\n\t\n", "white space"),
        (codecs.BOM_UTF8 + b"\n", "white space"),
        (codecs.BOM_UTF16_LE, "white space"),
        (b"%PDF-1.7 ...", "PDF"),
        (gzip.compress(b"x", mtime=0), "gzip"),
        (b"PAR1....", "Parquet"),
        (zipped("data.jsonl"), "ZIP archive"),
        (zipped("[Content_Types].xml", "xl/workbook.xml"), "Excel"),
        (zipped("[Content_Types].xml", "word/document.xml"), "Word"),
        (b"\x01\x02\x00\x00\x07", "binary"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"role,content,id\nuser,Hi,1\n", "CSV"),
        (b"Dear all,\nplease find attached", "not JSON"),
        (b"null", "another shape: null"),
        (b"42", "another shape: a number"),
        (b'{"prompt": "a", "completion": "b"}', '"prompt", "completion"'),
        (b'{"training_file_metadata": {}, "conversations": []}', "conversations: is an empty list"),
        (b'{"training_file_metadata": {}}', "conversations: is null"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # archives hold the time they were made
)
def test_what_the_file_is_gets_named(data: bytes, named: str) -> None:
    assert named in refused(data)


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", ""])
def test_unicode_with_and_without_a_byte_order_mark_is_read(codec: str, ending: str) -> None:
    parsed_file = read_training_file((GOOD + ending).encode(codec), file_name="x.jsonl")
    assert parsed_file.sequences[0].messages[0].content == "Grüße"


def test_utf16_without_a_byte_order_mark_is_named() -> None:
    assert "UTF-16 without a byte order mark" in refused(GOOD.encode("utf-16-le"))


def test_broken_utf16_is_named() -> None:
    assert "starts as UTF-16" in refused(codecs.BOM_UTF16_LE + b"\x00\xd8\x00\x00")


def test_windows_1252_is_located_by_line_and_offset() -> None:
    first = b'{"a": 1}\n'
    line = '{"b": "don’t"}'.encode("cp1252")
    told = refused(first + line)
    assert "Line 2" in told
    assert "0x92" in told
    assert f"offset {len(first) + line.index(0x92)}" in told
    assert "Windows-1252" in told
    assert "save it as UTF-8" in told
    assert "don\ufffdt" in told


def test_a_bad_byte_behind_a_chunk_border_is_located() -> None:
    filler = ("é" * 600_000 + "\n").encode()  # the border of the first mebibyte splits no character: shift by one
    for shift in (b"", b"a"):
        data = shift + filler + b"ab\xff"
        told = refused(data)
        assert f"offset {len(data) - 1:,}" in told
        assert "Line 2" in told
        assert "mixes encodings" in told


def test_a_file_that_ends_within_a_character_is_located() -> None:
    data = '{"a": "é'.encode()[:-1]
    assert f"offset {len(data) - 1}" in refused(data)


def test_invalid_json_shows_the_place_under_a_caret() -> None:
    told = refused('{\n  "conversations": [\n    {"a": 1,}\n  ]\n}', "x.json")
    assert "line 3, column 13" in told
    excerpt, caret = told.split("\n")[-2:]
    assert excerpt[caret.index("^")] == "}"
    assert "comma" in told


def test_a_cut_off_document_is_called_cut_off() -> None:
    assert "cut off" in refused('{\n "conversations": [\n {"conversation_metadata": {"conversation_id": "a')


def test_a_caret_far_to_the_right_stays_under_its_character() -> None:
    told = refused('{"turns": [], "x": "' + "é\t" * 4000 + '"}\n' + GOOD)
    excerpt, caret = told.split("\n")[-2:]
    assert len(excerpt) <= 200
    assert len(caret) <= len(excerpt)


@pytest.mark.parametrize("data", [f"[{GOOD}]", json.dumps(json.loads(GOOD), indent=1)])
def test_right_records_in_the_wrong_wrapping_are_recognised(data: str) -> None:
    told = refused(data)
    if data.startswith("["):
        assert "one JSON list of the right fields" in told
    else:
        assert "one JSON object of the right fields" in told
    assert "JSONL" in told


@pytest.mark.parametrize("depth", [900, 1_500, 200_000])
@pytest.mark.parametrize("opening", ["[", '{"turns":'])
def test_deep_nesting_is_refused_not_fallen_over(depth: int, opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    assert refused(opening * depth + "1" + closing * depth)


def test_too_large_a_path_is_refused_by_its_size(tmp_path: Path) -> None:
    sparse = tmp_path / "large.jsonl"
    with sparse.open("wb") as stream:
        stream.truncate(decoding.MAX_BYTES + 1)
    with pytest.raises(TrainingFileInvalid, match="at most 150 MB"):
        read_training_file(sparse, file_name="large.jsonl")


def test_a_large_document_is_pointed_to_jsonl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_DOCUMENT_BYTES", 30)
    assert "JSONL (v5)" in refused('{"conversations": [{"training_pairs": []}]}')


def test_a_document_of_brackets_is_refused_before_it_is_loaded() -> None:
    told = refused('{"training_file_metadata": [' + "[]," * 8_000_000 + "0],\n}")
    assert "brackets" in told


def test_a_line_that_is_a_whole_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_LINE_BYTES", 1_000)
    told = refused(GOOD + "\n" + '{"messages": "' + "x" * 2_000 + '"}')
    assert "Line 2: is" in told
    assert "MB long" in told


def test_more_turns_than_memory_takes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsed, "MAX_MESSAGES", 4)
    assert "more than 4 turns" in refused("\n".join([GOOD] * 3))


def test_five_problems_are_told_and_the_rest_counted() -> None:
    told = refused("\n".join(['{"turns": 1}'] * 12)).split("\n")
    assert [line.split(",")[0] for line in told] == [f"Line {n}" for n in range(1, 6)] + ["and 7 more"]


def test_reading_stops_where_every_line_is_wrong() -> None:
    with pytest.raises(TrainingFileInvalid, match="at least 10,000 problems"):
        read_training_file(b'{"turns": 1}\n' * 20_000, file_name="x")


def test_file_names_are_made_fit_to_show() -> None:
    with pytest.raises(TrainingFileInvalid) as caught:
        read_training_file(b"", file_name="a\x00\n\u202eb" + "c" * 500)
    assert caught.value.where.startswith("a b")
    assert len(caught.value.where) <= 120
