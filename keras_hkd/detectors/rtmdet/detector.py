"""RTMDet behind the Detector contract."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_hkd.batch_norm import synchronize_batch_norm
from keras_hkd.boxes.coding import Distances
from keras_hkd.boxes.iou import generalized_iou
from keras_hkd.detectors.detector import Assignment, Detector
from keras_hkd.detectors.open_heads import LevelHeads, SharedTower, level_heads
from keras_hkd.detectors.rtmdet.assignment import dynamic_soft_labels
from keras_hkd.detectors.rtmdet.config import RTMDetConfig
from keras_hkd.detectors.rtmdet.network import LEVELS, rtmdet_network
from keras_hkd.detectors.rtmdet.new_classes import network_for_classes
from keras_hkd.detectors.rtmdet.recognition import config_of, dtype_policy_of, is_synchronized
from keras_hkd.replicas import global_ratio
from keras_hkd.saved_learner import computing_in
from keras_hkd.tensors import Tensor

__all__ = ["RTMDet"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class RTMDet(Detector):
    """Anchor-free detector of the RTMDet family.

    Loss, with the targets of dynamic soft labels (an overlap t in [0, 1] at each positive point)
    and `N = max(1, sum of t)` over the global batch:

    `class_loss = 1 / N * sum |t - sigmoid(logit)|^2 * BCE(logit, t)` (quality focal loss),
    `box_loss = 2 / N * sum_positive t * (1 - GIoU)`.

    Args:
        model: an `RTMDetConfig`, or a functional model with the outputs of `rtmdet_network`, such
            as one with fewer channels.
        exponential: whether box distances pass through an exponential; of a config, what it says.
        class_loss_weight: weight of the class loss.
        box_loss_weight: weight of the box loss.
        **kwargs: see `Detector`.

    Example:

    >>> detector = RTMDet(RTMDetConfig(width=0.125, num_classes=1), image_size=(64, 64))
    >>> detector.levels
    ('P3', 'P4', 'P5')

    Reference:
        Lyu et al., https://arxiv.org/abs/2212.07784.
    """

    levels = LEVELS
    cell_offset = 0.0

    def __init__(
        self,
        model: RTMDetConfig | keras.Model,
        *,
        exponential: bool | None = None,
        class_loss_weight: float = 1.0,
        box_loss_weight: float = 2.0,
        **kwargs: Any,
    ) -> None:
        if isinstance(model, RTMDetConfig):
            exponential = model.exponential if exponential is None else exponential
            model = rtmdet_network(model)
        if not hasattr(model, "num_classes"):
            model.num_classes = int(model.output["class_logits"].shape[-1])
        super().__init__(model, **kwargs)
        self.exponential = bool(exponential)
        self.class_loss_weight = float(class_loss_weight)
        self.box_loss_weight = float(box_loss_weight)

    def build_network(self, model: Any) -> keras.Model:
        return model

    @property
    def coding(self) -> Distances:
        return Distances(exponential=self.exponential)

    def match(
        self, outputs: Mapping[str, Any], labels: dict[str, Tensor], image_size: Sequence[int]
    ) -> Assignment:
        return dynamic_soft_labels(
            ops.stop_gradient(outputs["class_logits"]),
            ops.stop_gradient(self.decode_boxes(outputs["box_outputs"], image_size)),
            self.anchor_points(image_size),
            self.anchor_strides(image_size),
            labels,
        )

    def losses_of(
        self, outputs: Mapping[str, Any], assignment: Assignment, image_size: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        logits, targets = outputs["class_logits"], assignment.target_scores
        count = ops.sum(targets)
        cross_entropy = ops.relu(logits) - logits * targets + ops.softplus(-ops.abs(logits))
        focal = cross_entropy * ops.square(targets - ops.sigmoid(logits))
        counted = ops.cast(ops.logical_not(assignment.ignored), "float32")[..., None]
        boxes = self.decode_boxes(outputs["box_outputs"], image_size)
        weight = ops.sum(targets, axis=-1) * ops.cast(assignment.positive, "float32")
        apart = 1.0 - generalized_iou(boxes, assignment.target_boxes, xp=ops)
        return (
            self.class_loss_weight * global_ratio(ops.sum(focal * counted), count, minimum=1.0),
            self.box_loss_weight * global_ratio(ops.sum(apart * weight), count, minimum=1.0),
        )

    takes_networks = True

    def over(self, network: keras.Model) -> RTMDet:
        """Make the same detector over another network with the same outputs."""
        return type(self).from_config({**self._options(), "network": network})

    def open_head(self, key: str) -> SharedTower | LevelHeads | None:
        cuts = {level: _last_norm_but_one(self.network, level, key) for level in self.levels}
        if None in cuts.values():
            return None
        predictors = {level: f"head_{level}_{key}_predictor" for level in self.levels}
        return level_heads(self, cuts, predictors)

    def with_classes(self, class_names: Sequence[str]) -> RTMDet:
        class_names = tuple(class_names)
        if class_names == self.class_names:
            return self
        index_of = dict(zip(self.class_names, self.class_indices, strict=True))
        network = network_for_classes(self.network, [index_of.get(name) for name in class_names])
        config = self._options()
        for name in ("rewrites", "class_indices"):
            config.pop(name, None)
        return RTMDet(network, **{**config, "class_names": class_names})

    def get_config(self) -> dict[str, Any]:
        return {**self._options(), **self._network_config()}

    def _options(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "exponential": self.exponential,
            "class_loss_weight": self.class_loss_weight,
            "box_loss_weight": self.box_loss_weight,
        }

    def _network_config(self) -> dict[str, Any]:
        """Say how the network is built: in a few numbers, or, of another one, layer by layer."""
        serialize = keras.saving.serialize_keras_object
        config = config_of(self.model)
        if config is None:
            return {"network": serialize(self.model)}
        config = dataclasses.replace(config, exponential=self.exponential)
        short = {"network": serialize(config), "dtype_policy": dtype_policy_of(self.model)}
        return {**short, "synchronized": True} if is_synchronized(self.model) else short

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> RTMDet:
        config = dict(config)
        network, dtype = config.pop("network"), config.pop("dtype_policy", None)
        synchronized = config.pop("synchronized", False)
        if isinstance(network, dict):
            with computing_in(dtype):
                network = keras.saving.deserialize_keras_object(network)
                if isinstance(network, RTMDetConfig):
                    network = rtmdet_network(network)
                    if synchronized:
                        synchronize_batch_norm(network)
        return cls(network, **config)


def _last_norm_but_one(network: keras.Model, level: Any, key: str) -> Any:
    """Name of the BatchNorm whose activation the last convolution of a head reads, or None."""
    pattern = re.compile(rf"head_{level}_{key}(\d+)(?:_pointwise)?_norm")
    found = [pattern.fullmatch(layer.name) for layer in network.layers]
    norms = sorted((int(match[1]), match[0]) for match in found if match)
    return norms[-2][1] if len(norms) > 1 else None
