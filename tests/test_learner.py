"""What detectors and classifiers share; their own tests hold the rest."""

import numpy as np
import pytest

from keras_hkd.learner import Learner, check_batch, static_image_size

IMAGES = np.zeros((2, 8, 8, 3), "float32")


@pytest.mark.parametrize("data", [IMAGES, (IMAGES,), (IMAGES, None), (IMAGES, 1, IMAGES), "ab"])
def test_a_batch_is_images_and_labels(data):
    with pytest.raises(ValueError, match=r"batches of two parts, \(images, labels\)"):
        check_batch(data)


@pytest.mark.parametrize("data", [(IMAGES, {"classes": 0}), [IMAGES, 1], (IMAGES, 1, None)])
def test_pairs_are_taken(data):
    check_batch(data)


def test_image_sizes_must_be_known():
    assert static_image_size(IMAGES) == (8, 8)
    with pytest.raises(ValueError, match="images of shape"):
        static_image_size(IMAGES[0])


def test_the_base_class_says_what_is_missing():
    learner = Learner()
    assert learner.deployed is learner
    for call in (
        lambda: learner.check_labels({}),
        lambda: learner.assign({}, {}, (8, 8)),
        lambda: learner.task_losses({}, None, (8, 8)),
        lambda: learner.predictions({}, (8, 8)),
    ):
        with pytest.raises(NotImplementedError, match="Learner must implement"):
            call()
