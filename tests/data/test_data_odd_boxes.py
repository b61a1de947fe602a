"""Boxes that look wrong: one of each kind, and none where there is nothing."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from keras_hkd.data import Dataset, DataWarning, ImageAnnotation, find_odd_boxes, load_dataset
from keras_hkd.data.odd_boxes import KINDS, count_odd_boxes


def image(boxes, number=1, classes=None, **columns):
    boxes = np.array(boxes, float).reshape(-1, 4)
    classes = np.zeros(len(boxes), int) if classes is None else classes
    return ImageAnnotation("", number, 200, 100, boxes, classes, **columns)


def found(*images):
    odd = find_odd_boxes(Dataset(images, ("person", "car"), "here", "none"))
    return [(one.kind, one.image, one.box) for one in odd]


@pytest.mark.parametrize(
    "kind, box, detail",
    [
        ("no_area", [10, 10, 10, 40], "0 x 30 px"),
        ("no_area", [10, 40, 30, 10], "20 x -30 px"),
        ("outside", [-30, 10, 20, 60], "40% inside"),
        ("outside", [250, 10, 270, 60], "0% inside"),
        ("tiny", [10, 10, 12.5, 30], "2.5 x 20 px"),
        ("long", [10, 10, 14, 60], "4 x 50 px"),
        ("long", [10, 10, 160, 20], "150 x 10 px"),
        ("whole_picture", [1, 1, 200, 99], "98% of the picture"),
        ("whole_picture", [-20, -20, 220, 120], "100% of the picture"),
    ],
)
def test_one_of_each_kind(kind, box, detail):
    good = [60, 20, 90, 80]
    odd = find_odd_boxes(Dataset((image([good, box]),), ("person",), "here", "none"))
    assert [(one.kind, one.box, one.detail) for one in odd if one.kind == kind] == [
        (kind, 1, detail)
    ]
    assert all(one.box == 1 for one in odd)


def test_what_is_just_right():
    assert (
        found(image([[-20, 10, 20, 60], [10, 10, 13, 40], [50, 0, 54, 40], [0, 0, 189, 100]])) == []
    )


def test_ignore_regions_may_be_of_any_shape_and_on_one_another():
    boxes = [[0, 0, 200, 100], [0, 0, 200, 100], [10, 10, 11, 90], [5, 5, 5, 9]]
    assert found(image(boxes, ignore=[True] * 4)) == [("no_area", 0, 3)]


def test_boxes_on_one_another():
    boxes = [[10, 10, 50, 90], [100, 10, 140, 90], [10, 10, 50, 91], [100, 10, 140, 80]]
    one = image(boxes, classes=[0, 0, 1, 0])
    (odd,) = find_odd_boxes(Dataset((one,), ("person", "car"), "here", "none"))
    assert (odd.kind, odd.box, odd.detail) == ("repeated", 2, "on box 0, of another class")


def test_the_same_place_in_many_pictures():
    logo, others = [150, 5, 190, 45], [[10 * i, 10, 10 * i + 8, 40] for i in range(6)]
    images = [image([others[i], logo], i) for i in range(5)] + [image([others[5]], 5)]
    assert found(*images) == [("many_identical", i, 1) for i in range(5)]
    assert found(*images[:4]) == []  # four are not many
    # five of 600 are not one in a hundred
    assert found(*images, *(image([], i) for i in range(6, 600))) == []


def test_a_picture_of_unknown_size_is_no_fault():
    unknown = ImageAnnotation("", 1, 0, 0, [[-30, 10, 20, 60]], [0])
    assert found(unknown) == [] and found(image([])) == []


@given(
    boxes=st.lists(
        st.tuples(*[st.floats(-50, 250)] * 2, st.floats(-9, 300), st.floats(-9, 300)), max_size=6
    ),
    ignored=st.booleans(),
)
def test_every_finding_is_true_to_its_words(boxes, ignored):
    corners = [(x, y, x + w, y + h) for x, y, w, h in boxes]
    one = image(corners, ignore=[ignored] * len(corners))
    for kind, _, row in found(one):
        assert kind in KINDS
        x1, y1, x2, y2 = one.boxes[row]
        w, h = x2 - x1, y2 - y1
        inside = max(0, min(x2, 200) - max(x1, 0)) * max(0, min(y2, 100) - max(y1, 0))
        assert (kind == "no_area") == (min(w, h) <= 0)
        if kind == "outside":
            assert inside < 0.5 * w * h + 1e-6
        if kind == "tiny":
            assert min(w, h) < 3 and not ignored
        if kind == "whole_picture":
            assert inside >= 0.95 * 200 * 100 - 1e-6
    flat = sum(min(x2 - x1, y2 - y1) <= 0 for x1, y1, x2, y2 in one.boxes.tolist())
    assert sum(kind == "no_area" for kind, *_ in found(one)) == flat


def test_boxes_that_look_misread_are_counted_once():
    boxes = [[0, 0, 1, 50], [150, 40, 450, 60], [10, 10, 40, 80], [0, 0, 200, 100]]
    count = count_odd_boxes(Dataset((image(boxes),), ("person",), "here", "none"))
    assert (count.num_boxes, count.num_odd, count.share) == (4, 2, 0.5)
    assert count.kinds == {"no_area": 0, "outside": 1, "tiny": 1, "long": 2, "repeated": 0}
    assert count.most == KINDS["long"]
    nothing = Dataset((image([]),), ("person",), "here", "none")
    assert count_odd_boxes(nothing).share == 0


def shifted(boxes):
    """Five of each, none on another."""
    return [[x + 3 * k * (x > 1), *rest] for x, *rest in boxes for k in range(5)]


def test_labels_in_another_unit_or_order_are_warned_of(tmp_path):
    """Shares of the picture, and corners, in a file that has left, top, width, height."""
    Image.new("RGB", (200, 100)).save(tmp_path / "a.png")
    for boxes, doubt in [
        ([[0.1, 0.2, 0.3, 0.5]], "5 of 5 boxes look odd, most because: a side shorter than 3 px"),
        ([[120, 30, 190, 90], [10, 10, 30, 80]], "5 of 10 boxes look odd, .* within the picture"),
    ]:
        content = {
            "images": [{"id": 1, "file_name": "a.png", "width": 200, "height": 100}],
            "categories": [{"id": 1, "name": "person"}],
            "annotations": [
                {"id": n, "image_id": 1, "category_id": 1, "bbox": box}
                for n, box in enumerate(shifted(boxes))
            ],
        }
        (tmp_path / "annotations.json").write_text(json.dumps(content))
        with pytest.warns(DataWarning, match=doubt):
            load_dataset(tmp_path)
