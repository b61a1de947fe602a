"""The configuration of an RTMDet network, and the sizes of the paper."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras

from keras_hkd.checks import positive, whole
from keras_hkd.errors import InvalidValueError

__all__ = ["RTMDetConfig"]


@keras.saving.register_keras_serializable(package="keras_hkd")
@dataclasses.dataclass(frozen=True, kw_only=True)
class RTMDetConfig:
    """Describes an RTMDet network, one with channels removed too.

    Args:
        depth: factor on the number of blocks of each stage (3, 6, 6 and 3).
        width: factor on the number of channels of each stage (64 to 1024).
        pyramid_channels: channels of P3, P4 and P5, and of the heads.
        num_neck_blocks: blocks in each stage of the neck.
        depthwise: whether 3x3 convolutions are depthwise with a pointwise one behind.
        channel_attention: whether backbone stages weigh their channels.
        num_head_convs: convolutions of each head before its predictor.
        shared_heads: whether the levels share the convolutions of their heads, each level with
            BatchNorm of its own.
        exponential: whether box distances pass through an exponential, as in the sizes m to x.
        num_classes: number of classes.
        activation: activation function of every convolution, a name that Keras knows.
        channels: `{layer: channels}` of convolutions that have another number than follows from
            `width` and `pyramid_channels`, as a pruned network does.

    Raises:
        ValueError: a number out of range.

    Example:

    >>> RTMDetConfig(num_classes=1).stage_channels
    (16, 32, 64, 128, 256)
    """

    depth: float = 0.33
    width: float = 0.25
    pyramid_channels: int = 64
    num_neck_blocks: int = 1
    depthwise: bool = True
    channel_attention: bool = True
    num_head_convs: int = 2
    shared_heads: bool = False
    exponential: bool = False
    num_classes: int = 80
    activation: str = "silu"
    channels: Mapping[str, int] = dataclasses.field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", dict(self.channels))
        for layer, number in self.channels.items():
            whole(f"channels[{layer!r}]", number, low=1)
        for name in ("depth", "width"):
            positive(name, getattr(self, name))
        for name in ("pyramid_channels", "num_neck_blocks", "num_head_convs", "num_classes"):
            whole(name, getattr(self, name), low=1)
        if self.depthwise and self.shared_heads:
            raise InvalidValueError(
                "`shared_heads` share full convolutions: pass depthwise=False, or "
                "shared_heads=False. Received: depthwise=True, shared_heads=True"
            )

    def get_config(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> RTMDetConfig:
        return cls(**config)

    @property
    def stage_channels(self) -> tuple[int, ...]:
        """Channels of the stem and of the four stages."""
        return tuple(int(channels * self.width) for channels in (64, 128, 256, 512, 1024))

    @property
    def stage_blocks(self) -> tuple[int, ...]:
        """Blocks of the four stages."""
        return tuple(max(round(blocks * self.depth), 1) for blocks in (3, 6, 6, 3))

    @property
    def head_length(self) -> int:
        """Convolutions of one head of one level, its predictor too."""
        return self.num_head_convs * (2 if self.depthwise else 1) + 1

    @property
    def num_convolutions(self) -> int:
        """Convolutions that one image runs through; those that levels share count for each."""
        unit = 2 if self.depthwise else 1  # of a 3x3 convolution
        block = unit + 2
        stages = 4 * (unit + 3 + int(self.channel_attention)) + sum(self.stage_blocks) * block
        neck = 2 + 4 * (3 + self.num_neck_blocks * block) + 5 * unit
        return 3 + stages + 2 + neck + 6 * self.head_length


SIZES = {
    "nano": RTMDetConfig(),
    "tiny": RTMDetConfig(
        depth=0.167, width=0.375, pyramid_channels=96, depthwise=False, shared_heads=True
    ),
    "s": RTMDetConfig(width=0.5, pyramid_channels=128, depthwise=False, shared_heads=True),
    "m": RTMDetConfig(
        depth=0.67,
        width=0.75,
        pyramid_channels=192,
        num_neck_blocks=2,
        depthwise=False,
        shared_heads=True,
        exponential=True,
    ),
    "l": RTMDetConfig(
        depth=1.0,
        width=1.0,
        pyramid_channels=256,
        num_neck_blocks=3,
        depthwise=False,
        shared_heads=True,
        exponential=True,
    ),
    "x": RTMDetConfig(
        depth=1.33,
        width=1.25,
        pyramid_channels=320,
        num_neck_blocks=4,
        depthwise=False,
        shared_heads=True,
        exponential=True,
    ),
}
"""The sizes of the paper, by name."""
