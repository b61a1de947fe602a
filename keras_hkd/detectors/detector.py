"""The contract of every detector family: one forward pass, logits, one loss, one decoding."""

from __future__ import annotations

import functools
import math
from collections import namedtuple
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_hkd import saved_learner
from keras_hkd.box_labels import checked_shapes, without_false_boxes
from keras_hkd.boxes.coding import HEADS, BoxCoding, joint_logits
from keras_hkd.boxes.formats import convert
from keras_hkd.boxes.geometry import inside_any
from keras_hkd.boxes.grid import NO_ANCHOR, Grid
from keras_hkd.boxes.suppression import non_max_suppression
from keras_hkd.detectors.arguments import checked_indices, per_channel, size_for_network
from keras_hkd.detectors.open_heads import LevelHeads, SharedTower
from keras_hkd.errors import InvalidTypeError
from keras_hkd.learner import Learner
from keras_hkd.tensors import Tensor, TensorDict

__all__ = ["Assignment", "Detector"]

Assignment = namedtuple("Assignment", "positive ignored target_boxes target_scores")
Assignment.__doc__ = """What each anchor of a detector is to learn.

Attributes:
    positive: `(batch, anchors)` bool, anchors that stand for a person.
    ignored: `(batch, anchors)` bool, anchors that take no part in the class loss.
    target_boxes: `(batch, anchors, 4)` xyxy pixels, meaningful where `positive`.
    target_scores: `(batch, anchors, num_classes)` in [0, 1].
"""


