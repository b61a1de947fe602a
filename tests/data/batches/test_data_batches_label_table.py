"""Labels as equal rows."""

import numpy as np

from keras_hkd.data.annotations import ImageAnnotation
from keras_hkd.data.batches.label_table import LabelTable, letterbox_scales
from keras_hkd.data.dataset import Dataset


def dataset(*rows):
    images = [
        ImageAnnotation("", index, 100, 50, boxes, np.zeros(len(boxes)), ignore)
        for index, (boxes, ignore) in enumerate(rows)
    ]
    return Dataset(images, ("person",), "", "none")


def test_people_and_ignored_apart_padded_to_the_largest_count():
    table = LabelTable.collect(
        dataset(
            ([[0, 0, 10, 10], [5, 5, 50, 50]], [True, False]),
            ([], []),
            ([[1, 1, 2, 2], [1, 1, 3, 3], [1, 1, 4, 4]], [False] * 3),
        ),
        (50, 50),
    )
    assert table.boxes.shape == (3, 3, 4) and table.boxes.dtype == np.float32
    assert table.boxes[0].tolist() == [[2.5, 2.5, 25, 25], [-1] * 4, [-1] * 4]
    assert table.ignore_boxes[0].tolist() == [[0, 0, 5, 5]]
    assert table.classes.tolist() == [[0, -1, -1], [-1, -1, -1], [0, 0, 0]]
    assert (table.boxes[1] == -1).all() and (table.ignore_boxes[1:] == -1).all()


def test_boxes_are_clipped_to_the_image_and_dropped_outside():
    table = LabelTable.collect(
        dataset(([[-10, -10, 20, 20], [120, 5, 130, 9], [90, 40, 200, 90]], [False] * 3)), (50, 100)
    )
    assert table.boxes[0].tolist() == [[0, 0, 20, 20], [90, 40, 100, 50]]


def test_the_largest_stay_in_their_order():
    boxes = [[0, 0, 5, 5], [0, 0, 30, 30], [0, 0, 4, 4], [0, 0, 40, 40]]
    table = LabelTable.collect(dataset((boxes, [False] * 4)), (50, 100), max_boxes=2)
    assert table.boxes[0, :, 2].tolist() == [30, 40]
    assert sorted(table.ignore_boxes[0, :, 2]) == [4, 5]


def test_no_images():
    assert letterbox_scales(dataset(), (5, 5)).shape == (0,)
    assert LabelTable.collect(dataset(), (5, 5)).boxes.shape == (0, 1, 4)
