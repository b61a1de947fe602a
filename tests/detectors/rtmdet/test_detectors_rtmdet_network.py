"""The network: sizes of the paper, parts from the config, shapes of its outputs."""

import keras
import numpy as np
import pytest

from keras_hkd.detectors.rtmdet import SIZES, RTMDetConfig, rtmdet_network
from keras_hkd.detectors.rtmdet.network import network_in_order

# Trainable parameters of 80 classes in millions, as published; of nano nobody says.
PUBLISHED = {"tiny": 4.9, "s": 8.89, "m": 24.71, "l": 52.3, "x": 94.9}
SMALL = {"width": 0.125, "depth": 0.167, "pyramid_channels": 16, "num_classes": 2}


def trainable(network):
    return sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)


@pytest.mark.parametrize(
    "size",
    [
        *("tiny", "s", pytest.param("m", marks=pytest.mark.slow)),
        *(pytest.param(one, marks=pytest.mark.long) for one in "lx"),
    ],
)
def test_sizes_have_the_published_parameters(size):
    millions = trainable(rtmdet_network(SIZES[size])) / 1e6
    digits = len(str(PUBLISHED[size]).partition(".")[2])
    assert round(millions, digits) == PUBLISHED[size]


def test_nano_of_one_class_has_as_many_numbers_as_its_published_file():
    network = rtmdet_network(RTMDetConfig(num_classes=1))
    norms = [one for one in network.layers if isinstance(one, keras.layers.BatchNormalization)]
    # Folded, the four numbers of each channel of BatchNorm become one bias.
    channels = sum(norm.gamma.shape[0] for norm in norms)
    assert network.count_params() - 3 * channels == 985_927


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"depthwise": False, "shared_heads": True, "num_neck_blocks": 2},
        {"depthwise": False, "channel_attention": False, "num_head_convs": 3},
    ],
    ids=["nano", "tiny", "no attention"],
)
def test_parts_of_the_config(parts):
    config = RTMDetConfig(**{**SMALL, **parts})
    network, names = network_in_order(config)
    assert len(names) == config.num_convolutions
    layers = [layer.name for layer in network.layers]
    assert any("_attention" in name for name in layers) is config.channel_attention
    outputs = network(np.zeros((2, 64, 96, 3), "float32"))
    for level, (height, width) in {"P3": (8, 12), "P4": (4, 6), "P5": (2, 3)}.items():
        assert outputs["pyramid"][level].shape == (2, height, width, 16)
        assert outputs["class_tower"][level].shape == (2, height, width, 16)
    points = 8 * 12 + 4 * 6 + 2 * 3
    assert outputs["class_logits"].shape == (2, points, 2)
    assert outputs["box_outputs"].shape == (2, points, 4)
    scores = keras.ops.sigmoid(outputs["class_logits"])
    assert 0.003 < float(keras.ops.mean(scores)) < 0.03, "starts from the prior probability"


def test_shared_heads_have_one_kernel_and_a_batch_norm_for_each_level():
    shared = rtmdet_network(RTMDetConfig(**SMALL, depthwise=False, shared_heads=True))
    apart = rtmdet_network(RTMDetConfig(**SMALL, depthwise=False))
    kernel = 3 * 3 * 16 * 16
    assert apart.count_params() - shared.count_params() == 2 * 2 * 2 * kernel
    norms = [
        one.name for one in shared.layers if one.name.startswith("head_") and "norm" in one.name
    ]
    assert len(norms) == 2 * 2 * 3


def test_pixels_are_brought_to_the_published_scale():
    network = rtmdet_network(RTMDetConfig(**SMALL))
    rescaled = keras.Model(network.input, network.get_layer("rescaling").output)
    pixels = np.array([123.675, 116.28, 103.53], "float32") + np.array([58.395, 0.0, -57.375])
    found = rescaled(np.broadcast_to(pixels, (1, 32, 32, 3)).astype("float32"))
    np.testing.assert_allclose(found[0, 5, 7], [1.0, 0.0, -1.0], atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"width": 0.0}, "`width` must be a finite number above 0. Received: 0.0"),
        ({"depth": -1}, "`depth` must be a finite number above 0"),
        ({"num_classes": 0}, "`num_classes` must be a whole number of at least 1. Received: 0"),
        ({"pyramid_channels": 7.5}, "`pyramid_channels` must be a whole number"),
        ({"shared_heads": True}, "depthwise=False.*Received: depthwise=True, shared_heads=True"),
    ],
)
def test_refuses_a_config_out_of_range(wrong, told):
    with pytest.raises(ValueError, match=told):
        RTMDetConfig(**wrong)
