"""Classes of whole images from folders, one or several."""

import pytest
from PIL import Image

from keras_hkd.data import BadDataError, load_classification


@pytest.fixture
def folder(tmp_path):
    """Two splits; dogs are a class that `val` lacks."""
    counts = {"train/cat": 3, "train/dog": 2, "train/person": 2, "val/cat": 1, "val/person": 2}
    for number, (place, count) in enumerate(counts.items()):
        (tmp_path / place).mkdir(parents=True)
        for index in range(count):
            picture = Image.new("RGB", (10 + index, 8), (40 * number, index, 7))
            picture.save(tmp_path / place / f"{index}.png")
    return tmp_path


def test_folders_are_classes_in_alphabetical_order(folder):
    (folder / "train" / ".cache").mkdir()
    (folder / "train" / "cat" / "notes.txt").write_text("no image")
    for source in (f"{folder}:train", folder / "train"):
        dataset = load_classification(source)
        assert dataset.class_names == ("cat", "dog", "person")
        assert dataset.classes.tolist() == [0, 0, 0, 1, 1, 2, 2]
        assert dataset.class_counts == {"cat": 3, "dog": 2, "person": 2}
        assert [one.image_id for one in dataset][2:4] == ["cat/2", "dog/0"]
        assert dataset.load_image(2).shape == (8, 12, 3)
        assert dataset.load_image(3)[0, 0].tolist() == [40, 0, 7]


def test_a_part_is_read_with_the_classes_of_the_whole(folder):
    names = load_classification(f"{folder}:train").class_names
    part = load_classification(f"{folder}:val", class_names=names)
    assert part.class_names == names and part.classes.tolist() == [0, 2, 2]
    with pytest.raises(
        BadDataError, match=r"expected \('cat', 'person'\). Received: also \['dog'\]"
    ):
        load_classification(f"{folder}:train", class_names=("cat", "person"))


def test_sources_are_joined(folder):
    names = ("cat", "dog", "person")
    joined = load_classification([f"{folder}:train", f"{folder}:val"], class_names=names)
    assert len(joined) == 10 and joined.classes.tolist()[-3:] == [0, 2, 2]
    assert len({one.image_id for one in joined}) == 10


def test_damaged_images_stop_or_are_listed(folder):
    damaged = folder / "train" / "dog" / "1.png"
    damaged.write_bytes(damaged.read_bytes()[:40])
    with pytest.raises(BadDataError, match=r"1\.png: image dog/1: .*cannot be decoded"):
        load_classification(f"{folder}:train")
    dataset = load_classification(f"{folder}:train", on_bad_data="skip")
    assert len(dataset) == 6 and [record.record for record in dataset.skipped] == ["image dog/1"]


def test_folders_that_are_no_classes_are_refused(folder, tmp_path):
    with pytest.raises(BadDataError, match="look like splits"):
        load_classification(folder)
    with pytest.raises(BadDataError, match="no such folder"):
        load_classification(f"{folder}:test")
    (folder / "train" / "mouse").mkdir()
    with pytest.raises(BadDataError, match=r"of which \['mouse'\] hold no image"):
        load_classification(f"{folder}:train")
    with pytest.raises(BadDataError, match="two or more folders"):
        load_classification(folder / "train" / "cat")
    with pytest.raises(ValueError, match="at least one dataset"):
        load_classification([])
