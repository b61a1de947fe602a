"""The network of RTMDet: CSPNeXt backbone, path aggregation neck and decoupled heads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from keras_hkd.detectors.rtmdet.config import RTMDetConfig
from keras_hkd.errors import InvalidValueError
from keras_hkd.messages import did_you_mean
from keras_hkd.tensors import Tensor

LEVELS = ("P3", "P4", "P5")
PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_DEVIATION = (58.395, 57.12, 57.375)
PRIOR_BIAS = math.log(0.01 / 0.99)
BATCH_NORM_EPSILON = 1e-5  # of the published networks, as is the momentum
BATCH_NORM_MOMENTUM = 0.9


def rtmdet_network(config: RTMDetConfig) -> keras.Model:
    """Build the network with random weights.

    Args:
        config: the sizes of its parts.

    Returns:
        A functional model from RGB images `(batch, height, width, 3)` in [0, 255] to a dict of
        `pyramid` and `class_tower` (level -> map), `class_logits (batch, points, classes)` and
        `box_outputs (batch, points, 4)`: left, top, right, bottom from the point in units of the
        stride, before the exponential where there is one.

    Raises:
        ValueError: `channels` name no convolution of it, or do not fit each other.

    Example:

    >>> network = rtmdet_network(RTMDetConfig(num_classes=1))
    >>> sorted(network.output)
    ['box_outputs', 'class_logits', 'class_tower', 'pyramid']

    Reference:
        Lyu et al., https://arxiv.org/abs/2212.07784.
    """
    return network_in_order(config)[0]


def network_in_order(config: RTMDetConfig) -> tuple[keras.Model, list[str]]:
    """Build the network; also return the names of its convolutions in the published order."""
    network, blocks = network_and_blocks(config)
    return network, blocks.convolutions


def network_and_blocks(config: RTMDetConfig) -> tuple[keras.Model, Blocks]:
    """Build the network; also return its `Blocks`, which know how it was built."""
    images = keras.Input((None, None, 3), name="images")
    x = layers.Rescaling(
        [1 / deviation for deviation in PIXEL_DEVIATION],
        [-mean / deviation for mean, deviation in zip(PIXEL_MEAN, PIXEL_DEVIATION, strict=True)],
        name="rescaling",
    )(images)
    blocks = Blocks(config)
    pyramid = blocks.neck(blocks.backbone(x))
    towers, logits, boxes = blocks.heads(pyramid)
    blocks.check_names()
    network = keras.Model(
        images,
        {
            "pyramid": dict(zip(LEVELS, pyramid, strict=True)),
            "class_tower": dict(zip(LEVELS, towers, strict=True)),
            "class_logits": layers.Concatenate(axis=1, name="class_logits")(logits),
            "box_outputs": layers.Concatenate(axis=1, name="box_outputs")(boxes),
        },
        name="network",
    )
    return network, blocks


class Blocks:
    """The parts of the network; layers are named after their place.

    Attributes:
        convolutions: names of the convolutions in the order in which they run.
        usual_channels: of convolutions that `channels` may name, how many they have without it.
    """

    def __init__(self, config: RTMDetConfig) -> None:
        self.config = config
        self.convolutions: list[str] = []
        self.usual_channels: dict[str, int] = {}

    def _run(self, layer: Any, x: Tensor) -> Tensor:
        self.convolutions.append(layer.name)
        return layer(x)

    def conv(
        self, x: Tensor, filters: int, size: Any, stride: int, name: str, layer: Any = None
    ) -> Tensor:
        """Apply convolution, BatchNorm and activation; `layer` is a convolution made before."""
        if layer is None:
            layer = self._convolution(filters, size, stride, f"{name}_conv")
        return self._normalized(self._run(layer, _padded(x, size, stride, name)), name)

    def _convolution(self, filters: int, size: int, stride: int, name: str) -> layers.Conv2D:
        self.usual_channels[name] = filters
        filters = self.config.channels.get(name, filters)
        return layers.Conv2D(filters, size, stride, _padding(stride), use_bias=False, name=name)

    def check_names(self) -> None:
        """Refuse channels of a convolution that the network does not have."""
        for name in set(self.config.channels) - set(self.usual_channels):
            raise InvalidValueError(
                "`channels` must name convolutions of the network whose number of channels is "
                f"free.{did_you_mean(name, self.usual_channels)} Received: {name!r}"
            )

    def depthwise(self, x: Tensor, size: Any, stride: int, name: str) -> Tensor:
        """Apply depthwise convolution, BatchNorm and activation."""
        layer = layers.DepthwiseConv2D(
            size, stride, _padding(stride), use_bias=False, name=f"{name}_conv"
        )
        return self._normalized(self._run(layer, _padded(x, size, stride, name)), name)

    def separable(self, x: Tensor, filters: int, size: Any, stride: int, name: str) -> Tensor:
        """Apply depthwise and pointwise convolution, each normalised and activated."""
        x = self.depthwise(x, size, stride, f"{name}_depthwise")
        return self.conv(x, filters, 1, 1, f"{name}_pointwise")

    def conv3(self, x: Tensor, filters: int, stride: int, name: str) -> Tensor:
        """Apply a 3x3 convolution, depthwise if the config says so."""
        if self.config.depthwise:
            return self.separable(x, filters, 3, stride, name)
        return self.conv(x, filters, 3, stride, name)

    def _normalized(self, x: Tensor, name: str) -> Tensor:
        norm = layers.BatchNormalization(
            momentum=BATCH_NORM_MOMENTUM, epsilon=BATCH_NORM_EPSILON, name=f"{name}_norm"
        )
        x = norm(x)
        return layers.Activation(self.config.activation, name=f"{name}_activation")(x)

    def csp(
        self, x: Tensor, filters: int, num_blocks: int, name: str, add: bool, attention: bool
    ) -> Tensor:
        """Apply a cross stage partial layer of CSPNeXt blocks."""
        half = filters // 2
        short = self.conv(x, half, 1, 1, f"{name}_short")
        main = self.conv(x, half, 1, 1, f"{name}_main")
        for index in range(num_blocks):
            block = f"{name}_block{index + 1}"
            y = self.conv3(main, half, 1, f"{block}_first")
            y = self.separable(y, half, 5, 1, f"{block}_second")
            if add and y.shape[-1] != main.shape[-1]:
                raise InvalidValueError(
                    f"`channels` must be as many behind '{block}' as before it, for the two are "
                    f"added. Received: {y.shape[-1]} behind, {main.shape[-1]} before"
                )
            main = layers.Add(name=f"{block}_add")([main, y]) if add else y
        x = layers.Concatenate(name=f"{name}_concat")([main, short])
        if attention:
            weights = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(x)
            gate = layers.Conv2D(x.shape[-1], 1, name=f"{name}_attention_conv")
            weights = self._run(gate, weights)
            weights = layers.Activation("hard_sigmoid", name=f"{name}_attention")(weights)
            x = layers.Multiply(name=f"{name}_weighted")([x, weights])
        return self.conv(x, filters, 1, 1, f"{name}_final")

    def backbone(self, x: Tensor) -> list[Tensor]:
        """Run the backbone; returns maps of strides 8, 16 and 32."""
        config = self.config
        first, *channels = config.stage_channels
        x = self.conv(x, first // 2, 3, 2, "stem1")
        x = self.conv(x, first // 2, 3, 1, "stem2")
        x = self.conv(x, first, 3, 1, "stem3")
        maps = []
        for stage, (filters, num_blocks) in enumerate(
            zip(channels, config.stage_blocks, strict=True), start=1
        ):
            name, last = f"stage{stage}", stage == len(channels)
            x = self.conv3(x, filters, 2, f"{name}_down")
            if last:
                x = self._pooled(x, filters, name)
            x = self.csp(x, filters, num_blocks, name, not last, config.channel_attention)
            maps.append(x)
        return maps[1:]

    def _pooled(self, x: Tensor, filters: int, name: str) -> Tensor:
        """Apply spatial pyramid pooling."""
        x = self.conv(x, filters // 2, 1, 1, f"{name}_spp1")
        pooled = [
            layers.MaxPooling2D(size, 1, "same", name=f"{name}_spp_pool{size}")(x)
            for size in (5, 9, 13)
        ]
        x = layers.Concatenate(name=f"{name}_spp_concat")([x, *pooled])
        return self.conv(x, filters, 1, 1, f"{name}_spp2")

    def neck(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Run the neck; returns P3, P4 and P5."""
        fine, middle, coarse = maps
        widths = self.config.stage_channels[2:]
        coarse = self.conv(coarse, widths[1], 1, 1, "neck_reduce5")
        middle = self._join(coarse, middle, widths[1], "neck_down4")
        middle = self.conv(middle, widths[0], 1, 1, "neck_reduce4")
        p3 = self._join(middle, fine, widths[0], "neck_down3")
        p4 = self._join(p3, middle, widths[1], "neck_up4", stride_filters=widths[0])
        p5 = self._join(p4, coarse, widths[2], "neck_up5", stride_filters=widths[1])
        return [
            self.conv3(x, self.config.pyramid_channels, 1, f"neck_out{level}")
            for level, x in zip((3, 4, 5), (p3, p4, p5), strict=True)
        ]

    def _join(
        self, x: Tensor, other: Tensor, filters: int, name: str, stride_filters: int | None = None
    ) -> Tensor:
        """Bring a map to the size of another, by upsampling unless it is strided, and join them."""
        if stride_filters is None:
            x = layers.UpSampling2D(2, interpolation="nearest", name=f"{name}_upsampling")(x)
        else:
            x = self.conv3(x, stride_filters, 2, f"{name}_stride")
        x = layers.Concatenate(name=f"{name}_join")([x, other])
        blocks = self.config.num_neck_blocks
        return self.csp(x, filters, blocks, name, add=False, attention=False)

    def heads(self, pyramid: Sequence[Tensor]) -> tuple[Any, Any, Any]:
        """Run the heads; returns class towers, class logits and box outputs, level by level."""
        config = self.config
        shared, towers, logits, boxes = {}, [], [], []
        # An edge starts one stride away: without overlap there is no target and nothing is learnt.
        distance = 0.0 if config.exponential else 1.0
        for level, x in zip(LEVELS, pyramid, strict=True):
            towers.append(self._tower(x, f"head_{level}_class", shared))
            logits.append(
                self._predicted(towers[-1], config.num_classes, PRIOR_BIAS, f"head_{level}_class")
            )
            tower = self._tower(x, f"head_{level}_box", shared)
            boxes.append(self._predicted(tower, 4, distance, f"head_{level}_box"))
        return towers, logits, boxes

    def _predicted(self, x: Tensor, filters: int, bias: Any, name: str) -> Tensor:
        """Predict `(batch, cells, filters)`, about `bias` before training."""
        predictor = layers.Conv2D(
            filters,
            1,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            bias_initializer=keras.initializers.Constant(bias),
            name=f"{name}_predictor",
        )
        return layers.Reshape((-1, filters), name=f"{name}_cells")(self._run(predictor, x))

    def _tower(self, x: Tensor, name: str, shared: Any) -> Tensor:
        channels = self.config.pyramid_channels
        for index in range(1, self.config.num_head_convs + 1):
            place = f"{name}{index}"
            if not self.config.shared_heads:
                x = self.conv3(x, channels, 1, place)
                continue
            key = (name.rpartition("_")[2], index)
            if key not in shared:
                shared[key] = self._convolution(channels, 3, 1, f"head_{key[0]}{index}_conv")
            x = self.conv(x, channels, 3, 1, place, layer=shared[key])
        return x


def _padding(stride: int) -> str:
    return "same" if stride == 1 else "valid"


def _padded(x: Tensor, size: Any, stride: int, name: str) -> Tensor:
    """Pad evenly, as the published networks do; Keras's "same" pads strided ones below alone."""
    if stride == 1:
        return x
    return layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
