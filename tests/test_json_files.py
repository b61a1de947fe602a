import gzip
import json
import math
import pathlib

import numpy as np
import pytest

from keras_hkd import json_files


def test_json_holds_numpy_values_and_no_nan(tmp_path):
    json_files.write_json(
        tmp_path / "x.json",
        {
            "AP": np.float32(0.5),
            "counts": np.arange(3),
            "none": math.nan,
            "inf": np.array([np.inf]),
            "path": pathlib.Path("a/b"),
            "flag": True,
        },
    )
    text = (tmp_path / "x.json").read_text()
    assert "NaN" not in text and "Infinity" not in text
    expected = {"AP": 0.5, "counts": [0, 1, 2], "none": None, "inf": [None], "flag": True}
    assert json.loads(text) == {**expected, "path": "a/b"}


def test_json_refuses_what_it_would_have_to_guess():
    with pytest.raises(TypeError, match="object"):
        json_files.plain({"a": object()})


def test_json_of_one_line():
    assert json_files.as_json([1, 2.5, None], indent=None) == "[1, 2.5, null]"


def test_reads_what_it_wrote_compressed_or_not(tmp_path):
    value = {"name": "perçon", "boxes": [[1, 2.5]], "none": None}
    json_files.write_json(tmp_path / "new" / "x.json", value)
    assert json_files.read_json(tmp_path / "new" / "x.json") == value
    packed = tmp_path / "x"
    packed.write_bytes(gzip.compress(json.dumps(value).encode("utf-8-sig")))
    assert json_files.read_json(packed) == value


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (gzip.compress(b"{}", mtime=0)[:-5], "cannot be unpacked"),
    ],
)
def test_a_file_that_is_none_of_ours_is_named(tmp_path, content, said):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"x.json: {said}"):
        json_files.read_json(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent.json"):
        json_files.read_json(tmp_path / "absent.json")
