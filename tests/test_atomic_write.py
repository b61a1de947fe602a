import os
import sys

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


def test_a_folder_that_holds_files_is_refused_before_anything_is_written(tmp_path):
    path = tmp_path / "out.mp4"
    path.mkdir()
    (path / "film.txt").write_text("mine")
    written = []
    with pytest.raises(FileExistsError, match=r"out\.mp4' is a folder"):
        with atomic_write.replacing(path):
            written.append(path)
    assert not written and (path / "film.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    atomic_write.write_text(tmp_path / "empty", "whole")
    assert (tmp_path / "empty").read_text() == "whole"


def test_a_folder_is_replaced_only_where_that_is_asked_for(tmp_path):
    (tmp_path / "built").mkdir()
    (tmp_path / "built" / "old.txt").write_text("old")
    with pytest.raises(OSError):
        with atomic_write.replacing(tmp_path / "built", replaces_folder=True) as partial:
            partial.mkdir()
            raise OSError("disk full")
    assert os.listdir(tmp_path / "built") == ["old.txt"]
    with atomic_write.replacing(tmp_path / "built", replaces_folder=True) as partial:
        partial.mkdir()
        (partial / "new.txt").write_text("new")
    assert os.listdir(tmp_path / "built") == ["new.txt"] and os.listdir(tmp_path) == ["built"]


@pytest.mark.parametrize("letter", ["x", "ä", "人"])
def test_a_name_may_be_as_long_as_the_disk_takes(tmp_path, letter):
    name = letter * (244 // len(letter.encode())) + ".weights.h5"
    with atomic_write.replacing(tmp_path / name) as partial:
        partial.write_text("whole")
        assert partial.name.endswith(f"{letter}.weights.h5")
        assert atomic_write.is_partial(partial.name)
    assert os.listdir(tmp_path) == [name] and (tmp_path / name).read_text() == "whole"


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
@pytest.mark.parametrize("exists", [True, False])
def test_a_link_is_followed(tmp_path, exists):
    (tmp_path / "store").mkdir()
    if exists:
        (tmp_path / "store" / "blob").write_text("old")
    (tmp_path / "best.keras").symlink_to(tmp_path / "store" / "blob")
    with atomic_write.replacing(tmp_path / "best.keras") as partial:
        partial.write_text("new")
        assert partial.parent == tmp_path / "store" and partial.suffix == ".keras"
    assert (tmp_path / "best.keras").is_symlink()
    assert (tmp_path / "store" / "blob").read_text() == "new"
    assert os.listdir(tmp_path / "store") == ["blob"]


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
