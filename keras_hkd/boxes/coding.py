"""How detectors code boxes and scores, for Keras, NumPy and the TFLite graph alike."""

from __future__ import annotations

import dataclasses
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from keras_hkd.checks import whole
from keras_hkd.errors import InvalidValueError
from keras_hkd.tensors import Tensor

HEADS = ("class_logits", "box_outputs", "objectness")
"""Names of raw heads in the order of an exported file's outputs; not every family has the last."""

_LEAST_SIZE = 1e-6  # pixels, where a box is encoded
_LEAST_DISTANCE = 1e-3  # strides, where it is encoded as an exponent
_LEAST_WEIGHT = 1e-5  # of a bin, where a box is encoded
_OUTWARDS = np.array([[-1.0], [1.0]], "float32")  # left and top, right and bottom


@dataclasses.dataclass(frozen=True)
class BoxCoding:
    """Base class: codes a box as numbers relative to the prior of its anchor.

    A prior is `(centre x, centre y, width, height)` in pixels. In families with anchors it is the
    anchor; otherwise it is a point of the grid with the stride of its level as width and height.

    Attributes:
        name: name of the coding in files.
        num_bins: bins of the distribution over each edge of a box; 0 where an edge is one number.
    """

    name: ClassVar[str] = ""
    num_bins = 0

    @property
    def num_values(self) -> int:
        """Number of values that code one box."""
        return 4 * max(self.num_bins, 1)

    def decode(self, values: Tensor, priors: Tensor, xp: ModuleType = np) -> Tensor:
        """Compute boxes from the numbers of a box head.

        Args:
            values: `(..., anchors, num_values)`.
            priors: `(anchors, 4)` centre x, centre y, width, height in pixels.
            xp: `numpy` or `keras.ops`.

        Returns:
            `(..., anchors, 4)` xyxy pixels, not clipped to the image.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `decode`.")

    def encode(self, boxes: Tensor, priors: Tensor, xp: ModuleType = np) -> Tensor:
        """Compute the numbers that decode to given boxes, one box for each anchor.

        Args:
            boxes: `(..., anchors, 4)` xyxy pixels.
            priors: `(anchors, 4)` centre x, centre y, width, height in pixels.
            xp: `numpy` or `keras.ops`.

        Returns:
            `(..., anchors, num_values)`. A box that the coding cannot express is coded as the
            nearest one that it can.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `encode`.")

    def edges(self, values: Tensor, xp: ModuleType = np) -> Tensor:
        """Reshape the numbers of a box head for a comparison edge by edge.

        Args:
            values: `(..., num_values)`.
            xp: `numpy` or `keras.ops`.

        Returns:
            `(..., 4, num_bins)`, the logits of a distribution for each edge (left, top, right,
            bottom), or `values` themselves where an edge is a number.
        """
        return values


@dataclasses.dataclass(frozen=True)
class Deltas(BoxCoding):
    """Codes boxes as offsets from anchors, as RetinaNet does.

    `x = anchor x + vx dx anchor width`, `width = exp(vw dw) anchor width`, and likewise for y and
    height, with the variances v.

    Args:
        variances: the variances of x, y, width and height, four numbers above 0.
        order: the order in which the head gives the four deltas, a permutation of `xywh`.

    Raises:
        ValueError: if `variances` are not four numbers above 0, or `order` is not a permutation.

    Example:

    >>> anchor = np.array([[16.0, 16.0, 10.0, 20.0]])
    >>> Deltas().decode(np.array([[1.0, 0.0, 0.0, 0.0]]), anchor).tolist()  # dy = 1
    [[11.0, 8.0, 21.0, 28.0]]
    """

    variances: tuple[float, float, float, float] = (0.1, 0.1, 0.2, 0.2)
    order: str = "yxhw"
    name = "anchor_deltas"

    def __post_init__(self) -> None:
        object.__setattr__(self, "variances", tuple(float(value) for value in self.variances))
        if len(self.variances) != 4 or not min(self.variances) > 0:
            raise InvalidValueError(
                f"`variances` must be four numbers above 0. Received: {self.variances}"
            )
        if sorted(self.order) != sorted("xywh"):
            raise InvalidValueError(
                f"`order` must hold each of the letters xywh once. Received: {self.order!r}"
            )

    def decode(self, values: Tensor, priors: Tensor, xp: ModuleType = np) -> Tensor:
        deltas = {
            letter: values[..., place] * self.variances["xywh".index(letter)]
            for place, letter in enumerate(self.order)
        }
        x, y, width, height = (priors[..., index] for index in range(4))
        return _corners(
            deltas["x"] * width + x,
            deltas["y"] * height + y,
            xp.exp(deltas["w"]) * width,
            xp.exp(deltas["h"]) * height,
            xp,
        )

    def encode(self, boxes: Tensor, priors: Tensor, xp: ModuleType = np) -> Tensor:
        x, y, width, height = (priors[..., index] for index in range(4))
        box_x, box_y, box_width, box_height = _centre_and_size(boxes)
        deltas = {
            "x": (box_x - x) / width,
            "y": (box_y - y) / height,
            "w": xp.log(xp.maximum(box_width, _LEAST_SIZE) / width),
            "h": xp.log(xp.maximum(box_height, _LEAST_SIZE) / height),
        }
        return xp.stack(
            [deltas[letter] / self.variances["xywh".index(letter)] for letter in self.order],
            axis=-1,
        )


