"""A detector's raw heads as one frozen TensorFlow function of a fixed image size."""

from __future__ import annotations

import contextlib

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from keras_hkd.backend import require_tensorflow
from keras_hkd.detectors import RetinaNet, as_detector
from keras_hkd.detectors.keras_cv.yolo_v8 import YOLOV8
from keras_hkd.inference.grid import DELTAS, SIDES, Grid
from keras_hkd.quiet import quiet

HEADS = ("class_logits", "box_outputs")


def checked_detector(detector):
    """The `Detector` to export, raw KerasCV models being adapted.

    Raises:
        TypeError: no detector.
        ValueError: the Keras backend is not TensorFlow.
    """
    require_tensorflow("Export")
    detector = getattr(detector, "student", detector)
    return as_detector(getattr(detector, "deployed", detector))


def checked_image_size(image_size, detector) -> tuple[int, int]:
    """`(height, width)` that a file is made for: fixed, both multiples of 32.

    Args:
        image_size: what the user asked for; the detector's own if None.
        detector: a `Detector`.

    Raises:
        ValueError: it is dynamic (None inside), or no multiple of 32.
    """
    size = detector.image_size if image_size is None else image_size
    try:
        height, width = size
        fixed = int(height) == height and int(width) == width
    except (TypeError, ValueError):
        height = width = 0
        fixed = False
    if not fixed or height < 32 or width < 32 or height % 32 or width % 32:
        raise ValueError(
            "`image_size` must be (height, width) in pixels, fixed, both multiples of 32 (an "
            "exported file serves one size; letterbox photos to it). Received: "
            f"image_size={image_size!r}"
        )
    return int(height), int(width)


def raw_heads(detector, image_size):
    """The frozen function `images (1, height, width, 3) -> class_logits, box_outputs`.

    Args:
        detector: a `Detector`.
        image_size: `(height, width)` in pixels.

    Returns:
        A TensorFlow concrete function without variables, which the converter takes.

    Raises:
        ValueError: a layer cannot be traced; it is named.
    """

    def forward(images):
        outputs = detector(images, training=False)
        return tuple(outputs[name] for name in HEADS)

    spec = tf.TensorSpec((1, *image_size, 3), tf.float32, name="images")
    try:
        traced = tf.function(forward, autograph=False).get_concrete_function(spec)
    except Exception as error:
        raise ValueError(
            f"Detector '{detector.name}' cannot be traced as a graph; the layer that fails is "
            f"named here: {str(error)[:800]}"
        ) from error
    return convert_variables_to_constants_v2(traced)


def keras_heads(detector, images) -> dict[str, np.ndarray]:
    """Raw heads of a few images from Keras itself, what every file is compared with.

    Args:
        detector: a `Detector`.
        images: `(n, height, width, 3)` in [0, 255].
    """
    outputs = detector(tf.constant(images, tf.float32), training=False)
    return {name: np.asarray(outputs[name]) for name in HEADS}


def grid_of(detector, image_size) -> Grid:
    """The grid of a detector, checked against the detector's own anchors.

    Args:
        detector: a `RetinaNet` or a `YOLOV8`.
        image_size: `(height, width)` in pixels.

    Raises:
        TypeError: another family.
        ValueError: anchors that a grid cannot describe.
    """
    strides = tuple(detector.stride(level) for level in detector.levels)
    if isinstance(detector, YOLOV8):
        return Grid(image_size, SIDES, detector.levels, strides, (((0.0, 0.0),),) * len(strides))
    generator = getattr(getattr(detector, "model", None), "anchor_generator", None)
    if not isinstance(detector, RetinaNet) or not hasattr(generator, "anchor_generators"):
        raise TypeError(
            "Export knows how KerasCV's RetinaNet and YOLOV8 code their boxes. Received: "
            f"{type(detector).__name__}. Distil it into one of these."
        )
    generators = list(generator.anchor_generators.values())
    grid = Grid(
        image_size,
        DELTAS,
        detector.levels,
        tuple(int(one.stride) for one in generators),
        tuple(_anchor_sizes(one) for one in generators),
        bool(generators[0].clip_boxes),
    )
    _check_anchors(grid, np.asarray(detector.anchors(image_size)))
    return grid


def _anchor_sizes(generator):
    size = float(np.ravel(generator.sizes)[0])
    return tuple(
        (float(size * scale * np.sqrt(ratio)), float(size * scale / np.sqrt(ratio)))
        for scale in generator.scales
        for ratio in generator.aspect_ratios
    )


def _check_anchors(grid, anchors):
    fits = grid.num_anchors == len(anchors)
    if fits:
        x, y, width, height = grid.priors(np.arange(len(anchors))).T
        ours = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=-1)
        fits = np.allclose(ours, anchors, atol=1e-2)
    if not fits:
        raise ValueError(
            "The detector's anchors are not a regular grid of sizes x scales x aspect ratios, so "
            "they cannot be exported."
        )


@contextlib.contextmanager
def quiet_converter():
    """Keeps the converter's deprecation remarks, which are about our calls, off the user's log."""
    import warnings

    from absl import logging as absl_logging

    level = absl_logging.get_verbosity()
    absl_logging.set_verbosity(absl_logging.ERROR)
    try:
        with quiet("tensorflow"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"tensorflow\.lite")
            yield
    finally:
        absl_logging.set_verbosity(level)
