import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_hkd.metrics.detections import as_detections
from keras_hkd.metrics.ground_truth import as_ground_truth

TRUTH = as_ground_truth([{"image_id": i, "boxes": []} for i in (3, 7)])


def result(**fields):
    return {"image_id": 7, "bbox": [1, 2, 10, 30], "score": 0.5, **fields}


def test_nothing():
    for empty in ([], {"image_ids": [], "boxes": [], "scores": []}):
        found = as_detections(empty, TRUTH)
        assert len(found) == 0
        assert found.boxes.shape == (0, 4)


def test_of_coco_results():
    found = as_detections([result(), result(image_id=3, category_id=2)], TRUTH)
    assert found.image_index.tolist() == [1, 0]
    assert found.boxes.tolist() == [[1, 2, 10, 30]] * 2
    assert found.category_ids.tolist() == [1, 2]
    assert as_detections(found, TRUTH) is found


def test_of_arrays():
    arrays = {
        "image_ids": np.array([7, 3]),
        "boxes": np.array([[1, 2, 11, 32], [0, 0, 5, 6]]),
        "scores": np.array([0.5, 0.25]),
        "classes": np.array([0, 4]),
    }
    found = as_detections(arrays, TRUTH)
    assert found.image_index.tolist() == [1, 0]
    assert found.boxes.tolist() == [[1, 2, 10, 30], [0, 0, 5, 6]]
    assert found.category_ids.tolist() == [1, 5]


@pytest.mark.parametrize(
    ("detections", "message"),
    [
        ([{}], "detection number 1: must be an object with image_id, bbox and score"),
        ([result(), 3], "detection number 2: must be an object"),
        ([result(), result(image_id=8)], "detection number 2: .*no image with id 8.*begin with"),
        ([result(image_id=[7])], "detection number 1: .*no image"),
        ([result(image_id="7.5")], "no image with id '7.5'"),
        ([result(bbox=[1, 2, 3])], "detection number 1: `bbox`"),
        ([result(bbox=[1, 2, -3, 4])], "must not be negative"),
        ([result(score=float("nan"))], "detection number 1: `score` must be finite"),
        ([result(score=None)], "detection number 1: `score` must be finite"),
        ([result(category_id="person")], "`category_id`"),
        ({"boxes": []}, "image_ids, boxes and scores"),
        ({"image_ids": [7], "boxes": [[0, 0, 1, 1]], "scores": []}, "one row per detection"),
        ({"image_ids": [7], "boxes": [[3, 0, 1, 1]], "scores": [1]}, "must not be negative"),
    ],
)
def test_bad_records_are_named(detections, message):
    with pytest.raises(ValueError, match=message):
        as_detections(detections, TRUTH)


@pytest.mark.parametrize("detections", ["found.json", 3, None])
def test_other_types(detections):
    with pytest.raises(TypeError, match="read_detections"):
        as_detections(detections, TRUTH)


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
values |= st.lists(values, max_size=4) | st.just([1, 2, 3, 4]) | st.just(7)
keys = st.sampled_from(["image_id", "bbox", "score", "category_id"])


@given(st.lists(st.dictionaries(keys, values) | values, max_size=3))
def test_whatever_json_holds_either_loads_or_is_refused_clearly(detections):
    try:
        found = as_detections(detections, TRUTH)
    except ValueError as error:
        assert str(error)
    else:
        assert len(found) == len(detections)


def test_classes_of_arrays_are_positions_among_the_ground_truth_s_categories():
    truth = as_ground_truth(
        {
            "images": [{"id": 5, "width": 64, "height": 64}],
            "annotations": [{"image_id": 5, "bbox": [0, 0, 9, 9], "category_id": 7}],
            "categories": [{"id": 0, "name": "person"}, {"id": 7, "name": "car"}],
        }
    )
    arrays = {"image_ids": [5, 5], "boxes": [[0, 0, 9, 9]] * 2, "scores": [0.5, 0.9]}
    assert as_detections({**arrays, "classes": [1, 0]}, truth).category_ids.tolist() == [7, 0]
    for classes in ([0, 2], [-1, 0]):
        with pytest.raises(ValueError, match=r"from 0 to 1, positions among .*\[0, 7\]"):
            as_detections({**arrays, "classes": classes}, truth)
