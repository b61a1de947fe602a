"""MutualDistiller: two students that teach each other, without a trained teacher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import keras

from keras_hkd.distillation.distiller import Distiller
from keras_hkd.distillation.peers import BothWays, Peers
from keras_hkd.errors import InvalidTypeError
from keras_hkd.hierarchies.hierarchy import Hierarchy
from keras_hkd.hierarchies.keras_loss import KerasLoss

if TYPE_CHECKING:
    from keras_hkd.learner import Learner


@keras.saving.register_keras_serializable(package="keras_hkd")
class MutualDistiller(Distiller):
    """Trains two peers on their own losses and on terms that compare them with each other.

    `L = sum over both peers of student_loss_weight * L_task
         + sum_i w_i(step) * [ L_i(sg(second) -> first) + L_i(sg(first) -> second) ]`

    It is a `Distiller` without a teacher whose student is a pair. There is one optimizer, one
    forward pass of each peer per step, and no gradient through the outputs of the teaching peer.
    Losses of the second peer are logged with the prefix `peer_`, terms as the sum of both
    directions. `.student` is the first peer; `.peers` holds both, if you want to save the better
    one.

    Args:
        peers: two detectors or two classifiers with different seeds; both are trained in place.
        distillation_losses: hierarchies, or `keras.distillation.DistillationLoss` objects; one or
            a list.
        distillation_loss_weights: a number or schedule for each of them; 1 by default.
        student_loss_weight: weight of the peers' own losses.
        name: name of the model.
        **kwargs: arguments of `keras.Model`.

    Raises:
        TypeError: see `Distiller`; also if there are not two peers.
        ValueError: see `Distiller`; also if the peers are of two kinds or share weights.

    Example:

    >>> from keras_hkd import hierarchies, losses
    >>> from keras_hkd.detectors import build
    >>> distiller = MutualDistiller(
    ...     [build("yolo_v8_micro", image_size=(64, 64), seed=seed) for seed in (1, 2)],
    ...     hierarchies.ClassLogits(losses.AdaptiveDistillation()),
    ... )
    >>> distiller.student is distiller.peers[0], distiller.term_names
    (True, ('class_logits',))

    Reference:
        Zhang et al., Deep Mutual Learning, CVPR 2018, https://arxiv.org/abs/1706.00384.
    """

    def __init__(
        self,
        peers: Sequence[Any],
        distillation_losses: Any,
        distillation_loss_weights: Any = None,
        student_loss_weight: float = 1.0,
        name: str = "mutual_distiller",
        **kwargs: Any,
    ) -> None:
        if not isinstance(peers, (list, tuple)) or len(peers) != 2:
            raise InvalidTypeError(f"`peers` must be two models. Received: {peers!r}")
        if not isinstance(distillation_losses, (list, tuple)):
            distillation_losses = [distillation_losses]
        super().__init__(
            None,
            Peers(*peers),
            [_both_ways(loss) for loss in distillation_losses],
            distillation_loss_weights,
            student_loss_weight,
            name=name,
            **kwargs,
        )

    @property
    def peers(self) -> tuple[Learner, ...]:
        """The two peers; the first is the student."""
        return tuple(self.learner.peers.values())

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        config = super().get_config()
        del config["teacher"], config["student"]
        config["peers"] = [serialize(peer) for peer in self.peers]
        config["distillation_losses"] = [
            serialize(hierarchy.to_first) for hierarchy in self.distillation_losses
        ]
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        config = dict(config)
        deserialize = keras.saving.deserialize_keras_object
        for key in ("peers", "distillation_losses", "distillation_loss_weights"):
            config[key] = [deserialize(value) for value in config[key]]
        return cls(**config)


def _both_ways(loss: Any) -> Any:
    if isinstance(loss, keras.distillation.DistillationLoss):
        loss = KerasLoss(loss)
    return BothWays(loss) if isinstance(loss, Hierarchy) else loss  # which the Distiller refuses