@dataclasses.dataclass(frozen=True)
class DistanceBins(BoxCoding):
    """Codes the distance of each edge from the point as a distribution over bins (GFL, YOLOv8).

    `distance = stride sum_k k softmax(logits)_k` for left, top, right and bottom.

    Args:
        num_bins: number of bins of each edge, at least 2.

    Raises:
        ValueError: if `num_bins` is below 2.

    Example:

    >>> point = np.array([[48.0, 48.0, 32.0, 32.0]])
    >>> DistanceBins(2).decode(np.zeros((1, 8)), point).tolist()  # half a stride each way
    [[32.0, 32.0, 64.0, 64.0]]
    """

    num_bins: int = 16
    name = "side_distributions"

    def __post_init__(self) -> None:
        whole("num_bins", self.num_bins, low=2)

    def decode(self, values: Tensor, priors: Tensor, xp: ModuleType = np) -> Tensor:
        weights = _softmax(self.edges(values, xp), xp)
        distances = xp.sum(weights * self._bins, axis=-1) * priors[..., 2:3]
        return _around(priors[..., :2], distances, xp)

    def encode(self, boxes: Tensor, priors: Tensor, xp: ModuleType = np) -> Tensor:
        distances = _distances(boxes, priors, xp)
        distances = xp.clip(distances, 0.0, self.num_bins - 1.0)
        # The weight is split between the two nearest bins, so that the expectation is the distance.
        away = xp.abs(distances[..., None] - self._bins)
        logits = xp.log(xp.maximum(1.0 - away, _LEAST_WEIGHT))
        return xp.reshape(logits, (*xp.shape(boxes)[:-1], self.num_values))

    def edges(self, values: Tensor, xp: ModuleType = np) -> Tensor:
        return xp.reshape(values, (*xp.shape(values)[:-1], 4, self.num_bins))

    @property
    def _bins(self) -> np.ndarray:
        return np.arange(self.num_bins, dtype="float32")


@dataclasses.dataclass(frozen=True)
class Distances(BoxCoding):
    """Codes boxes as the distance of each edge from the point, in strides (FCOS, RTMDet).

    `distance = stride value` for left, top, right and bottom, or `stride exp(value)`.

    Args:
        exponential: whether the values are exponents.
        clip: whether distances below 0 are set to 0.

    Example:

    >>> point = np.array([[16.0, 16.0, 8.0, 8.0]])
    >>> Distances().decode(np.array([[1.0, 2.0, 1.0, 0.5]]), point).tolist()
    [[8.0, 0.0, 24.0, 20.0]]
    """

    exponential: bool = False
    clip: bool = False
    name = "distances"

    def decode(self, values: Tensor, priors: Tensor, xp: ModuleType = np) -> Tensor:
        if self.exponential:
            values = xp.exp(values)
        elif self.clip:
            values = xp.maximum(values, 0.0)
        return _around(priors[..., :2], values * priors[..., 2:3], xp)

    def encode(self, boxes: Tensor, priors: Tensor, xp: ModuleType = np) -> Tensor:
        distances = _distances(boxes, priors, xp)
        if self.exponential:
            return xp.log(xp.maximum(distances, _LEAST_DISTANCE))
        return xp.maximum(distances, 0.0) if self.clip else distances


