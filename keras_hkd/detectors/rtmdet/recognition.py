"""Recognises the configuration of an RTMDet network, so that few numbers say how it is built."""

from __future__ import annotations

import dataclasses
import functools
import json
import random
import re
from collections.abc import Iterable, Mapping
from typing import Any

import keras
from keras import layers

from keras_hkd.detectors.rtmdet.config import SIZES, RTMDetConfig
from keras_hkd.detectors.rtmdet.network import network_and_blocks

# What a fresh network may have otherwise: values that its weights begin with are overwritten, the
# dtype policy is one for all layers, `synchronized` one for all BatchNorms, and which layers are
# frozen is saved beside the network.
_LEFT_OUT = re.compile(
    r".*_initializer|dtype|synchronized|trainable|build_config|module|registered_name"
)


def config_of(network: keras.Model) -> RTMDetConfig | None:
    """Return a config from which `rtmdet_network` builds a network again, weights aside.

    Args:
        network: a functional model, with or without channels removed.

    Returns:
        The config; None of a network that has other layers, or the same ones set up or connected
        otherwise.

    Example:

    >>> from keras_hkd.detectors.rtmdet.network import rtmdet_network
    >>> config_of(rtmdet_network(RTMDetConfig(num_classes=1))) == RTMDetConfig(num_classes=1)
    True
    """
    if dtype_policy_of(network) is None or is_synchronized(network) is None:
        return None
    try:
        config = _read_off(network)
        plan, usual = _plan_of(json.dumps(config.get_config()))
    except (KeyError, IndexError, AttributeError, TypeError, ValueError):  # another architecture
        return None
    if plan != _plan(network):
        return None
    unusual = {name: number for name, number in config.channels.items() if number != usual[name]}
    return dataclasses.replace(config, channels=unusual)


def dtype_policy_of(network: keras.Model) -> str | None:
    """Return the name of the one dtype policy of all layers; None where they differ."""
    policies = [
        one.dtype_policy for one in network.layers if not isinstance(one, layers.InputLayer)
    ]
    names = {policy.name for policy in policies}
    plain = all(type(policy) is keras.dtype_policies.DTypePolicy for policy in policies)
    return names.pop() if plain and len(names) == 1 else None


def is_synchronized(network: keras.Model) -> bool | None:
    """Tell whether all BatchNorms share statistics over replicas; None where they differ."""
    found = {
        layer.synchronized for layer in network.layers if type(layer) is layers.BatchNormalization
    }
    return found.pop() if len(found) == 1 else None


def _read_off(network: keras.Model) -> RTMDetConfig:
    """Read a config off the names and sizes of layers, whatever else they are."""
    found = {layer.name: layer for layer in network.layers}
    blocks = tuple(
        _highest(found, rf"stage{stage}_block(\d+)_second_depthwise_conv") for stage in (1, 2, 3, 4)
    )
    depths = [size.depth for size in SIZES.values() if size.stage_blocks == blocks]
    return RTMDetConfig(
        depth=depths[0] if depths else blocks[1] / 6,
        width=found["stem3_conv"].filters / 64,
        pyramid_channels=max(tensor.shape[-1] for tensor in network.output["pyramid"].values()),
        num_neck_blocks=_highest(found, r"neck_down4_block(\d+)_second_depthwise_conv"),
        depthwise="stage1_down_depthwise_conv" in found,
        channel_attention="stage1_attention_conv" in found,
        num_head_convs=_highest(found, r"head_P3_class(\d+)(?:_pointwise)?_norm"),
        shared_heads="head_class1_conv" in found,
        num_classes=network.output["class_logits"].shape[-1],
        activation=keras.activations.serialize(found["stem1_activation"].activation),
        channels={
            name: layer.filters
            for name, layer in found.items()
            if type(layer) is layers.Conv2D and not layer.use_bias
        },
    )


def _highest(names: Iterable[str], pattern: str) -> int:
    matches = (re.fullmatch(pattern, name) for name in names)
    return max((int(match[1]) for match in matches if match), default=0)


@functools.lru_cache(maxsize=16)
def _plan_of(config: str) -> tuple[Any, Mapping[str, int]]:
    """Return the plan of the network of a config, and its usual channels by layer."""
    state = random.getstate()  # Keras draws seeds there, which would not be those of the next user
    try:
        network, blocks = network_and_blocks(RTMDetConfig.from_config(json.loads(config)))
    finally:
        random.setstate(state)
    return _plan(network), blocks.usual_channels


def _plan(network: keras.Model) -> str:
    """Write all that decides what a network computes from its weights, and in which order."""
    config = network.get_config()
    # Layers without weights go by their place, for their names may come from a counter; and calls
    # of a layer that several share by what they read, for they may have been made in any order.
    names = {
        layer.name: layer.name if layer.weights else f"layer {place}"
        for place, layer in enumerate(network.layers)
    }
    calls: dict[tuple[str, int], int] = {}

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {
                key: plain(one)
                for key, one in value.items()
                if one is not None and not _LEFT_OUT.fullmatch(key)
            }
        if not isinstance(value, (list, tuple)):
            return names.get(value, value) if isinstance(value, str) else value
        if len(value) == 3 and isinstance(value[0], str):  # a tensor: layer, call, output
            name, call, output = value
            return [names[name], calls[name, call], output]
        return [plain(one) for one in value]

    for layer in config["layers"]:  # each behind those that it reads
        nodes = [json.dumps(plain(node), sort_keys=True) for node in layer["inbound_nodes"]]
        for number, node in enumerate(nodes or [""]):
            calls[layer["name"], number] = sorted(nodes).index(node) if nodes else 0
        layer["inbound_nodes"] = "; ".join(sorted(nodes))
    return json.dumps(plain(config), sort_keys=True)
