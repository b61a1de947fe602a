"""Boxes of all images at once: sound or refused, in every form that files have."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.bad_records import BadRecords
from keras_hkd.data.formats.box_checks import checked_annotations
from keras_hkd.data.formats.records import BoxRecord, ImageRecord

ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=5),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    st.sampled_from([10**400, "9" * 5000, b"x"]),
)


def annotation(boxes, box_format="xywh", bad=None, classes=("person",)):
    image = ImageRecord("f.json", "image", 1, "a.png", "", 100, 50, boxes=boxes)
    index = {name: i for i, name in enumerate(classes)}
    (one,) = checked_annotations([image], box_format, index, bad or BadRecords())
    return one


@given(values=ANYTHING | st.lists(ANYTHING, min_size=4, max_size=4))
def test_boxes_are_sound_or_refused(values):
    try:
        boxes = annotation([BoxRecord("box 1", "person", values)]).boxes
    except BadDataError:
        return
    left, top, right, bottom = boxes[0]
    assert left < right and top < bottom and right > 0 and bottom > 0 and left < 100 and top < 50


@pytest.mark.parametrize(
    "box_format, values",
    [
        ("xywh", [10, 20, 30, 25]),
        ("xyxy", [10, 20, 40, 45]),
        ("pascal", [11, 21, 40, 45]),
        ("rel_center_xywh", [0.25, 0.65, 0.3, 0.5]),
    ],
)
def test_every_box_format_gives_the_same_corners(box_format, values):
    one = annotation([BoxRecord("box 1", "person", values)], box_format)
    np.testing.assert_allclose(one.boxes, [[10, 20, 40, 45]], rtol=1e-12)


def test_boxes_stay_as_annotated_where_they_reach_out_of_the_image():
    box = BoxRecord("box 1", "person", [-10, 40, 30, 30], visible=[-5, 40, 10, 30])
    one = annotation([box])
    assert one.boxes.tolist() == [[-10, 40, 20, 70]]
    assert one.visible_boxes.tolist() == [[-5, 40, 5, 70]]


@pytest.mark.parametrize(
    "values, message",
    [
        ([10, 10, 0, 5], "width above 0: delete it. Received: 0"),
        ([10, 10, 5, -3], "height above 0: delete it. Received: -3"),
        ([math.nan, 10, 5, 5], "finite number of pixels. Received: nan"),
        ([10, math.inf, 5, 5], "finite number of pixels. Received: inf"),
        ([10, 10, 5], "four numbers"),
        (["x", 10, 5, 5], "must be a number. Received: 'x'"),
        ([True, 10, 5, 5], "must be a number. Received: True"),
        ([100, 10, 5, 5], "overlap its image of 100 x 50 px"),
        ([10, -9, 5, 9], "overlap its image of 100 x 50 px"),
        (None, "four numbers. Received: None"),
    ],
)
def test_bad_boxes_raise_with_file_and_record_or_are_skipped(values, message):
    boxes = [BoxRecord("box 1", "person", values), BoxRecord("box 2", "person", [1, 2, 3, 4], True)]
    with pytest.raises(BadDataError, match=f"f.json: box 1: .*{message}"):
        annotation(boxes)
    bad = BadRecords("skip")
    one = annotation(boxes, bad=bad)
    assert one.boxes.tolist() == [[1, 2, 4, 6]] and one.ignore.tolist() == [True]
    assert [(r.file, r.record) for r in bad.skipped] == [("f.json", "box 1")]


def test_visible_boxes_may_be_empty_but_not_negative():
    hidden = BoxRecord("box 1", "person", [1, 2, 3, 4], visible=[0, 0, 0, 0])
    assert annotation([hidden]).visible_boxes.tolist() == [[0, 0, 0, 0]]
    with pytest.raises(BadDataError, match="visible box .* negative"):
        annotation([BoxRecord("box 1", "person", [1, 2, 3, 4], visible=[5, 5, -1, 2])])


def test_unwanted_classes_are_dropped_before_their_boxes_are_checked():
    boxes = [BoxRecord("box 1", "toaster", None), BoxRecord("box 2", "car", [1, 2, 3, 4])]
    assert annotation(boxes, classes=("person", "car")).classes.tolist() == [1]


def test_what_a_record_says_of_a_box_is_kept():
    said = {"crowd": False, "visibility": 0.25, "occlusion": 2, "area": 7.0, "id": 9}
    boxes = [BoxRecord("box 1", "person", [1, 2, 3, 4], True, **said)]
    boxes.append(BoxRecord("box 2", "person", [1, 2, 3, 4], True, visible=[1, 2, 3, 1], id=4))
    one = annotation(boxes)
    assert one.ignore.tolist() == [True, True] and one.crowd.tolist() == [False, True]
    assert one.visibility.tolist() == [0.25, 0.25] and one.occlusion.tolist() == [2, 0]
    assert one.areas.tolist() == [7, 12] and one.annotation_ids.tolist() == [9, 4]
    plain = annotation([BoxRecord("box 1", "person", [1, 2, 3, 4])])
    unknown = (plain.crowd, plain.visibility, plain.occlusion, plain.areas, plain.annotation_ids)
    assert unknown == (None,) * 5


def test_boxes_go_to_their_images():
    images = [ImageRecord("f", str(i), i, f"{i}.png", "", 100, 50) for i in range(4)]
    images[1].boxes = [BoxRecord("a", "person", [1, 1, 2, 2]), BoxRecord("b", "car", [0, 0, 0, 0])]
    images[3].boxes = [
        BoxRecord("c", "person", [3, 3, 0, 2]),
        BoxRecord("d", "person", [4, 4, 2, 2]),
    ]
    bad = BadRecords("skip")
    found = checked_annotations(images, "xywh", {"person": 0}, bad)
    corners = [one.boxes[:, 0].tolist() for one in found]
    assert corners == [[], [1], [], [4]]
    assert [record.record for record in bad.skipped] == ["c"]
