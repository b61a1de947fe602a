"""A network is saved in a few numbers where they say all of it, and layer by layer elsewhere."""

import json
import random
import zipfile

import keras
import numpy as np
import pytest

import keras_hkd
from keras_hkd.batch_norm import synchronize_batch_norm
from keras_hkd.detectors.rtmdet import RTMDet, RTMDetConfig, rtmdet_network
from keras_hkd.detectors.rtmdet.config import SIZES
from keras_hkd.detectors.rtmdet.recognition import config_of, is_synchronized

SMALL = {"width": 0.125, "depth": 0.167, "pyramid_channels": 16, "num_classes": 2}


def saved_config(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))["config"]


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"depthwise": False, "shared_heads": True, "num_neck_blocks": 2, "activation": "relu6"},
        {"depthwise": False, "channel_attention": False, "num_head_convs": 3, "depth": 0.67},
        {"channels": {"stage2_short_conv": 5, "neck_out4_pointwise_conv": 12}},
    ],
    ids=["nano", "tiny", "no attention", "other channels"],
)
def test_the_config_is_read_off_the_network(parts):
    config = RTMDetConfig(**{**SMALL, **parts})
    assert config_of(rtmdet_network(config)) == config


def test_every_size_of_the_paper_is_recognised_by_its_depth():
    for config in (SIZES["nano"], SIZES["s"]):
        assert config_of(rtmdet_network(config)) == config


def test_looking_draws_no_random_numbers():
    network = rtmdet_network(RTMDetConfig(**SMALL, activation="gelu"))
    random.seed(3)
    before = random.getstate()
    assert config_of(network) is not None
    assert random.getstate() == before


@pytest.mark.parametrize(
    "shared",
    [pytest.param(False, marks=pytest.mark.long), True],
    ids=["depthwise", "shared heads"],
)
def test_a_pruned_detector_is_saved_shortly_and_comes_back_bit_for_bit(
    new_detector, images, tmp_path, shared
):
    detector = new_detector(depthwise=not shared, shared_heads=shared)
    pruned = keras_hkd.prune_channels(detector, 0.3)
    pruned.save(tmp_path / "pruned.keras")
    config = saved_config(tmp_path / "pruned.keras")["network"]
    assert config["registered_name"] == "keras_hkd>RTMDetConfig"
    assert config["config"]["channels"]
    assert len(json.dumps(config)) < 5000
    loaded = keras_hkd.load_detector(tmp_path / "pruned.keras")
    for mine, its in zip(loaded.weights, pruned.weights, strict=True):
        np.testing.assert_array_equal(mine, its)
    found, expected = loaded(images), pruned(images)
    for mine, its in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
        np.testing.assert_array_equal(mine, its)


def test_statistics_over_all_replicas_are_saved_in_a_word(new_detector, tmp_path):
    detector = new_detector()
    synchronize_batch_norm(detector)
    detector.save(tmp_path / "d.keras")
    config = saved_config(tmp_path / "d.keras")
    assert config["network"]["registered_name"] == "keras_hkd>RTMDetConfig"
    loaded = keras_hkd.load_detector(tmp_path / "d.keras")
    assert is_synchronized(loaded.network)
    for mine, its in zip(loaded.weights, detector.weights, strict=True):
        np.testing.assert_array_equal(mine, its)
    detector.network.get_layer("stem1_norm").synchronized = False
    assert config_of(detector.network) is None


def replaced_activation(network):
    network.get_layer("stem2_activation").activation = keras.activations.relu


def other_momentum(network):
    network.get_layer("stem1_norm").momentum = 0.5


@pytest.mark.parametrize("change", [replaced_activation, other_momentum])
def test_another_network_is_saved_layer_by_layer(change, images, tmp_path):
    network = rtmdet_network(RTMDetConfig(**SMALL))
    change(network)
    assert config_of(network) is None
    detector = RTMDet(network, class_names=("person", "dog"), image_size=(64, 64))
    detector.save(tmp_path / "other.keras")
    assert saved_config(tmp_path / "other.keras")["network"]["class_name"] == "Functional"
    loaded = keras_hkd.load_detector(tmp_path / "other.keras")
    np.testing.assert_array_equal(loaded(images)["class_logits"], detector(images)["class_logits"])


def test_any_other_model_is_none():
    inputs = keras.Input((8, 8, 3))
    assert config_of(keras.Model(inputs, keras.layers.Conv2D(1, 1)(inputs))) is None


def test_a_file_of_before_which_lists_layers_is_read(small_detector, images, tmp_path):
    config = small_detector.get_config()
    del config["dtype_policy"]
    config["network"] = keras.saving.serialize_keras_object(small_detector.model)
    copy = RTMDet.from_config(json.loads(json.dumps(config)))
    copy.set_weights(small_detector.get_weights())
    np.testing.assert_array_equal(
        copy(images)["class_logits"], small_detector(images)["class_logits"]
    )


def test_the_precision_is_that_of_the_network_and_not_of_the_reader(small_detector, new_detector):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        copy = RTMDet.from_config(small_detector.get_config())
        half = new_detector()
    finally:
        keras.config.set_dtype_policy("float32")
    assert copy.network.get_layer("stem1_conv").compute_dtype == "float32"
    assert half.get_config()["dtype_policy"] == "mixed_bfloat16"
    again = RTMDet.from_config(half.get_config())
    assert again.network.get_layer("stem1_conv").compute_dtype == "bfloat16"


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ({"stage1_finel_conv": 8}, "Did you mean 'stage1_final_conv'"),
        ({"head_P3_class_predictor": 8}, "Received: 'head_P3_class_predictor'"),
        ({"stage1_block1_second_pointwise_conv": 3}, "Received: 3 behind, 8 before"),
        ({"stage1_final_conv": 0}, r"channels\['stage1_final_conv'\]"),
    ],
)
def test_channels_that_fit_no_network_are_refused(channels, message):
    with pytest.raises(ValueError, match=message):
        rtmdet_network(RTMDetConfig(**SMALL, channels=channels))
