import os

import pytest

from keras_hkd import atomic_write


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
        assert partial.name.endswith("model.keras")
        assert partial.parent == path.parent
    assert path.read_text() == "new"


def test_a_folder_is_whole_or_absent_too(tmp_path):
    with pytest.raises(OSError), atomic_write.replacing(tmp_path / "saved") as partial:
        (partial / "variables").mkdir(parents=True)
        raise OSError("disk full")
    assert os.listdir(tmp_path) == []
    with atomic_write.replacing(tmp_path / "saved") as partial:
        (partial / "variables").mkdir(parents=True)
        assert not (tmp_path / "saved").exists()
    assert (tmp_path / "saved" / "variables").is_dir() and os.listdir(tmp_path) == ["saved"]


def test_makes_the_folder(tmp_path):
    atomic_write.write_text(tmp_path / "runs" / "one" / "note.txt", "ä")
    assert (tmp_path / "runs" / "one" / "note.txt").read_text(encoding="utf-8") == "ä"


def test_removes_only_what_a_killed_process_left(tmp_path):
    left = [".partial-123.epoch_0001.npz", ".partial-9.run.json", ".partial-9.note"]
    left += [".epoch_0001.partial-123.npz", ".run.partial-9.json", ".note.partial-9"]  # once
    kept = ["epoch_0001.npz", ".hidden", "partial-1.npz", ".notes.txt"]
    for name in left + kept:
        (tmp_path / name).write_text("x")
    (tmp_path / ".partial-7.saved_model" / "variables").mkdir(parents=True)
    atomic_write.remove_partial_files(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(kept)
    atomic_write.remove_partial_files(tmp_path / "absent")
