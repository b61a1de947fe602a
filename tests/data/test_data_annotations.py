"""The annotation type: shapes, hashes, choosing and merging."""

import dataclasses
import pickle

import numpy as np
import pytest
from PIL import Image

from keras_hkd.data.annotations import BadDataError, BadRecord, ImageAnnotation
from keras_hkd.data.dataset import Dataset


def image(path="", image_id=1, boxes=((1, 2, 11, 32),), **options):
    return ImageAnnotation(path, image_id, 64, 48, boxes, [0] * len(boxes), **options)


def dataset(*images, source="here", skipped=()):
    return Dataset(images, ("person",), source, "none", skipped)


class DrawnDataset(Dataset):
    """Stands for datasets that make their images themselves."""

    def load_image(self, index):
        return np.full((2, 2, 3), self.annotations[index].image_id, np.uint8)


def test_columns_have_fixed_types_and_one_row_per_box():
    one = image(boxes=[(1, 2, 3, 4), (5, 6, 7, 8)])
    assert one.boxes.dtype == np.float64 and one.boxes.shape == (2, 4)
    assert one.classes.dtype == np.int32 and one.ignore.dtype == bool
    np.testing.assert_array_equal(one.visible_boxes, one.boxes)
    empty = image(boxes=())
    assert empty.boxes.shape == (0, 4) and empty.num_boxes == 0


def test_columns_are_read_only_copies():
    boxes = np.array([[1.0, 2.0, 11.0, 32.0]])
    one = image(boxes=boxes)
    boxes[:] = 0
    assert one.boxes.tolist() == [[1, 2, 11, 32]]
    with pytest.raises(ValueError, match="read-only"):
        one.boxes[0, 0] = 5


def test_rows_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match=r"`classes` must have shape \(1,\). Received: \(2,\)"):
        ImageAnnotation("", 1, 64, 48, [[1, 2, 3, 4]], [0, 0])


def test_error_names_file_and_record_and_survives_pickling():
    error = BadDataError("boxes.json", "annotation 17", "width must be above 0. Received: -3")
    assert isinstance(error, ValueError)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(error) == "boxes.json: annotation 17: width must be above 0. Received: -3"
    assert str(BadRecord("a", "b", "c")) == "a: b: c"


def test_content_hash_follows_content_and_not_the_folder(tmp_path):
    def stored(folder, size=(64, 48), **options):
        (tmp_path / folder).mkdir(exist_ok=True)
        path = tmp_path / folder / "a.png"
        Image.new("RGB", size).save(path)
        return dataset(image(str(path), **options)).content_hash

    first = stored("one")
    assert stored("two") == first and len(first) == 64
    different = [
        stored("three", boxes=((1, 2, 11, 33),)),
        stored("three", ignore=[True]),
        stored("three", visible_boxes=[(1, 2, 11, 20)]),
        stored("three", size=(500, 400)),  # another number of bytes
        dataset(image()).content_hash,
    ]
    assert first not in different and len(set(different)) == 5


def test_visible_boxes_count_only_where_they_differ():
    assert not dataset(image()).has_visible_boxes
    assert dataset(image(), image(visible_boxes=[(1, 2, 5, 9)])).has_visible_boxes


def test_load_image_gives_rgb_and_names_what_is_missing(tmp_path):
    path = tmp_path / "a.png"
    Image.new("L", (5, 4), 9).save(path)
    pixels = dataset(image(str(path))).load_image(0)
    assert pixels.shape == (4, 5, 3) and pixels.dtype == np.uint8 and (pixels == 9).all()
    with pytest.raises(BadDataError, match="here: image 1: .*not known"):
        dataset(image()).load_image(0)
    with pytest.raises(BadDataError, match="b.png: image 1: .*does not exist"):
        dataset(image(str(tmp_path / "b.png"))).load_image(0)


def test_select_and_subset():
    three = dataset(*(image(image_id=i) for i in (7, 8, 9)))
    assert [a.image_id for a in three.select([2, 0])] == [9, 7]
    assert [a.image_id for a in three.subset(2)] == [7, 8]
    assert len(three.subset(99)) == 3
    assert three.subset(1).source == "here"
    with pytest.raises(ValueError, match="at least 1. Received: 0"):
        three.subset(0)


def test_merge_keeps_unique_ids_and_numbers_others():
    record = BadRecord("f", "r", "p")
    night = dataset(image(image_id=2), source="night", skipped=(record,))
    both = Dataset.merge([dataset(image(image_id=5), source="day"), night])
    assert [a.image_id for a in both] == [5, 2]
    assert both.source == "day + night" and both.skipped == (record,) and both.format == "none"
    assert [a.image_id for a in Dataset.merge([night, night])] == [1, 2]
    mixed = Dataset.merge([dataset(image(image_id="a")), dataset(image(image_id=1))])
    assert [a.image_id for a in mixed] == [1, 2]


def test_merge_refuses_other_classes_shared_files_and_nothing(tmp_path):
    stored = dataset(image(str(tmp_path / "a.png")))
    with pytest.raises(BadDataError, match="a.png: image 1: the image is in here and in here"):
        Dataset.merge([stored, stored])
    with pytest.raises(ValueError, match="same class names"):
        Dataset.merge([stored, dataclasses.replace(stored, class_names=("car",))])
    with pytest.raises(ValueError, match="at least one"):
        Dataset.merge([])


def test_datasets_that_draw_their_images_keep_doing_so():
    drawn = DrawnDataset(tuple(image(image_id=i) for i in (7, 8, 9)), ("person",), "drawn", "none")
    assert drawn.select([2, 0]).load_image(0)[0, 0, 0] == 9
    assert drawn.subset(2).select([1]).load_image(0)[0, 0, 0] == 8
    both = Dataset.merge([drawn.subset(1), drawn.select([2])])
    assert [both.load_image(i)[0, 0, 0] for i in range(2)] == [7, 9]
