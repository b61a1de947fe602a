"""Estimates from gradients how much each channel matters to the loss, for structured pruning."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from keras import layers

from keras_hkd.checks import require_tensorflow
from keras_hkd.compression.channel_groups import ChannelGroups
from keras_hkd.compression.compressed import checked_learner
from keras_hkd.errors import InvalidValueError
from keras_hkd.learner import Learner
from keras_hkd.tensors import Tensor


def gradient_worth(student: Learner, batches: Any, num_batches: int = 16) -> np.ndarray:
    """Estimate how much the loss rises when a group of channels is removed.

    To first order a channel behind BatchNorm (scale g, shift b) is worth what setting both to 0
    costs; a group's worth is, over batches of the training data,

    `mean over batches of (sum over BatchNorms of the layers that make it of g dL/dg + b dL/db)^2`,

    L being the student's own loss. A layer without BatchNorm counts by its kernel and bias.

    Args:
        student: a `Detector` or `Classifier` as `prune_channels` takes it.
        batches: `(images, labels)`, as `training_batches` gives them.
        num_batches: how many of them are read.

    Returns:
        float64 `(groups,)`, by the numbers of `ChannelGroups`; 0 for groups that nothing makes.

    Raises:
        ValueError: the backend is not TensorFlow, or there is no batch.

    Example:

    >>> import keras_hkd
    >>> student = keras_hkd.detectors.build("yolo_v8_micro", image_size=(64, 64), seed=0)
    >>> dataset = keras_hkd.data.synthetic_dataset(num_images=4, image_size=(64, 64), seed=0)
    >>> batches = keras_hkd.data.training_batches(
    ...     dataset, image_size=(64, 64), batch_size=2, seed=0)
    >>> worth = gradient_worth(student, batches, num_batches=2)
    >>> smaller = keras_hkd.prune_channels(student, 0.3, worth=worth)

    Reference:
        Molchanov et al., "Importance Estimation for Neural Network Pruning",
        https://arxiv.org/abs/1906.10771.
    """
    require_tensorflow("gradient_worth")
    import tensorflow as tf

    student = checked_learner(student)
    groups = ChannelGroups(student.network)
    made = _weights_of_makers(groups)
    variables = [variable.value for variable, _ in made]

    @tf.function
    def products(images: Any, labels: Any) -> list[Tensor]:
        with tf.GradientTape() as tape:
            outputs = student(images, training=False)
            loss = student.compute_loss(images, labels, outputs)
        gradients = tape.gradient(loss, variables)
        return [
            tf.reduce_sum(tf.reshape(v * g, (-1, v.shape[-1])), axis=0)
            if g is not None
            else tf.zeros(v.shape[-1])
            for v, g in zip(variables, gradients, strict=True)
        ]

    total, count = np.zeros(groups.count), 0
    for images, labels in itertools.islice(batches, num_batches):
        signed = np.zeros(groups.count)
        for (_, numbers), product in zip(made, products(images, labels), strict=True):
            np.add.at(signed, numbers, np.asarray(product, "float64"))
        total += np.square(signed)
        count += 1
    if not count:
        raise InvalidValueError(
            "`batches` must hold at least one batch of images and labels. Received: none"
        )
    return total / count


def _weights_of_makers(groups: ChannelGroups) -> list[tuple[Any, np.ndarray]]:
    """List the weights of layers that make channels, with the group of each output channel."""
    found = []
    for call in groups.makers():
        numbers = groups.made_by(call.operation)
        following = groups.graph.only_consumer(call.outputs[0])
        norm = None if following is None else following.operation
        if isinstance(norm, layers.BatchNormalization) and norm.gamma is not None:
            found += [(norm.gamma, numbers), (norm.beta, numbers)]
            continue
        layer = call.operation
        names = ("kernel", "pointwise_kernel", "bias")
        weights = [getattr(layer, name, None) for name in names]
        found += [(weight, numbers) for weight in weights if weight is not None]
    return found
