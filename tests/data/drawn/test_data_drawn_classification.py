"""Drawn classes."""

import numpy as np
import pytest

from keras_hkd.data import BadDataError, load_classification
from keras_hkd.data.drawn.classification import CLASS_NAMES, synthetic_classification


def test_classes_are_balanced_and_images_a_function_of_seed_and_index():
    few, many = (synthetic_classification(n, 3, (24, 32), seed=1) for n in (6, 9))
    assert few.class_counts == {"person": 2, "car": 2, "tree": 2}
    for index in range(6):
        assert few.load_image(index).shape == (24, 32, 3)
        np.testing.assert_array_equal(few.load_image(index), many.load_image(index))
    other = synthetic_classification(6, 3, (24, 32), seed=2)
    assert few.content_hash != other.content_hash


def test_everything_can_be_drawn():
    dataset = synthetic_classification(len(CLASS_NAMES), len(CLASS_NAMES), (32, 32), seed=0)
    assert dataset.class_names == CLASS_NAMES
    assert all(image.std() > 5 for image in dataset.images)


def test_names_are_streams_of_their_own():
    source = "synthetic:{}?num_images=4&num_classes=2&height=16&width=16"
    train, val = (load_classification(source.format(name)) for name in ("train", "val"))
    assert train.content_hash != val.content_hash
    assert train.source == source.format("train")


@pytest.mark.parametrize("query", ["num_classes=1", "num_classes=99", "size=3", "seed=-1"])
def test_other_options_are_refused(query):
    with pytest.raises(BadDataError, match="synthetic:train"):
        load_classification(f"synthetic:train?{query}")


def test_other_classes_than_asked_for_are_refused():
    with pytest.raises(BadDataError, match="num_classes"):
        load_classification("synthetic:val?num_images=2", class_names=("person", "car"))
