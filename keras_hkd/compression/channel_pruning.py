"""Structured pruning: makes a smaller model by removing the least important channels."""

import itertools
import math
from typing import Any

import numpy as np
from keras import layers, ops

from keras_hkd import checks
from keras_hkd.compression.channel_groups import ChannelGroups
from keras_hkd.compression.channel_removal import ChannelRemoval
from keras_hkd.compression.compressed import checked_learner, over_or_rewritten
from keras_hkd.compression.flat_graph import Call, FlatGraph
from keras_hkd.compression.quantization import is_quantized
from keras_hkd.errors import InvalidValueError
from keras_hkd.learner import Learner


def prune_channels(
    student: Learner,
    amount: float,
    *,
    worth: Any = None,
    multiple_of: int = 1,
    min_channels: int = 4,
    across_layers: bool = False,
) -> Any:
    """Make a smaller copy of a detector or classifier by removing the least important channels.

    Channels that an addition adds are removed together, and so are those that a depthwise
    convolution and BatchNorm hand on. A group's worth is

    `mean over convolutions that make it of |w| / mean |w| * product over depthwise of |w| / mean
    |w|`, |w| being the norm of a channel's filter, times the scale of the BatchNorm behind it.

    Channels that are zero leave nothing behind: without them the model computes what it did before.
    Others are missed, so train the copy on, best in a `Distiller` with the whole student as
    teacher. Predictions keep their shape; pyramid maps become narrower.

    Args:
        student: a `Detector`, a `Classifier`, a raw KerasCV detector, or a Distiller, whose
            student is taken. It is left as it is.
        amount: share of the channels to remove from every set of layers that belong together, in
            (0, 1).
        worth: worth of each group of channels, as `keras_hkd.compression.gradient_worth` estimates
            it from data; None for the norms above.
        multiple_of: channels are kept in multiples of this, where there are as many; 8 suits
            phones.
        min_channels: least that are kept of such a set.
        across_layers: whether `amount` is a share of all channels rather than of each set: those
            that are worth least for the weights that they cost go, wherever they are, at most
            half of a set at a time.

    Returns:
        The copy, of the same family.

    Raises:
        TypeError: neither detector nor classifier.
        UnsupportedLayerError: a layer that cannot be cut; names it and its type.
        ValueError: a number out of range, or a quantised model.

    Example:

    >>> import keras_hkd
    >>> student = keras_hkd.detectors.build("yolo_v8_micro", image_size=(64, 64))
    >>> smaller = keras_hkd.prune_channels(student, 0.5)
    >>> smaller.count_params() < 0.4 * student.count_params()
    True

    Reference:
        Li et al., https://arxiv.org/abs/1608.08710.
    """
    checks.in_range("amount", amount, high=1.0, open_low=True, open_high=True)
    checks.whole("multiple_of", multiple_of, low=1)
    checks.whole("min_channels", min_channels, low=1)
    student = checked_learner(student)
    if is_quantized(student):
        raise InvalidValueError(
            f"'{student.name}' is quantised: prune the float student first, then quantise the copy."
        )
    groups = ChannelGroups(student.network)
    choose = least_groups_of_all if across_layers else least_groups
    removed = choose(groups, amount, multiple_of, min_channels, worth)
    removal = ChannelRemoval(sorted(removed))
    return over_or_rewritten(student, removal)


def least_groups(
    groups: ChannelGroups,
    amount: float,
    multiple_of: int = 1,
    min_channels: int = 4,
    worth: Any = None,
) -> set[int]:
    """Choose the groups of channels to remove, layer by layer; see `prune_channels`.

    Args:
        groups: `ChannelGroups`.
        amount: share to remove.
        multiple_of: the number of channels kept is a multiple of this.
        min_channels: least that is kept.
        worth: worth of each group; None for that of `group_worth`.

    Returns:
        set of numbers of groups.
    """
    worth = _checked_worth(groups, worth)
    removed = set()
    for members in _sets_of_groups(groups):
        free = sorted(
            (group for group in members if group not in groups.fixed), key=worth.__getitem__
        )
        keep = math.ceil(len(members) * (1.0 - amount) / multiple_of) * multiple_of
        keep = max(keep, min_channels)
        removed.update(free[: max(0, len(members) - keep)])
    return removed - _last_ones(groups, removed, worth)


