"""Caltech's text export: a frame worked out by hand, and each way in which it can be wrong."""

import pytest
from PIL import Image

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.loading import load_dataset

TEXT = """% bbGt version=3
person 10 20 30 80 0 0 0 0 0 0 0
person 100 50 20 60 1 100 50 20 30 0 0
person 200 50 20 60 1 200 50 20 60 0 0
person 300 50 20 60 1 0 0 0 0 0 0
people 400 40 100 50 0 0 0 0 0 0 0
person? 500 40 20 50 0 0 0 0 0 0 0
person 550 40 20 50 0 0 0 0 0 1 0
person -5 400 30 100 1 0 400 25 80 0 0
bicycle 1 2 3 4 0 0 0 0 0 0 0
"""


def stored(folder, text=TEXT, name="set06_V000_I00029"):
    (folder / "annotations").mkdir(exist_ok=True)
    file = folder / "annotations" / f"{name}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def load(path, **options):
    return load_dataset(path, **{"check_images": False, **options})


def test_worked_example(tmp_path):
    file = stored(tmp_path)
    for path in (tmp_path, file):
        dataset = load(path)
        (one,) = dataset
        assert dataset.format == "caltech" and one.image_id == "set06_V000_I00029"
        assert (one.width, one.height) == (640, 480)
        # the last box reaches out of the frame, and is kept whole
        assert one.boxes[[0, 7]].tolist() == [[10, 20, 40, 100], [-5, 400, 25, 500]]
        assert one.ignore.tolist() == [False] * 4 + [True] * 3 + [False]
        visible = one.visible_boxes
        assert visible[0].tolist() == one.boxes[0].tolist()  # not occluded
        assert visible[1].tolist() == [100, 50, 120, 80]  # the lower half is hidden
        assert visible[2].tolist() == [200, 50, 200, 50]  # occluded, equal boxes: nothing is seen
        assert visible[3].tolist() == one.boxes[3].tolist()  # occluded, extent not known
        assert visible[7].tolist() == [0, 400, 25, 480]


@pytest.mark.parametrize("name", ["set06_V000_I00029", "set06/V000/I00029"])
@pytest.mark.parametrize("folder", ["images", "annotations", "."])
def test_images_are_found_and_give_the_size(tmp_path, name, folder):
    stored(tmp_path, name=name)
    path = tmp_path / folder / f"{name}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (600, 500)).save(path)
    (one,) = load(tmp_path, check_images=True)
    assert one.image_path == str(path) and (one.width, one.height) == (600, 500)


def test_split_lists_are_no_frames(tmp_path):
    for name in ("a", "b"):
        file = stored(tmp_path, name=name)
        file.rename(tmp_path / file.name)
    (tmp_path / "annotations").rmdir()
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "test.txt").write_text("b.jpg\n")
    assert len(load(tmp_path)) == 2
    assert [a.image_id for a in load(f"{tmp_path}:test")] == ["b"]


@pytest.mark.parametrize(
    "line, message",
    [
        ("person 1 2 3", r"12 fields\). Received: 4"),
        ("person 1 2 3 4 0 0 0 0 0 0 x", "angle must be a number"),
        ("person 1 2 3 4 0 0 0 0 0 0 45", "turned boxes are not read"),
        ("person 1 2 3 4 3 0 0 0 0 0 0", "occluded must be 0 or 1 .*Received: 3"),
        ("person 1 2 0 4 0 0 0 0 0 0 0", "width above 0"),
        ("person 1 2 inf 4 0 0 0 0 0 0 0", "w must be a finite number"),
        ("person 1 2 3 4 1 1 2 -3 4 0 0", "visible box .* negative"),
        ("person 641 2 3 4 0 0 0 0 0 0 0", "wholly outside"),
    ],
)
def test_bad_lines_raise_or_are_skipped(tmp_path, line, message):
    stored(tmp_path, f"{TEXT}{line}\n")
    with pytest.raises(BadDataError, match=f"I00029.txt: line 11: .*{message}"):
        load(tmp_path)
    dataset = load(tmp_path, on_bad_data="skip")
    assert dataset.num_boxes == 8 and len(dataset.skipped) == 1


@pytest.mark.parametrize("first", ["% bbGt version=2", "person", ""])
def test_other_versions_are_refused(tmp_path, first):
    file = stored(tmp_path, first)
    with pytest.raises(BadDataError, match='first line must be "% bbGt version=3"'):
        load(file, format="caltech")