@dataclasses.dataclass(frozen=True)
class CentreSize(BoxCoding):
    """Codes boxes as centre and size in strides, as YOLOX does.

    `x = point x + stride value`, `width = stride exp(value)`, and likewise for y and height; the
    head gives x, y, width, height.

    Example:

    >>> point = np.array([[16.0, 16.0, 8.0, 8.0]])
    >>> CentreSize().decode(np.array([[0.5, 0.0, 0.0, 0.0]]), point).tolist()
    [[16.0, 12.0, 24.0, 20.0]]
    """

    name = "centre_size"

    def decode(self, values: Tensor, priors: Tensor, xp: ModuleType = np) -> Tensor:
        x, y, width, height = (priors[..., index] for index in range(4))
        return _corners(
            values[..., 0] * width + x,
            values[..., 1] * height + y,
            xp.exp(values[..., 2]) * width,
            xp.exp(values[..., 3]) * height,
            xp,
        )

    def encode(self, boxes: Tensor, priors: Tensor, xp: ModuleType = np) -> Tensor:
        x, y, width, height = (priors[..., index] for index in range(4))
        box_x, box_y, box_width, box_height = _centre_and_size(boxes)
        return xp.stack(
            [
                (box_x - x) / width,
                (box_y - y) / height,
                xp.log(xp.maximum(box_width, _LEAST_SIZE) / width),
                xp.log(xp.maximum(box_height, _LEAST_SIZE) / height),
            ],
            axis=-1,
        )


def coding_to_json(coding: BoxCoding) -> tuple[str, dict]:
    """Return a coding as plain values for a file.

    Args:
        coding: the coding to write.

    Returns:
        The coding's name, and the options that differ from their defaults.

    Example:

    >>> coding_to_json(Deltas()), coding_to_json(Distances(clip=True))
    (('anchor_deltas', {}), ('distances', {'clip': True}))
    """
    options = {
        field.name: getattr(coding, field.name)
        for field in dataclasses.fields(coding)
        if getattr(coding, field.name) != field.default
    }
    return coding.name, options


def coding_from_json(name: str, options: dict) -> BoxCoding:
    """Build a coding from what `coding_to_json` returned.

    Args:
        name: name of the coding.
        options: the options that it was written with.

    Returns:
        A `BoxCoding`.

    Raises:
        ValueError: if no coding has this name.

    Example:

    >>> coding_from_json("centre_size", {})
    CentreSize()
    """
    known = {kind.name: kind for kind in BoxCoding.__subclasses__()}
    if name not in known:
        raise InvalidValueError(
            f"The coding of boxes must be one of {sorted(known)}. Received: {name!r}"
        )
    return known[name](**options)


def joint_logits(class_logits: Tensor, objectness: Tensor, xp: ModuleType = np) -> Tensor:
    """Compute the logit of `sigmoid(class logit) * sigmoid(objectness)`.

    That is `-log(exp(-c) + exp(-o) + exp(-c - o))`, which neither overflows nor loses small scores.

    Args:
        class_logits: `(..., classes)`, logits of each class given that there is an object.
        objectness: `(..., 1)`, logits that there is one.
        xp: `numpy` or `keras.ops`.

    Returns:
        `(..., classes)`.

    Example:

    >>> logits = joint_logits(np.array([0.0, 50.0]), np.array([0.0]))
    >>> (1 / (1 + np.exp(-logits))).round(4).tolist()
    [0.25, 0.5]
    """
    terms = (-class_logits, -objectness, -class_logits - objectness)
    most = xp.maximum(xp.maximum(terms[0], terms[1]), terms[2])
    return -(most + xp.log(sum(xp.exp(term - most) for term in terms)))


def _softmax(logits: Tensor, xp: ModuleType) -> Tensor:
    if xp is not np:
        return xp.softmax(logits, axis=-1)
    weights = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    return weights / np.sum(weights, axis=-1, keepdims=True)


def _around(points: Tensor, distances: Tensor, xp: ModuleType) -> Tensor:
    shape = xp.shape(distances)
    corners = xp.reshape(distances, (*shape[:-1], 2, 2)) * _OUTWARDS + points[..., None, :]
    return xp.reshape(corners, shape)


def _distances(boxes: Tensor, priors: Tensor, xp: ModuleType) -> Tensor:
    """Compute the distances of the edges from the point, in strides."""
    points = priors[..., :2]
    sides = xp.concatenate([points - boxes[..., :2], boxes[..., 2:] - points], axis=-1)
    return sides / priors[..., 2:3]


def _corners(x: Tensor, y: Any, width: int, height: int, xp: ModuleType) -> Tensor:
    return xp.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=-1)


def _centre_and_size(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    left, top, right, bottom = (boxes[..., index] for index in range(4))
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
