"""A detector's raw heads as one frozen TensorFlow function of a fixed image size."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from keras_hkd import checks
from keras_hkd.boxes.grid import Grid
from keras_hkd.checks import require_tensorflow
from keras_hkd.detectors import as_detector
from keras_hkd.detectors.detector import Detector
from keras_hkd.errors import InvalidValueError
from keras_hkd.logs import silenced
from keras_hkd.saved_learner import in_float32
from keras_hkd.tensors import Tensor


def checked_detector(detector: Any) -> Detector:
    """Return the `Detector` to export; a library's model is adapted.

    Raises:
        TypeError: no detector.
        ValueError: the Keras backend is not TensorFlow.
    """
    require_tensorflow("Export")
    detector = getattr(detector, "student", detector)
    return in_float32(as_detector(getattr(detector, "deployed", detector)))


def checked_image_size(image_size: tuple[int, int] | None, detector: Detector) -> tuple[int, int]:
    """Return the size that a file is made for: `(height, width)`, both multiples of 32.

    Args:
        image_size: what the user asked for; the detector's own if None.
        detector: a `Detector`.

    Raises:
        ValueError: it is dynamic (None inside), or no multiple of 32.
    """
    size = detector.image_size if image_size is None else image_size
    because = "an exported file serves one size; letterbox photos to it"
    return checks.image_size("image_size", size, low=32, multiple_of=32, because=because)


def raw_heads(detector: Detector, image_size: tuple[int, int], batch_size: int | None = 1) -> Any:
    """Trace the frozen function from `images (batch, height, width, 3)` to the raw heads.

    Args:
        detector: a `Detector`.
        image_size: `(height, width)` in pixels.
        batch_size: images at a time; None for any number.

    Returns:
        A TensorFlow concrete function without variables, which the converter takes.

    Raises:
        ValueError: a layer cannot be traced; it is named.
    """

    def forward(images: Tensor) -> tuple[Tensor, ...]:
        outputs = detector(images, training=False)
        return tuple(detector.raw_heads(outputs).values())

    spec = tf.TensorSpec((batch_size, *image_size, 3), tf.float32, name="images")
    try:
        traced = tf.function(forward, autograph=False).get_concrete_function(spec)
    except Exception as error:
        raise InvalidValueError(
            f"Detector '{detector.name}' cannot be traced as a graph; the layer that fails is "
            f"named here: {str(error)[:800]}"
        ) from error
    return convert_variables_to_constants_v2(traced)


def keras_heads(detector: Detector, images: Tensor) -> dict[str, np.ndarray]:
    """Compute the raw heads of images in Keras, which files are compared with.

    Args:
        detector: a `Detector`.
        images: `(n, height, width, 3)` in [0, 255].
    """
    outputs = detector(tf.constant(images, tf.float32), training=False)
    return {name: np.asarray(value) for name, value in detector.raw_heads(outputs).items()}


def grid_of(detector: Detector, image_size: tuple[int, int]) -> Grid:
    """Return the grid of a detector, checked against the detector's anchors.

    Args:
        detector: a `Detector`.
        image_size: `(height, width)` in pixels.

    Raises:
        TypeError: it predicts a set of boxes.
        ValueError: anchors that a grid cannot describe.
    """
    grid = detector.grid(image_size)
    priors = np.asarray(detector.priors(image_size))
    if priors.shape != grid.all_priors.shape or not np.allclose(priors, grid.all_priors, atol=1e-2):
        raise InvalidValueError(
            f"The anchors of '{detector.name}' are not the regular grid that its "
            f"{type(detector).__name__} declares, so it cannot be exported."
        )
    return grid


@contextlib.contextmanager
def quiet_converter() -> Iterator[None]:
    """Silence the deprecation warnings of the TensorFlow converter."""
    import warnings

    from absl import logging as absl_logging

    level = absl_logging.get_verbosity()
    absl_logging.set_verbosity(absl_logging.ERROR)
    try:
        with silenced("tensorflow"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"tensorflow\.lite")
            yield
    finally:
        absl_logging.set_verbosity(level)