def least_groups_of_all(
    groups: ChannelGroups,
    amount: float,
    multiple_of: int = 1,
    min_channels: int = 4,
    worth: Any = None,
) -> set[int]:
    """Choose the groups that are worth least for their cost, over the whole network.

    A set gives up channels in steps of `multiple_of`, its least first; a step's price is the worth
    that it loses over the weights that it frees. The cheapest steps are taken until `amount` of
    all removable channels are gone.

    Args:
        groups: `ChannelGroups`.
        amount: share of all removable channels to remove.
        multiple_of: the number of channels kept is a multiple of this.
        min_channels: least that is kept of a set.
        worth: worth of each group; None for that of `group_worth`.

    Returns:
        set of numbers of groups.
    """
    worth, costs = _checked_worth(groups, worth), group_costs(groups)
    steps, num_free = [], 0
    for number, members in enumerate(_sets_of_groups(groups)):
        free = sorted((one for one in members if one not in groups.fixed), key=worth.__getitem__)
        num_free += len(free)
        least = max(min_channels, math.ceil(len(members) / 2), len(members) - len(free))
        first = len(members) % multiple_of or multiple_of
        ends = [end for end in range(first, len(members) - least + 1, multiple_of)]
        for start, end in itertools.pairwise([0, *ends]):
            part = free[start:end]
            price = sum(worth[one] for one in part) / sum(costs[one] for one in part)
            steps.append((price, number, part))
    removed = set()
    # A set's later steps must not come before its earlier ones: the dearest so far counts.
    dearest = {}
    for index, (price, number, part) in enumerate(steps):
        dearest[number] = max(price, dearest.get(number, 0.0))
        steps[index] = (dearest[number], index, part)
    for _, _, part in sorted(steps):
        if len(removed) + len(part) / 2 > amount * num_free:
            break
        removed.update(part)
    return removed - _last_ones(groups, removed, worth)


def group_costs(groups: ChannelGroups) -> dict[int, float]:
    """Count the weights of convolutions that each group of channels removes, `{group: weights}`.

    Args:
        groups: `ChannelGroups`.
    """
    costs, seen = {}, set()
    for call in groups.graph.calls:
        layer = call.operation
        kernel = getattr(layer, "pointwise_kernel", None)
        kernel = getattr(layer, "kernel", None) if kernel is None else kernel
        if id(layer) in seen or kernel is None:
            continue
        seen.add(id(layer))
        size = math.prod(kernel.shape)
        sides = [call.outputs[0]]
        if not isinstance(layer, layers.DepthwiseConv2D):
            sides.append(call.inputs[0])
        for tensor in sides:
            channels = groups.of(tensor).tolist()
            for group in channels:
                costs[group] = costs.get(group, 0.0) + size / len(channels)
    return costs


def _checked_worth(groups: ChannelGroups, worth: Any) -> dict[int, float]:
    """Return the worth of every group, `{group: worth}`."""
    if worth is None:
        return group_worth(groups)
    worth = np.asarray(worth, "float64")
    if worth.shape != (groups.count,):
        raise InvalidValueError(
            f"`worth` must have a number for each of the {groups.count} groups of channels: "
            "estimate it on the model that is pruned. Received: "
            f"an array of shape {worth.shape}"
        )
    return dict(enumerate(worth.tolist()))


def group_worth(groups: ChannelGroups) -> dict[int, float]:
    """Compute the worth of every group by norms, `{group: worth}`; see `prune_channels`.

    Args:
        groups: `ChannelGroups`.
    """
    made, handed_on, seen = {}, {}, set()
    for call in groups.graph.calls:
        layer = call.operation
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        if isinstance(layer, layers.DepthwiseConv2D):
            norms = _norms(layer.kernel, groups.graph, call)
            for group, norm in zip(groups.of(call.outputs[0]), norms, strict=True):
                handed_on[group] = handed_on.get(group, 1.0) * norm
        elif hasattr(layer, "kernel") or hasattr(layer, "pointwise_kernel"):
            kernel = getattr(layer, "pointwise_kernel", None)
            norms = _norms(layer.kernel if kernel is None else kernel, groups.graph, call)
            for group, norm in zip(groups.of(call.outputs[0]), norms, strict=True):
                made.setdefault(group, []).append(norm)
    return {
        group: float(np.mean(norms)) * handed_on.get(group, 1.0) for group, norms in made.items()
    }


def _norms(kernel: Any, graph: FlatGraph, call: Call) -> np.ndarray:
    """Compute the norm of each filter, with BatchNorm's scale, as a share of the layer's mean."""
    kernel = ops.convert_to_numpy(kernel)
    rows = kernel.reshape(-1, call.outputs[0].shape[-1])
    norms = np.sqrt(np.sum(rows.astype("float64") ** 2, axis=0))
    following = graph.only_consumer(call.outputs[0])
    norm = None if following is None else following.operation
    if isinstance(norm, layers.BatchNormalization):
        scale = 1.0 if norm.gamma is None else np.abs(ops.convert_to_numpy(norm.gamma))
        norms = norms * scale / np.sqrt(ops.convert_to_numpy(norm.moving_variance) + norm.epsilon)
    return norms / max(float(norms.mean()), 1e-12)


def _sets_of_groups(groups: ChannelGroups) -> list[set[int]]:
    """Join the groups that layers share, directly or through other layers."""
    sets = []
    for call in groups.makers():
        members = set(groups.made_by(call.operation).tolist())
        joined = [one for one in sets if one & members]
        sets = [one for one in sets if not one & members]
        sets.append(members.union(*joined))
    return sets


def _last_ones(groups: ChannelGroups, removed: Any, worth: Any) -> set[int]:
    """List the groups that must stay so that every tensor keeps a channel."""
    saved = set()
    for call in groups.graph.calls:
        for tensor in call.outputs:
            present = set(groups.of(tensor).tolist())
            if present and present <= removed - saved:
                saved.add(max(present, key=lambda group: worth.get(group, 0.0)))
    return saved
