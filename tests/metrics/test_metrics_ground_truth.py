import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_hkd.metrics.ground_truth import as_ground_truth, person_category


def coco(**annotation):
    return {
        "images": [{"id": 5, "width": 64, "height": 48, "file_name": "a.jpg"}],
        "annotations": [{"id": 9, "image_id": 5, "category_id": 3, "bbox": [1, 2, 10, 30]}]
        if not annotation
        else [{"id": 9, "image_id": 5, "bbox": [1, 2, 10, 30], **annotation}],
    }


def test_nothing():
    for empty in ([], {"images": [], "annotations": []}):
        truth = as_ground_truth(empty)
        assert truth.num_images == 0
        assert truth.boxes.shape == (0, 4)
        assert truth.image_sizes.shape == (0, 2)


def test_of_a_coco_dict():
    truth = as_ground_truth(coco())
    assert truth.image_ids == (5,)
    assert truth.image_names == ("a.jpg",)
    assert truth.image_sizes.tolist() == [[48, 64]]
    assert truth.boxes.tolist() == [[1, 2, 10, 30]]
    assert truth.category_ids.tolist() == [3]
    assert truth.areas.tolist() == [300]
    assert truth.heights.tolist() == [30]
    assert truth.visibility.tolist() == [1]
    assert not truth.ignore.any() and not truth.crowd.any()


@pytest.mark.parametrize(
    ("fields", "name", "expected"),
    [
        ({"iscrowd": 1}, "crowd", True),
        ({"iscrowd": 1}, "ignore", True),
        ({"ignore": 1}, "crowd", False),
        ({"ignore": 1}, "ignore", True),
        ({"area": 7.5}, "areas", 7.5),
        ({"height": 31}, "heights", 31),
        ({"vis_bbox": [1, 2, 10, 15]}, "visibility", 0.5),
        ({"vis_bbox": [1, 2, 10, 15], "vis_ratio": 0.25}, "visibility", 0.25),
        ({"occlusion": 2}, "occlusion", 2),
        ({"id": 4}, "annotation_ids", 4),
    ],
)
def test_fields_of_coco_annotations(fields, name, expected):
    assert getattr(as_ground_truth(coco(**fields)), name).tolist() == [expected]


def test_of_image_annotations():
    image = types.SimpleNamespace(
        image_id="b",
        image_path="/photos/b.jpg",
        width=64,
        height=48,
        boxes=np.array([[1.0, 2.0, 11.0, 32.0], [0.0, 0.0, 4.0, 4.0]]),
        classes=np.array([0, 1]),
        ignore=np.array([False, True]),
        visible_boxes=np.array([[1.0, 2.0, 11.0, 17.0], [0.0, 0.0, 4.0, 4.0]]),
    )
    empty = {"image_id": "a", "boxes": []}
    truth = as_ground_truth([image, empty])
    assert truth.image_ids == ("a", "b")
    assert truth.image_names == ("", "/photos/b.jpg")
    assert truth.image_index.tolist() == [1, 1]
    assert truth.boxes.tolist() == [[1, 2, 10, 30], [0, 0, 4, 4]]
    assert truth.category_ids.tolist() == [1, 2]
    assert truth.visibility.tolist() == [0.5, 1]
    assert truth.ignore.tolist() == truth.crowd.tolist() == [False, True]
    assert truth.annotation_ids.tolist() == [1, 2]


def test_of_a_dataset():
    data = pytest.importorskip("keras_hkd.data.annotations")
    image = data.ImageAnnotation("", 1, 64, 48, boxes=[[1, 2, 11, 32]], classes=[0])
    truth = as_ground_truth(data.Dataset((image,), ("person",), "by hand", "none"))
    assert truth.boxes.tolist() == [[1, 2, 10, 30]]
    assert truth.category_names == {1: "person"}


def test_of_itself():
    truth = as_ground_truth([])
    assert as_ground_truth(truth) is truth


