"""The contract of every detector family: one forward pass, logits, one loss, one decoding."""

import math
from collections import namedtuple

import keras
from keras import ops

from keras_hkd.boxes.containment import inside_any
from keras_hkd.boxes.suppression import non_max_suppression
from keras_hkd.learner import Learner

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

    Subclasses adapt one library family. They build `self.network`, a functional model from images
    to `pyramid`, `class_tower`, `class_logits` and `box_outputs`, and say how anchors are assigned
    to people, how both losses are computed and how boxes are decoded. Everything else (training,
    prediction, saving, distillation) is common.

    Args:
        model: the library's detector; its layers are used, not copied.
        image_size: `(height, width)` in pixels that images are letterboxed to by default.
        class_names: names of the classes that this detector reports.
        class_indices: which of the library model's classes these are; all of them by default. A
            COCO detector becomes a person detector with `class_names=("person",),
            class_indices=(0,)`.
        score_threshold: detections that score at most this are not reported by `predict`.
        nms_iou_threshold: overlap above which `predict` drops the lower score.
        max_detections: most detections of one image.

    Raises:
        ValueError: names and indices of classes do not fit each other or the model.
    """

    kind = "detector"
    loss_names = ("class_loss", "box_loss")

    def __init__(
        self,
        model,
        *,
        image_size=(320, 320),
        class_names=("person",),
        class_indices=None,
        score_threshold=0.01,
        nms_iou_threshold=0.6,
        max_detections=100,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_size = _checked_image_size(image_size)
        self.class_names = tuple(class_names)
        self.class_indices = _checked_indices(class_indices, self.class_names, model.num_classes)
        self.score_threshold = float(score_threshold)
        self.nms_iou_threshold = float(nms_iou_threshold)
        self.max_detections = int(max_detections)
        self.model = model
        self.network = self.build_network(model)
        self.built = True

    # What a family provides.

    levels = ()
    """Names of the pyramid levels, finest first."""

    anchors_per_cell = 1
    """Anchors at each cell of a pyramid level."""

    def build_network(self, model):
        """The functional model of one forward pass over the library model's own layers."""
        raise NotImplementedError(f"{type(self).__name__} must implement `build_network`.")

    def anchor_points(self, image_size):
        """`(anchors, 2)` x, y in pixels of the centre of every anchor."""
        raise NotImplementedError(f"{type(self).__name__} must implement `anchor_points`.")

    def decode_boxes(self, box_outputs, image_size):
        """`(batch, anchors, 4)` xyxy pixels from raw box outputs."""
        raise NotImplementedError(f"{type(self).__name__} must implement `decode_boxes`.")

    def box_outputs_for(self, boxes, image_size):
        """Raw box outputs that decode to one target box `(batch, anchors, 4)` for each anchor."""
        raise NotImplementedError(f"{type(self).__name__} must implement `box_outputs_for`.")

    def match(self, outputs, labels, image_size):
        """The `Assignment` of anchors to labelled people, ignore regions left aside."""
        raise NotImplementedError(f"{type(self).__name__} must implement `match`.")

    def losses_of(self, outputs, assignment, image_size):
        """`(class_loss, box_loss)`, scalars: this replica's share of the global mean."""
        raise NotImplementedError(f"{type(self).__name__} must implement `losses_of`.")

    # What is common.

    def stride(self, level):
        """Pixels between neighbouring cells of a pyramid level: `P3` 8, `P4` 16, ..."""
        return 2 ** int(level[1:])

    def check_image_size(self, image_size):
        """`(height, width)` in whole pixels; a ValueError for a size that it cannot see."""
        return _checked_image_size(image_size)

    def level_shapes(self, image_size):
        """`{level: (height, width)}` in cells, for images of `image_size`."""
        return {
            level: tuple(math.ceil(side / self.stride(level)) for side in image_size)
            for level in self.levels
        }

    def channels(self, level):
        """Width of the pyramid map at a level."""
        return self.network.output["pyramid"][level].shape[-1]

    def box_values(self, box_outputs):
        """Box outputs shaped for comparison: `(batch, anchors, 4)`, or with bins behind."""
        return box_outputs

    def call(self, images, training=False):
        """Raw predictions and feature maps of a batch.

        Args:
            images: `(batch, height, width, 3)` RGB in [0, 255].
            training: whether batch statistics are used.

        Returns:
            dict of `pyramid` and `class_tower` (dicts level -> `(batch, h, w, channels)`),
            `class_logits (batch, anchors, num_classes)` and
            `box_outputs (batch, anchors, 4 or 64)`, the last two float32. Anchors run level by
            level, row by row, cell by cell.
        """
        outputs = dict(self.network(images, training=training))
        logits = ops.cast(outputs["class_logits"], "float32")
        if self.class_indices != tuple(range(self.model.num_classes)):
            logits = ops.take(logits, ops.array(self.class_indices, "int32"), axis=-1)
        outputs["class_logits"] = logits
        outputs["box_outputs"] = ops.cast(outputs["box_outputs"], "float32")
        return outputs

    def compute_output_spec(self, images, training=False):
        outputs = dict(self.network(images))
        logits, boxes = outputs["class_logits"], outputs["box_outputs"]
        outputs["class_logits"] = keras.KerasTensor((*logits.shape[:2], self.num_classes))
        outputs["box_outputs"] = keras.KerasTensor(boxes.shape)
        return outputs

    def check_labels(self, labels):
        """Labels as the losses need them, or a clear error."""
        if not isinstance(labels, dict) or not {"boxes", "classes"} <= set(labels):
            received = sorted(labels) if isinstance(labels, dict) else type(labels).__name__
            raise ValueError(
                "Labels must be a dict with 'boxes' (batch, n, 4) in xyxy pixels and 'classes' "
                f"(batch, n), both padded with -1. Received: {received}"
            )
        return labels

    def assign(self, outputs, labels, image_size):
        """Says which anchors are people, which are background and which count for nothing.

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

    def task_losses(self, outputs, assignment, image_size):
        """The detector's own losses by name, as `{"class_loss": scalar, "box_loss": scalar}`."""
        return dict(
            zip(self.loss_names, self.losses_of(outputs, assignment, image_size), strict=True)
        )

    def predictions(self, outputs, image_size):
        """Detections of a batch: what `predict` returns."""
        return self.detections(outputs, image_size)

    def decode(self, outputs, image_size):
        """Boxes `(batch, anchors, 4)` xyxy pixels and scores `(batch, anchors, classes)`."""
        boxes = self.decode_boxes(outputs["box_outputs"], image_size)
        return boxes, ops.sigmoid(outputs["class_logits"])

    def detections(self, outputs, image_size, **overrides):
        """Decoded detections after non-maximum suppression; see `non_max_suppression`."""
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

    def get_config(self):
        return {
            "name": self.name,
            "image_size": self.image_size,
            "class_names": self.class_names,
            "class_indices": self.class_indices,
            "score_threshold": self.score_threshold,
            "nms_iou_threshold": self.nms_iou_threshold,
            "max_detections": self.max_detections,
        }


def _checked_image_size(image_size):
    try:
        height, width = (int(side) for side in image_size)
    except (TypeError, ValueError):
        height = width = 0
    if height < 32 or width < 32 or height % 32 or width % 32:
        raise ValueError(
            "`image_size` must be (height, width) in pixels, both multiples of 32 (the stride of "
            "the coarsest map of the backbone; others leave maps that do not fit each other). "
            f"Received: image_size={image_size}"
        )
    return height, width


def _checked_indices(class_indices, class_names, num_library_classes):
    if class_indices is None:
        class_indices = range(len(class_names))
    class_indices = tuple(int(index) for index in class_indices)
    if len(class_indices) != len(class_names):
        raise ValueError(
            "`class_names` and `class_indices` must name the same classes. Received: "
            f"class_names={class_names}, class_indices={class_indices}"
        )
    if any(not 0 <= index < num_library_classes for index in class_indices):
        raise ValueError(
            f"The model has {num_library_classes} classes, so `class_indices` must lie in "
            f"[0, {num_library_classes - 1}]. Received: class_indices={class_indices}"
        )
    return class_indices
