"""Reads an ONNX export of RTMDet into Keras, convolution by convolution, and checks the result."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import keras
import numpy as np

from keras_hkd.detectors.rtmdet.batch_norm import restore_batch_norm, set_folded
from keras_hkd.detectors.rtmdet.config import SIZES, RTMDetConfig
from keras_hkd.detectors.rtmdet.detector import RTMDet
from keras_hkd.detectors.rtmdet.network import PIXEL_DEVIATION, PIXEL_MEAN, network_in_order
from keras_hkd.detectors.rtmdet.onnx_graph import ONNXGraph
from keras_hkd.errors import InvalidValueError

__all__ = ["import_rtmdet"]

TOLERANCE = 1e-4
"""Largest difference of raw outputs from onnxruntime's, relative to their largest value."""

PUBLISHED_OPTIONS = {"antialias": False, "nms_iou_threshold": 0.65, "score_threshold": 0.001}
"""How the published code prepares photographs and suppresses detections."""

PREDICTORS = {"class_logits": "_class_predictor", "box_outputs": "_box_predictor"}


@dataclasses.dataclass(frozen=True, eq=False)
class RTMDetExport:
    """What `read_rtmdet` found in an ONNX file.

    Attributes:
        size: name of the size whose layers it has, a key of `SIZES`; its widths may be others.
        config: configuration of its network.
        network: the functional Keras model with its weights.
        difference: largest difference of raw outputs from onnxruntime's, over their largest value.
        compared_at: `(height, width)` in pixels of the images that were compared.
        has_open_size: whether the file leaves the size of its images open.
    """

    size: str
    config: RTMDetConfig
    network: keras.Model
    difference: float
    compared_at: tuple[int, int]
    has_open_size: bool

    def detector(
        self,
        *,
        class_names: tuple[str, ...] | None = None,
        image_size: tuple[int, int] = (320, 320),
        images: np.ndarray | None = None,
        **options: Any,
    ) -> RTMDet:
        """Make the detector; the arguments are those of `import_rtmdet`."""
        number = self.config.num_classes
        if class_names is None:
            class_names = ("person",) if number == 1 else tuple(f"class_{i}" for i in range(number))
        detector = RTMDet(
            self.network,
            exponential=self.config.exponential,
            class_names=class_names,
            image_size=image_size,
            **{**PUBLISHED_OPTIONS, **options},
        )
        if images is not None:
            restore_batch_norm(self.network, images)
        return detector


def import_rtmdet(
    path: str | pathlib.Path,
    *,
    class_names: tuple[str, ...] | None = None,
    image_size: tuple[int, int] = (320, 320),
    images: np.ndarray | None = None,
    **options: Any,
) -> RTMDet:
    """Build an `RTMDet` with the weights of an ONNX file.

    The file may end in raw heads or in suppression, which is cut off; its images may have a fixed
    or an open size. Its convolutions, into which BatchNorm has been folded, go into the network in
    the order in which they run; BatchNorm is put back so that the network computes the same: with
    `images` each takes the mean and variance that its convolution has over them, which training
    needs, else 0 and 1. Both are then run on the same images, of the file's size or, of an open
    one, of 320 x 320 pixels.

    Args:
        path: the `.onnx` file.
        class_names: names of its classes; by default `person` of one class, else `class_0`, ....
        image_size: `(height, width)` in pixels, the detector's default.
        images: `(n, height, width, 3)` RGB in [0, 255], letterboxed photographs, both sides
            multiples of 32; a few hundred.
        **options: options of the `Detector`; thresholds and resizing are those of the published
            code unless given here.

    Returns:
        The detector, whose raw outputs agree with onnxruntime's to 1e-4 of their largest value.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a damaged file, a quantised one, another architecture, or outputs that differ.
        ImportError: onnx or onnxruntime is not installed (`pip install "keras-hkd[onnx]"`).

    Example:

    detector = keras_hkd.detectors.import_rtmdet("rtmdet_nano_person.onnx")
    detector.save("rtmdet_nano_person.keras")

    Reference:
        Lyu et al., https://arxiv.org/abs/2212.07784.
    """
    return read_rtmdet(path).detector(
        class_names=class_names, image_size=image_size, images=images, **options
    )


def read_rtmdet(path: str | pathlib.Path) -> RTMDetExport:
    """Read the network of an ONNX file and compare it with onnxruntime.

    Args:
        path: the `.onnx` file; see `import_rtmdet`, which also raises the same.
    """
    graph = ONNXGraph(path)
    size, config, network, names = _network_for(graph)
    for name, (kernel, bias) in zip(names, graph.convolutions, strict=True):
        set_folded(network, network.get_layer(name), kernel, bias)
    _turn_to_rgb(network)
    difference = _difference(network, names, graph)
    return RTMDetExport(size, config, network, difference, graph.image_size, graph.has_open_size)


def _network_for(graph: ONNXGraph) -> tuple[str, RTMDetConfig, keras.Model, Any]:
    """Find the size, config and network whose convolutions have the file's shapes."""
    shapes = [kernel.shape for kernel, _ in graph.convolutions]
    for size, config in SIZES.items():
        # BatchNorm, folded, has made a set of each level's of the heads that levels share.
        config = dataclasses.replace(
            config, shared_heads=False, exponential="Exp" in graph.operators
        )
        if config.num_convolutions != len(shapes):
            continue
        config = dataclasses.replace(
            config,
            width=shapes[2][3] / 64,  # the third convolution ends the stem
            pyramid_channels=shapes[-1][2],
            num_classes=shapes[-1 - config.head_length][3],
        )
        network, names = network_in_order(config)
        if [tuple(network.get_layer(name).kernel.shape) for name in names] == shapes:
            return size, config, network, names
    raise InvalidValueError(
        f"'{graph.path}' holds another architecture: expected RTMDet in one of the sizes "
        f"{', '.join(SIZES)}, of any width. Received: {len(shapes)} convolutions, whose shapes are "
        "those of none"
    )


def _turn_to_rgb(network: keras.Model) -> None:
    """Swap the channels of the first kernel: the published networks read BGR, ours RGB."""
    kernel = network.get_layer("stem1_conv").kernel
    kernel.assign(keras.ops.convert_to_numpy(kernel)[:, :, ::-1, :])


def _difference(network: keras.Model, names: Any, graph: ONNXGraph) -> float:
    """Compare with onnxruntime on two images; refuse a difference above `TOLERANCE`."""
    height, width = graph.image_size
    images = np.random.default_rng(0).uniform(0, 255, (2, height, width, 3)).astype("float32")
    images[1] = np.linspace(0, 255, width, dtype="float32")[None, :, None]
    outputs = network(images, training=False)
    pixels = ((images - PIXEL_MEAN) / PIXEL_DEVIATION)[..., ::-1].transpose(0, 3, 1, 2)
    errors = []
    for part, ending in PREDICTORS.items():
        places = [index for index, name in enumerate(names) if name.endswith(ending)]
        theirs = graph.run(places, pixels.astype("float32"))
        ours = keras.ops.convert_to_numpy(outputs[part])
        errors.append(float(np.max(np.abs(ours - theirs)) / np.max(np.abs(theirs))))
        if not errors[-1] <= TOLERANCE:
            raise InvalidValueError(
                f"'{graph.path}' has the shapes of RTMDet and computes something else: its raw "
                f"{part} differ from the network's by {errors[-1]:.1e} of their largest value; at "
                f"most {TOLERANCE:.0e} is allowed."
            )
    return max(errors)
