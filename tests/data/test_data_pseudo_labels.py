"""From which score on a detection is a label, and what becomes of the images."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_hkd.data.annotations import ImageAnnotation
from keras_hkd.data.dataset import Dataset
from keras_hkd.data.pseudo_labels import boxes_per_image, matching_threshold, pseudo_labelled


def images(count, boxes=(), ignore=None):
    rows = [
        ImageAnnotation("", i, 64, 48, np.reshape(boxes, (-1, 4)), [0] * len(boxes), ignore)
        for i in range(count)
    ]
    return Dataset(rows, ("person", "rider"), "by hand", "none")


def found(image_id, score, category_id=1, bbox=(4.0, 4.0, 10.0, 30.0)):
    return {
        "image_id": image_id,
        "category_id": category_id,
        "bbox": list(bbox),
        "score": score,
    }


@given(
    st.lists(st.floats(0.01, 1), min_size=1, max_size=60, unique=True),
    st.integers(1, 30),
    st.floats(0, 5),
)
def test_as_many_boxes_per_image_are_kept_as_asked(scores, num_images, per_image):
    threshold = matching_threshold(scores, num_images, per_image)
    kept = sum(score >= threshold for score in scores)
    assert kept == min(max(round(per_image * num_images), 1), len(scores))
    assert threshold in scores


def test_equal_scores_stand_together():
    assert matching_threshold([0.5, 0.5, 0.5, 0.2], num_images=1, per_image=2) == 0.5
    with pytest.raises(ValueError, match="found nobody"):
        matching_threshold([], num_images=3, per_image=2)


def test_ignore_regions_are_no_boxes_to_match():
    boxes = [[0, 0, 8, 16], [8, 0, 16, 16], [0, 0, 60, 40]]
    assert boxes_per_image(images(3, boxes, [False, False, True])) == 2.0


def test_images_without_a_box_are_dropped_and_the_threshold_is_kept():
    results = [found(3, 0.5), found(1, 0.49), found(0, 0.9, 2), found(3, 0.8)]
    dataset = pseudo_labelled(images(5), results, 0.5)
    assert [image.image_id for image in dataset] == [0, 3]
    assert [image.classes.tolist() for image in dataset] == [[1], [0, 0]]
    np.testing.assert_array_equal(dataset[0].boxes, [[4, 4, 14, 34]])
    assert not any(image.ignore.any() for image in dataset)
    assert dataset.class_names == ("person", "rider")
    assert len(pseudo_labelled(images(5), results, 0.95)) == 0
