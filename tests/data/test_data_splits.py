"""Splits: lists beside the data, or what the records say."""

import pytest

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.bad_records import BadRecords
from keras_hkd.data.formats.records import ImageRecord
from keras_hkd.data.splits import choose_split


def images(*names, splits=None):
    splits = splits or [None] * len(names)
    return [ImageRecord("f", n, n, n, split=s) for n, s in zip(names, splits, strict=True)]


def chosen(*arguments, bad=None):
    return [image.file_name for image in choose_split(*arguments, bad or BadRecords())]


def listed(folder, text, name="train"):
    (folder / "splits").mkdir(exist_ok=True)
    (folder / "splits" / f"{name}.txt").write_text(text)


def test_a_list_chooses_in_the_order_of_the_records(tmp_path):
    listed(tmp_path, "c.jpg\n\n./a.jpg\r\n")
    assert chosen(images("a.jpg", "b.jpg", "c.jpg"), tmp_path, "train") == ["a.jpg", "c.jpg"]


def test_a_list_may_leave_out_folder_or_suffix(tmp_path):
    listed(tmp_path, "a\nb.jpg\nimages/c.jpg\n")
    names = ("city/a.jpg", "city/b.jpg", "c.jpg", "d.jpg")
    assert chosen(images(*names), tmp_path, "train") == list(names[:3])


def test_a_list_may_have_the_paths_of_another_machine(tmp_path):
    listed(tmp_path, "/home/me/photos/a.jpg\nC:\\photos\\b.jpg\nset/images/c.jpg\n")
    names = ("images/a.jpg", "images/b.jpg", "images/c.jpg")
    assert chosen(images(*names), tmp_path, "train") == list(names)


def test_lists_beside_a_file_and_one_folder_up(tmp_path):
    file = tmp_path / "annotations" / "all.json"
    file.parent.mkdir()
    file.touch()
    listed(tmp_path, "a.jpg")
    assert chosen(images("a.jpg", "b.jpg"), file, "train") == ["a.jpg"]
    listed(file.parent, "b.jpg")  # the nearer one comes first
    assert chosen(images("a.jpg", "b.jpg"), file, "train") == ["b.jpg"]


def test_records_state_their_split(tmp_path):
    three = images("a", "b", "c", splits=["train", "val", "train"])
    assert chosen(three, tmp_path, "train") == ["a", "c"]
    listed(tmp_path, "b")  # a list goes before the records
    assert chosen(three, tmp_path, "train") == ["b"]


def test_an_unknown_split_lists_those_there_are(tmp_path):
    with pytest.raises(BadDataError, match="split 'x': expected splits/<split>.txt"):
        chosen(images("a"), tmp_path, "x")
    listed(tmp_path, "a")
    with pytest.raises(
        BadDataError, match=r"'val' \(also as 'valid' or 'validation'\). Received: 'x'"
    ):
        chosen(images("a", splits=["val"]), tmp_path, "x")


@pytest.mark.parametrize(
    "text, message",
    [
        ("a.jpg\nz.jpg", "line 2: must name an image of the annotations: .* Received: 'z.jpg'"),
        ("a.jpg\na.jpg", "line 2: each image must be used once"),
        ("x/a.jpg\ny/b.jpg", "line 2: must name an image of the annotations: .*'y/b.jpg'"),
        ("c.jpg", r"line 1: must name one image: .* 'c.jpg', which fits 2"),
    ],
)
def test_bad_lines_raise_or_are_skipped(tmp_path, text, message):
    listed(tmp_path, text)
    some = images("a.jpg", "x/b.jpg", "x/c.jpg", "y/c.jpg")
    with pytest.raises(BadDataError, match=message):
        chosen(some, tmp_path, "train")
    bad = BadRecords("skip")
    chosen(some, tmp_path, "train", bad=bad)
    assert len(bad.skipped) == 1