def test_images_come_in_order_of_their_ids():
    truth = as_ground_truth([{"image_id": i, "boxes": [[0, 0, i, 1]]} for i in (10, 2, 7)])
    assert truth.image_ids == (2, 7, 10)
    assert truth.boxes[:, 2].tolist() == [2, 7, 10]


@pytest.mark.parametrize(
    ("names", "expected"),
    [({}, 1), ({3: "car"}, 1), ({3: "car", 4: "Person"}, 4), ({0: "pedestrian"}, 0)],
)
def test_person_category(names, expected):
    categories = [{"id": i, "name": name} for i, name in names.items()]
    content = {"images": [], "annotations": [], "categories": categories}
    assert person_category(as_ground_truth(content)) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "lists images, annotations"),
        ({"images": [], "annotations": {}}, "lists images, annotations"),
        ({"images": [{}], "annotations": []}, "image number 1.*with id"),
        ({"images": [7], "annotations": []}, "image number 1"),
        ({"images": [{"id": [1]}], "annotations": []}, "`id` must be a number or a text"),
        ({"images": [{"id": 1}, {"id": 1}], "annotations": []}, "id 1 is there twice"),
        ({"images": [{"id": 1, "width": "x"}], "annotations": []}, "image 1: `height and width`"),
        ({"images": [], "annotations": [], "categories": [{}]}, "category number 1"),
        ({"images": [], "annotations": [], "categories": 3}, "`categories` must be a list"),
        (coco(image_id=8), "annotation 9: there is no image with id 8"),
        (coco(bbox=[1, 2, 3]), "annotation 9: `bbox` must be left, top, width, height"),
        (coco(bbox=5), "annotation 9: `bbox` must be left"),
        (coco(bbox=[1, 2, "a", 3]), "annotation 9: `bbox` must be finite"),
        (coco(bbox=[1, 2, float("nan"), 3]), "annotation 9: `bbox` must be finite"),
        (coco(bbox=[1, 2, -1, 3]), "annotation 9: width and height must not be negative"),
        (coco(category_id=1.5), "`category_id` must be a whole number"),
        (coco(id=1e300), "`id` must be a whole number"),
        (coco(vis_bbox=[1, 2, -3, 4]), "annotation 9.*negative.*vis_bbox"),
        (coco(iscrowd="yes"), "annotation 9: `iscrowd` must be finite"),
        ([{"boxes": []}], "number 1 must have `image_id` and `boxes`"),
        ([{"image_id": 1, "boxes": [[1, 2, 3]]}], "Image 1: `boxes` must be finite and of shape"),
        ([{"image_id": 1, "boxes": [[3, 2, 1, 4]]}], "xyxy with x2>=x1"),
        ([{"image_id": 1, "boxes": [[0, 0, 1, 1]], "ignore": []}], "one value for each of the 1"),
        ([{"image_id": 1, "boxes": []}] * 2, "id 1 is there twice"),
    ],
)
def test_bad_records_are_named(content, message):
    with pytest.raises(ValueError, match=message):
        as_ground_truth(content)


@pytest.mark.parametrize("content", ["truth.json", 3, None])
def test_other_types(content):
    with pytest.raises(TypeError, match="read_ground_truth"):
        as_ground_truth(content)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
record = st.dictionaries(
    st.sampled_from(["id", "image_id", "bbox", "category_id", "iscrowd", "vis_bbox", "height"]),
    json_values | st.just(1) | st.just([1, 2, 3, 4]),
)


@given(
    st.fixed_dictionaries(
        {"images": st.lists(record, max_size=3), "annotations": st.lists(record, max_size=3)},
        optional={"categories": json_values},
    )
)
def test_whatever_json_holds_either_loads_or_is_refused_clearly(content):
    try:
        truth = as_ground_truth(content)
    except ValueError as error:
        assert str(error)
    else:
        assert len(truth.boxes) == len(content["annotations"])
