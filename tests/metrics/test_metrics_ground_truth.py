import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_hkd.metrics.ground_truth import as_ground_truth, person_categories


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
        ({"height": 480}, "heights", 30),  # some writers put the picture's height there
        ({"vis_bbox": [1, 2, 10, 15]}, "visibility", 0.5),
        ({"vis_bbox": [1, 2, 10, 15], "vis_ratio": 0.25}, "visibility", 0.25),
        ({"occlusion": 2}, "occlusion", 2),
        ({"id": 4}, "annotation_ids", 4),
        ({"id": "4f2a"}, "annotation_ids", 1),
        ({"image_id": "5"}, "image_index", 0),
        ({"category_id": "3"}, "category_ids", 3),
        ({"iscrowd": "1"}, "crowd", True),
        ({"ignore": 0.0}, "ignore", False),
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
    data = pytest.importorskip("keras_hkd.data")
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


def named(names):
    categories = [{"id": i, "name": name} for i, name in names.items()]
    return as_ground_truth({"images": [], "annotations": [], "categories": categories})


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({}, (1,)),
        ({3: "car", 4: "Person"}, (4,)),
        ({0: "pedestrian"}, (0,)),
        ({1: "PEOPLE", 2: "car", 7: "Pedestrians"}, (1, 7)),
    ],
)
def test_person_categories(names, expected):
    assert person_categories(named(names)) == expected


def test_without_people_a_category_must_be_chosen():
    with pytest.raises(ValueError, match=r"choose one .*Received: the categories 3 \(car\)"):
        person_categories(named({3: "car"}))


def test_categories_of_one_name_are_one():
    content = coco(category_id=1)
    content["categories"] = [{"id": 0, "name": "person"}, {"id": 1, "name": "Person"}]
    truth = as_ground_truth(content)
    assert truth.category_ids.tolist() == [1] and list(truth.category_names) == [1]
    assert truth.category_aliases == {0: 1, 1: 1}


def test_sides_come_out_as_the_file_states_them():
    """Corner plus width minus corner is not the width to the last bit; what is scored is."""
    boxes = [[0.1, 0.2, 0.7, 1.1], [472.53, 229.41, 62.17, 117.86]]
    truth = as_ground_truth(
        {
            "images": [{"id": 1}],
            "annotations": [{"id": i, "image_id": 1, "bbox": box} for i, box in enumerate(boxes)],
        }
    )
    assert truth.boxes.tolist() == boxes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "lists images, categories and annotations"),
        ({"images": [], "annotations": {}}, "Received: annotations = "),
        ({"images": [{}], "annotations": []}, r"images\[0\]: must have the key 'id'"),
        ({"images": [7], "annotations": []}, r"images\[0\]: an image must be an object"),
        ({"images": [{"id": [1]}], "annotations": []}, "id must be a whole number or text"),
        ({"images": [{"id": 1}, {"id": 1, "width": 2}], "annotations": []}, "Received: 1 again"),
        ({"images": [{"id": 1, "width": "x", "height": 4}], "annotations": []}, "width must be"),
        ({"images": [], "annotations": [], "categories": [{}]}, r"categories\[0\]: must have"),
        ({"images": [], "annotations": [], "categories": 3}, "Received: categories = 3"),
        (coco(image_id=8), r"annotations\[0\] \(id 9\): image_id must be the id .* Received: 8"),
        (coco(bbox=[1, 2, 3]), r"\(id 9\): the box must be four numbers"),
        (coco(bbox=5), r"\(id 9\): the box must be four numbers"),
        (coco(bbox=[1, 2, "a", 3]), r"\(id 9\): the box must be a number. Received: 'a'"),
        (coco(bbox=[1, 2, float("nan"), 3]), r"\(id 9\): the box must be a finite number"),
        (coco(bbox=[1, 2, -1, 3]), r"\(id 9\): the box .* must have a width above 0"),
        (coco(category_id=1.5), "category_id must be a whole number or text"),
        (coco(id=1e300), "id must be a whole number"),
        (coco(vis_bbox=[1, 2, -3, 4]), r"\(id 9\): the visible box .*negative"),
        (coco(iscrowd="yes"), r"\(id 9\): iscrowd must be 0 or 1"),
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
        assert len(truth.boxes) <= len(content["annotations"])  # equal records count once
