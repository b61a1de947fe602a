"""Text and JSON files: plain, gzipped, and damaged."""

import gzip

import pytest

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.text_files import is_json, peek, read_json, read_text


def test_plain_gzipped_and_marked_text(tmp_path):
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": "\xc3\xa9"}')  # with a byte order mark
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b"[1]"))
    assert read_json(tmp_path / "a.json") == {"a": "\u00e9"}
    assert read_json(tmp_path / "a.json.gz") == [1]
    assert peek(tmp_path / "a.json").startswith("{") and peek(tmp_path / "a.json.gz") == "[1]"
    assert is_json(tmp_path / "A.JSON.GZ") and not is_json(tmp_path / "a.txt")


def test_damaged_files_are_named(tmp_path):
    whole = gzip.compress(b"[" + b"1," * 500 + b"1]")
    cases = {
        "no.json.gz": b"plain text",
        "cut.json.gz": whole[:-9],
        "latin.json": b'"\xe9"',
        "cut.json": b'{"images": [',
        "deep.json": b"[" * 200_000,
        "long.json": b"1" * 5000,
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadDataError, match=f"{name}: the whole file: expected"):
            read_json(tmp_path / name)
    with pytest.raises(BadDataError, match="missing.txt"):
        read_text(tmp_path / "missing.txt")
    assert peek(tmp_path / "missing.txt") == "" and peek(tmp_path / "no.json.gz") == ""