class Detector(Learner):
    """A dense one-stage detector: the role that a teacher or a student plays.

    Subclasses adapt one family. Everything else (training, prediction, saving, distillation, the
    teacher cache, compression, export) is common and reads what a family declares here. In order, a
    family provides:

    1. `levels`: names of its pyramid levels, finest first; `stride(level)` where the stride of
       `P<n>` is not `2**n` pixels.
    2. `coding`: how its numbers code a box, an object of `keras_hkd.boxes.coding`.
    3. Where its anchors lie. One point in the middle of each cell is the default. Otherwise
       `cell_offset` (0 for the upper left corner of the cell); and of a family with anchors
       `anchors_per_cell`, `anchor_sizes` and `clip_anchors`.
    4. `build_network(model)`: the functional model of one forward pass.
    5. `match` and `losses_of`: which anchors stand for people, and the family's own losses.
    6. `get_config` and `from_config`, and the registration with Keras, so that it can be saved.
    7. Decorators `builder` and `adapter` (with `options_of`): see `keras_hkd.detectors.families`.
    8. `open_head`, if its heads can be cut for `keras_hkd.hierarchies.CrossHead`.

    The network takes RGB pixels in [0, 255] and itself scales them or swaps their colours.

    Args:
        model: the library's detector; its layers are used, not copied.
        image_size: `(height, width)` in pixels that images are letterboxed to by default; the
            model's own where it takes no other, else 320 x 320.
        class_names: names of the classes that this detector reports.
        class_indices: which of the library model's classes these are; all of them by default. A
            COCO detector becomes a person detector with `class_names=("person",),
            class_indices=(0,)`.
        score_threshold: detections that score at most this are not reported by `predict`.
        nms_iou_threshold: overlap above which `predict` drops the lower score.
        max_detections: most detections of one image.
        antialias: whether photographs are smoothed where they shrink, which OpenCV does not do.
        scale: of a model that does not rescale images itself, what pixels in [0, 255] are
            multiplied by before it sees them, a number or one for each colour: 1/255 for [0, 1].
        offset: what is added to them then.
        frozen_layers: of a saved detector, which of its layers do not train.

    Raises:
        ValueError: names and indices of classes do not fit each other or the model.
    """

    kind = "detector"
    loss_names = ("class_loss", "box_loss")

    def __init__(
        self,
        model: Any,
        *,
        image_size: Sequence[int] | None = None,
        class_names: Sequence[str] = ("person",),
        class_indices: Sequence[int] | None = None,
        score_threshold: float = 0.01,
        nms_iou_threshold: float = 0.6,
        max_detections: int = 100,
        antialias: bool = True,
        scale: Any = None,
        offset: Any = None,
        frozen_layers: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.class_names = tuple(class_names)
        self.class_indices = checked_indices(class_indices, self.class_names, model.num_classes)
        self.score_threshold = float(score_threshold)
        self.nms_iou_threshold = float(nms_iou_threshold)
        self.max_detections = int(max_detections)
        self.antialias = bool(antialias)
        self.scale, self.offset = per_channel("scale", scale), per_channel("offset", offset)
        self.model = model
        self.network = self.rewritten(self.build_network(model))
        self.image_size = size_for_network(self.network, image_size)
        saved_learner.freeze_layers(self, frozen_layers)
        self.built = True

    levels: tuple[str, ...] = ()
    """Names of the pyramid levels, finest first; none of a family that predicts sets of boxes."""

    cell_offset = 0.5
    """Where in a cell its anchors lie, in strides from the upper left corner."""

    anchors_per_cell = 1
    """Anchors at each cell of a pyramid level."""

    @property
    def coding(self) -> BoxCoding | None:
        """How box outputs code boxes; None of a family that predicts sets of boxes."""
        return None

    @property
    def clip_anchors(self) -> bool:
        """Whether anchors are cut at the edge of the image."""
        return False

    @property
    def anchor_sizes(self) -> tuple[tuple[tuple[float, float], ...], ...]:
        """For each level `(width, height)` in pixels of the anchors of a cell; 0 for the stride."""
        return (NO_ANCHOR * self.anchors_per_cell,) * len(self.levels)

    def stride(self, level: str) -> int:
        """Return the pixels between neighbouring cells of a pyramid level: `P3` 8, `P4` 16, ..."""
        return 2 ** int(level[1:])

    def build_network(self, model: Any) -> keras.Model:
        """Build the functional model of one forward pass over the model's own layers.

        Its outputs are a dict of

        - `pyramid`: level -> `(batch, h, w, channels)`, the maps that the heads read;
        - `class_tower`: level -> `(batch, h, w, channels)`, the last hidden maps of the class head;
          empty where they cannot be read;
        - `class_logits (batch, anchors, classes of the model)`;
        - `box_outputs (batch, anchors, coding.num_values)`;
        - optionally `objectness (batch, anchors, 1)`: a logit o of there being anything. The score
          of a class is then `sigmoid(class logit) * sigmoid(o)`.

        Anchors run level by level, row by row, cell by cell, anchor by anchor.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `build_network`.")

    @classmethod
    def options_of(cls, model: Any) -> dict:
        """Return options that are read off a library's model if it is adapted without them."""
        return {}

    def match(
        self, outputs: TensorDict, labels: dict[str, Tensor], image_size: Sequence[int]
    ) -> Assignment:
        """Assign anchors to labelled people, ignore regions left aside."""
        raise NotImplementedError(f"{type(self).__name__} must implement `match`.")

    def losses_of(
        self, outputs: TensorDict, assignment: Any, image_size: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """Compute `(class_loss, box_loss)`, scalars: this replica's share of the global mean."""
        raise NotImplementedError(f"{type(self).__name__} must implement `losses_of`.")

    def open_head(self, key: str) -> SharedTower | LevelHeads | None:
        """Return a head cut in two for CrossHead; None if it cannot be cut.

        Args:
            key: `"class"`, `"box"` or `"objectness"`.

        Returns:
            An object of `keras_hkd.detectors.open_heads`, or None.
        """
        return None

    # What follows from it.

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels between neighbouring cells, for each level."""
        return tuple(self.stride(level) for level in self.levels)

    @property
    def head_names(self) -> tuple[str, ...]:
        """Names of its raw heads, in order: those of `HEADS` that it has."""
        return tuple(name for name in HEADS if name in self.network.output)

    def check_image_size(self, image_size: Any) -> tuple[int, int]:
        """Check that images of a size can be seen; returns `(height, width)` in pixels."""
        return size_for_network(self.network, image_size)

    def level_shapes(self, image_size: Sequence[int]) -> dict[str, tuple[int, int]]:
        """Return `{level: (height, width)}` in cells, for images of `image_size`."""
        height, width = image_size
        steps = zip(self.levels, self.strides, strict=True)
        return {level: (math.ceil(height / s), math.ceil(width / s)) for level, s in steps}

    def channels(self, level: str) -> int:
        """Return the number of channels of the pyramid map at a level."""
        return self.network.output["pyramid"][level].shape[-1]

    @property
    def tower_channels(self) -> dict[str, int]:
        """`{level: width}` of the maps that the class predictor reads, where they can be read."""
        towers = self.network.output["class_tower"]
        return {level: features.shape[-1] for level, features in towers.items()}

    def grid(self, image_size: Sequence[int]) -> Grid:
        """Return the anchors and the coding of boxes for images of one size.

        Raises:
            TypeError: the family predicts a set of boxes and has no grid.
        """
        size = tuple(int(side) for side in image_size)
        coding, sizes, clip = self._coding_of_grid(), self.anchor_sizes, self.clip_anchors
        return _grid(size, coding, self.levels, self.strides, sizes, clip, self.cell_offset)

    def _coding_of_grid(self) -> BoxCoding:
        if not self.levels or self.coding is None:
            raise InvalidTypeError(
                "Expected a detector that predicts a box for each anchor of a grid: distil it into "
                f"another. Received: a {type(self).__name__}, which predicts a set of boxes"
            )
        return self.coding

    def priors(self, image_size: Sequence[int]) -> Tensor:
        """`(anchors, 4)` centre and size (that of the stride without anchors) in pixels."""
        return ops.convert_to_tensor(self.grid(image_size).all_priors)

    def anchor_points(self, image_size: Sequence[int]) -> Tensor:
        """Return the centre x, y of every anchor in pixels, `(anchors, 2)`."""
        return self.priors(image_size)[..., :2]

    def anchor_strides(self, image_size: Sequence[int]) -> Tensor:
        """Return the stride of every anchor in pixels, `(anchors, 1)`."""
        return ops.convert_to_tensor(self.grid(image_size).all_strides)

    def anchors(self, image_size: Sequence[int]) -> Tensor:
        """Return anchors `(anchors, 4)` xyxy pixels; without anchors squares of 8 strides."""
        if self.grid(image_size).has_anchors:
            return convert(self.priors(image_size), "center_xywh", "xyxy", xp=ops)
        points, half = self.anchor_points(image_size), 4.0 * self.anchor_strides(image_size)
        return ops.concatenate([points - half, points + half], axis=-1)

    def decode_boxes(self, box_outputs: Tensor, image_size: Sequence[int]) -> Tensor:
        """Decode raw box outputs to boxes `(batch, anchors, 4)` xyxy pixels."""
        return self._coding_of_grid().decode(box_outputs, self.priors(image_size), ops)

    def encode_boxes(self, boxes: Tensor, image_size: Sequence[int]) -> Tensor:
        """Encode a target box for each anchor, `(batch, anchors, 4)`, as raw box outputs."""
        return self._coding_of_grid().encode(boxes, self.priors(image_size), ops)

    def box_values(self, box_outputs: Tensor) -> Tensor:
        """Box outputs shaped for comparison: `(batch, anchors, 4)`, or with bins behind."""
        return self._coding_of_grid().edges(box_outputs, ops)

    def raw_heads(self, outputs: TensorDict) -> dict:
        """Return the raw heads of what `call` gave, by `head_names`: those of an exported file."""
        heads = {name: outputs[name] for name in self.head_names}
        if "objectness" in heads:
            heads["class_logits"] = outputs["conditional_logits"]
        return heads

    def joined(self, heads: dict) -> dict:
        """Return the outputs that `call` gives for raw heads."""
        if "objectness" not in heads:
            return dict(heads)
        conditional = heads["class_logits"]
        logits = joint_logits(conditional, heads["objectness"], ops)
        return {**heads, "class_logits": logits, "conditional_logits": conditional}

    def rescaled(self, images: Tensor) -> Tensor:
        """Convert RGB in [0, 255] to what the network takes; see `scale` and `offset`."""
        if self.scale is None and self.offset is None:
            return images
        images = ops.cast(images, "float32") * (1.0 if self.scale is None else self.scale)
        return images + (0.0 if self.offset is None else self.offset)

    def call(self, images: Tensor, training: bool | None = False) -> dict[str, Any]:
        """Compute raw predictions and feature maps of a batch.

        Args:
            images: `(batch, height, width, 3)` RGB in [0, 255].
            training: whether batch statistics are used.

        Returns:
            dict of `pyramid` and `class_tower` (dicts level -> `(batch, h, w, channels)`),
            `class_logits (batch, anchors, num_classes)`, whose sigmoid is the score, and
            `box_outputs (batch, anchors, coding.num_values)`, the last two float32. With an
            objectness logit also `objectness (batch, anchors, 1)` and, as the class head gave
            them, `conditional_logits (batch, anchors, num_classes)`; the score is then that of
            both. Anchors run level by level, row by row, cell by cell.
        """
        outputs = dict(self.network(self.rescaled(images), training=training))
        heads = {name: ops.cast(outputs[name], "float32") for name in self.head_names}
        if self.class_indices != tuple(range(self.model.num_classes)):
            chosen = ops.array(self.class_indices, "int32")
            heads["class_logits"] = ops.take(heads["class_logits"], chosen, axis=-1)
        return {**outputs, **self.joined(heads)}

    def compute_output_spec(self, images: Tensor, training: bool | None = False) -> dict[str, Any]:
        outputs = dict(self.network(images))
        heads = {name: keras.KerasTensor(outputs[name].shape) for name in self.head_names}
        logits = keras.KerasTensor((*heads["class_logits"].shape[:2], self.num_classes))
        heads["class_logits"] = logits
        if "objectness" in heads:
            heads["conditional_logits"] = logits
        return {**outputs, **heads}

    def check_labels(self, labels: Any) -> dict[str, Tensor]:
        """Check labels; returns them as the losses need them, false boxes left out."""
        return without_false_boxes(checked_shapes(labels), self.num_classes)

    def assign(
        self, outputs: TensorDict, labels: dict[str, Tensor], image_size: Sequence[int]
    ) -> Assignment:
        """Assign each anchor to a person, to the background or to neither.

        Args:
            outputs: what `call` returned.
            labels: dict of `boxes (batch, n, 4)` xyxy pixels and `classes (batch, n)`, padded with
                -1; optionally `ignore_boxes (batch, m, 4)`: anchors whose centre lies in one of
                these and that stand for nobody are ignored.
            image_size: `(height, width)` of the images.

        Returns:
            An `Assignment`, without gradient.
        """
        found = self.match(outputs, labels, image_size)
        ignored = found.ignored
        if "ignore_boxes" in labels:
            regions = ops.cast(labels["ignore_boxes"], "float32")
            ignored = ignored | inside_any(self.anchor_points(image_size), regions, xp=ops)
        found = found._replace(ignored=ignored & ops.logical_not(found.positive))
        return Assignment(*(ops.stop_gradient(value) for value in found))

    def task_losses(
        self, outputs: TensorDict, assignment: Any, image_size: Sequence[int]
    ) -> dict[str, Tensor]:
        """Compute the losses by name: `{"class_loss": scalar, "box_loss": scalar}`."""
        values = self.losses_of(outputs, assignment, image_size)
        return dict(zip(self.loss_names, values, strict=True))

    def predictions(self, outputs: TensorDict, image_size: Sequence[int]) -> dict[str, Tensor]:
        """Return the detections of a batch, as `predict` does."""
        return self.detections(outputs, image_size)

    def decode(self, outputs: TensorDict, image_size: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return boxes `(batch, anchors, 4)` xyxy pixels and scores `(batch, anchors, classes)`."""
        boxes = self.decode_boxes(outputs["box_outputs"], image_size)
        return boxes, ops.sigmoid(outputs["class_logits"])

    def detections(
        self, outputs: TensorDict, image_size: Sequence[int], **overrides: Any
    ) -> dict[str, Tensor]:
        """Decode detections and suppress overlapping ones; see `non_max_suppression`."""
        boxes, scores = self.decode(outputs, image_size)
        height, width = image_size
        limits = ops.array([width, height, width, height], "float32")
        options = {
            "max_detections": self.max_detections,
            "iou_threshold": self.nms_iou_threshold,
            "score_threshold": self.score_threshold,
            **overrides,
        }
        return non_max_suppression(ops.clip(boxes, 0.0, limits), scores, **options)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "image_size": self.image_size,
            "class_names": self.class_names,
            "class_indices": self.class_indices,
            "score_threshold": self.score_threshold,
            "nms_iou_threshold": self.nms_iou_threshold,
            "max_detections": self.max_detections,
            "antialias": self.antialias,
            **saved_learner.frozen_layers(self),
            **({} if self.scale is None else {"scale": self.scale}),
            **({} if self.offset is None else {"offset": self.offset}),
            **self.rewrites_config(),
        }


@functools.lru_cache(maxsize=64)
def _grid(*fields: Any) -> Grid:
    return Grid(*fields)
