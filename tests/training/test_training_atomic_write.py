import json
import math
import os
import pathlib

import numpy as np
import pytest

from keras_hkd.training import atomic_write


def test_a_failing_writer_leaves_the_old_file_and_no_partial_one(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text("old")
    with pytest.raises(OSError, match="disk"), atomic_write.replacing(path) as partial:
        partial.write_text("half of the n")
        raise OSError("disk full")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["metrics.json"]


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "model.keras"
    path.write_text("old")
    with atomic_write.replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
        assert partial.suffix == ".keras"
        assert partial.parent == path.parent
    assert path.read_text() == "new"


def test_makes_the_folder(tmp_path):
    atomic_write.write_text(tmp_path / "runs" / "one" / "note.txt", "ä")
    assert (tmp_path / "runs" / "one" / "note.txt").read_text(encoding="utf-8") == "ä"


def test_json_holds_numpy_values_and_no_nan(tmp_path):
    atomic_write.write_json(
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
        atomic_write.plain({"a": object()})


def test_removes_only_what_a_killed_process_left(tmp_path):
    left = [".epoch_0001.partial-123.npz", ".run.partial-9.json", ".note.partial-9"]
    kept = ["epoch_0001.npz", ".hidden", "partial-1.npz", ".notes.txt"]
    for name in left + kept:
        (tmp_path / name).write_text("x")
    atomic_write.remove_partial_files(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(kept)
    atomic_write.remove_partial_files(tmp_path / "absent")
