import keras
import numpy as np
import pytest

from keras_hkd.export.raw_heads import (
    checked_detector,
    checked_image_size,
    keras_heads,
    raw_heads,
)


def test_the_frozen_function_gives_what_keras_gives(family, micro_detector, images):
    import tensorflow as tf

    detector = micro_detector(family)
    function = raw_heads(detector, detector.image_size)
    assert not function.variables
    expected = keras_heads(detector, images[:1])
    for name, value in zip(expected, function(tf.constant(images[:1])), strict=True):
        np.testing.assert_allclose(value, expected[name], atol=1e-4, err_msg=name)


def test_a_layer_that_cannot_be_traced_is_named(micro_detector):
    detector = micro_detector("yolo_v8")

    class Broken:
        name = "broken"

        def __call__(self, images, training):
            raise RuntimeError("layer 'odd_one' wants eager tensors")

    with pytest.raises(ValueError, match="'broken' cannot be traced.*odd_one"):
        raw_heads(Broken(), detector.image_size)


def test_image_sizes(micro_detector):
    detector = micro_detector("yolo_v8")
    assert checked_image_size(None, detector) == detector.image_size
    assert checked_image_size((96, 64.0), detector) == (96, 64)
    for size in [(None, 64), (64,), "64", (0, 64), (64, 100), (64.5, 64), (float("nan"), 64)]:
        with pytest.raises(ValueError, match="multiples of 32"):
            checked_image_size(size, detector)


def test_other_backends_are_refused(micro_detector, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="KERAS_BACKEND=jax"):
        checked_detector(micro_detector("yolo_v8"))
