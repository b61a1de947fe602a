"""The sizes by name, and training in half precision."""

import keras
import numpy as np
import pytest

from keras_hkd.detectors import build, names
from keras_hkd.detectors.rtmdet import SIZES, RTMDet

# Depth, width and pyramid channels of the published configurations.
PUBLISHED = {
    "nano": (0.33, 0.25, 64),
    "tiny": (0.167, 0.375, 96),
    "s": (0.33, 0.5, 128),
    "m": (0.67, 0.75, 192),
    "l": (1.0, 1.0, 256),
    "x": (1.33, 1.25, 320),
}


@pytest.mark.parametrize("size", PUBLISHED)
def test_sizes_are_those_of_the_published_configurations(size):
    config = SIZES[size]
    assert (config.depth, config.width, config.pyramid_channels) == PUBLISHED[size]
    assert f"rtmdet_{size}" in names()


def test_any_number_of_classes():
    classes = tuple(f"class_{number}" for number in range(7))
    detector = build("rtmdet_nano", class_names=classes, image_size=(64, 96), seed=0)
    assert type(detector) is RTMDet
    assert (detector.class_names, detector.image_size) == (classes, (64, 96))
    assert detector.network.output["class_logits"].shape[-1] == 7


@pytest.mark.long
def test_it_trains_in_half_precision_from_the_loss_of_single_precision(new_detector, eagerly):
    images = np.random.default_rng(0).uniform(0, 255, (4, 64, 64, 3)).astype("float32")
    boxes = np.full((4, 2, 4), -1.0, "float32")
    boxes[:3, 0] = (10, 8, 40, 56), (4, 4, 20, 40), (20, 12, 44, 60)
    boxes[1, 1] = 30, 10, 50, 60
    labels = {"boxes": boxes, "classes": np.where(boxes[..., 2] > 0, 0.0, -1.0).astype("float32")}
    before, losses = keras.config.dtype_policy(), {}
    try:
        for policy in ("float32", "mixed_float16"):
            keras.config.set_dtype_policy(policy)
            keras.utils.set_random_seed(1)
            detector = new_detector(pyramid_channels=16)
            optimizer = keras.optimizers.SGD(1e-2)
            if policy == "mixed_float16":
                # From Keras's own scale, 32768, the first steps overflow and are left out.
                optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=64.0)
            detector.compile(optimizer)
            losses[policy] = [
                detector.train_on_batch(images, labels, return_dict=True)["loss"] for _ in range(3)
            ]
        outputs = detector(images)
    finally:
        keras.config.set_dtype_policy(before)
    # Later steps part: BatchNormalization over four small images enlarges what was rounded.
    assert losses["mixed_float16"][0] == pytest.approx(losses["float32"][0], rel=0.02)
    assert np.isfinite(losses["mixed_float16"]).all()
    assert len(set(losses["mixed_float16"])) == 3
    assert outputs["pyramid"]["P3"].dtype == "float16"
    assert outputs["class_logits"].dtype == outputs["box_outputs"].dtype == "float32"
    assert {weight.dtype for weight in detector.trainable_weights} == {"float32"}
