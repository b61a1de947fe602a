"""The record checks, and what each mode does with a bad record."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats import bad_records
from keras_hkd.data.formats.bad_records import BadRecords, RecordProblem, Unique, checked_annotation
from keras_hkd.data.formats.records import BoxRecord, ImageRecord, Records

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


def annotation(boxes, box_format="xywh", bad=None, classes=("person",), **options):
    image = ImageRecord("f.json", "image", 1, "a.png", "", 100, 50, boxes=boxes)
    records = Records([image], box_format, classes, **options)
    index = {name: i for i, name in enumerate(classes)}
    return checked_annotation(image, records, index, bad or BadRecords())


@pytest.mark.parametrize("check", ["number", "integer", "flag", "words", "identifier", "mapping"])
@pytest.mark.parametrize("text", [False, True])
@given(value=ANYTHING)
def test_checks_take_a_value_or_raise_a_record_problem(check, text, value):
    options = {"text": text} if check in ("number", "integer") else {}
    try:
        result = getattr(bad_records, check)(value, "it", **options)
    except RecordProblem as problem:
        assert "it must be" in str(problem) and len(str(problem)) < 250
        return
    if check == "number":
        assert isinstance(result, float) and math.isfinite(result)
    if check == "integer":
        assert isinstance(result, int) and result >= 0 and not isinstance(value, bool)


@given(values=ANYTHING | st.lists(ANYTHING, min_size=4, max_size=4))
def test_boxes_are_sound_or_refused(values):
    try:
        boxes = annotation([BoxRecord("box 1", "person", values)]).boxes
    except BadDataError:
        return
    left, top, right, bottom = boxes[0]
    assert 0 <= left < right <= 100 and 0 <= top < bottom <= 50


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


def test_boxes_partly_outside_are_cut_unless_the_format_allows_them():
    box = BoxRecord("box 1", "person", [-10, 40, 30, 30], visible=[-5, 40, 10, 30])
    cut = annotation([box])
    assert cut.boxes.tolist() == [[0, 40, 20, 50]]
    assert cut.visible_boxes.tolist() == [[0, 40, 5, 50]]
    whole = annotation([box], boxes_may_reach_out=True)
    assert whole.boxes.tolist() == [[-10, 40, 20, 70]]
    assert whole.visible_boxes.tolist() == [[-5, 40, 5, 70]]


@pytest.mark.parametrize(
    "values, message",
    [
        ([10, 10, 0, 5], "width above 0, got 0"),
        ([10, 10, 5, -3], "height above 0, got -3"),
        ([math.nan, 10, 5, 5], "finite number of pixels, got nan"),
        ([10, math.inf, 5, 5], "finite number of pixels, got inf"),
        ([10, 10, 5], "four numbers"),
        (["10", 10, 5, 5], "must be a number, got '10'"),
        ([100, 10, 5, 5], "overlap its image of 100 x 50 px"),
        ([10, -9, 5, 9], "overlap its image of 100 x 50 px"),
        (None, "four numbers, got None"),
    ],
)
@pytest.mark.parametrize("reach_out", [False, True])
def test_bad_boxes_raise_with_file_and_record_or_are_skipped(values, message, reach_out):
    boxes = [BoxRecord("box 1", "person", values), BoxRecord("box 2", "person", [1, 2, 3, 4], True)]
    with pytest.raises(BadDataError, match=f"f.json: box 1: .*{message}"):
        annotation(boxes, boxes_may_reach_out=reach_out)
    bad = BadRecords("skip")
    one = annotation(boxes, bad=bad, boxes_may_reach_out=reach_out)
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


def test_unique_says_where_the_first_was():
    seen = Unique("image id")
    seen.add(7, "images[0]")
    seen.add("7", "images[1]")
    with pytest.raises(RecordProblem, match=r"image id .* got 7 again \(first in images\[0\]\)"):
        seen.add(7, "images[2]")


def test_mode_must_be_known():
    with pytest.raises(ValueError, match="one of .*'raise', 'skip'.* got 'ignore'"):
        BadRecords("ignore")
