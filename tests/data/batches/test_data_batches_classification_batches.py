"""Batches for classifiers: each image keeps its class, in an order that the seed decides."""

import numpy as np
import pytest

from keras_hkd.data import (
    Dataset,
    classification_dataset,
    classification_evaluation_batches,
    classification_training_batches,
)

LEVELS = (20, 90, 160, 230)


@pytest.fixture(scope="module")
def dataset():
    """Seven evenly bright images; the brightness is the class, the last one's is not known."""
    classes = [0, 1, 2, 3, 0, 1, -1]
    images = [np.full((16, 12 + 4 * i, 3), LEVELS[c], np.uint8) for i, c in enumerate(classes)]
    return classification_dataset(images, classes, tuple("abcd"))


def stream(dataset, num_batches, **options):
    options = {"image_size": (16, 16), "batch_size": 2, "seed": 5, "augmentation": None} | options
    batches = classification_training_batches(dataset, **options).take(num_batches)
    return [(images.numpy(), labels["classes"].numpy()) for images, labels in batches]


def test_every_view_keeps_its_class(dataset):
    for images, classes in stream(dataset, 9):
        assert images.shape == (2, 16, 16, 3) and images.dtype == "float32"
        assert classes.shape == (2,) and classes.dtype == "int32"
        for image, class_index in zip(images, classes, strict=True):
            if class_index >= 0:
                assert image[0, 0, 0] == pytest.approx(LEVELS[class_index], abs=1)


def test_an_epoch_holds_no_image_twice(dataset):
    classes = np.concatenate([classes for _, classes in stream(dataset, 3)])
    counts = dict(zip(*np.unique(classes, return_counts=True), strict=True))
    assert all(count <= {-1: 1, 0: 2, 1: 2, 2: 1, 3: 1}[key] for key, count in counts.items())


def test_resumed_streams_go_on_as_uninterrupted_ones(dataset):
    from keras_hkd.data.batches.classification_batches import CLASSIFICATION_AUGMENTATION

    options = {"augmentation": CLASSIFICATION_AUGMENTATION}
    whole, rest = stream(dataset, 6, **options), stream(dataset, 3, first_epoch=1, **options)
    for (a, classes_a), (b, classes_b) in zip(whole[3:], rest, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(classes_a, classes_b)
    assert not np.array_equal(whole[0][0], stream(dataset, 1, seed=6, **options)[0][0])


def test_strong_views_drop_no_class(dataset):
    from keras_hkd.data import Augmentation

    strong = Augmentation(scale=(2.0, 3.0), translate=0.5)
    known = [c for _, classes in stream(dataset, 6, augmentation=strong) for c in classes]
    assert known.count(-1) <= 2  # twice in two epochs at most: the one image without a class


def test_evaluation_gives_all_in_order(dataset):
    batches = classification_evaluation_batches(dataset, image_size=(16, 16), batch_size=3)
    sizes, classes = zip(
        *((len(x), y["classes"].numpy().tolist()) for x, y in batches), strict=True
    )
    assert sizes == (3, 3, 1) and sum(classes, []) == dataset.classes.tolist()


def test_boxes_are_refused():
    boxes = Dataset((), ("person",), "street", "none")
    for make in (classification_training_batches, classification_evaluation_batches):
        options = {"seed": 0} if make is classification_training_batches else {}
        with pytest.raises(TypeError, match="Expected a ClassificationDataset"):
            make(boxes, image_size=(16, 16), batch_size=1, **options)
