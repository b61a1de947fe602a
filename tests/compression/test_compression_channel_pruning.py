import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_hkd
from keras_hkd.compression.channel_groups import ChannelGroups
from keras_hkd.compression.channel_pruning import least_groups
from keras_hkd.compression.channel_removal import network_without

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")


def normed(x):
    return layers.BatchNormalization()(x)


def residual_network():
    """Chains, a residual, a depthwise, a concatenation, a split and heads that two maps share."""
    keras.utils.set_random_seed(1)
    images = keras.Input((16, 16, 3))
    x = layers.Rescaling(1 / 255)(images)
    x = layers.Activation("swish")(normed(layers.Conv2D(8, 3, padding="same", name="stem")(x)))
    y = layers.ReLU()(normed(layers.DepthwiseConv2D(3, padding="same", name="depth")(x)))
    x = layers.Add()([x, normed(layers.Conv2D(8, 1, name="back")(y))])
    x = ops.concatenate([x, layers.Conv2D(4, 1, activation="relu", name="side")(x)], axis=-1)
    first, second = ops.split(layers.Conv2D(12, 1, name="wide")(x), 2, axis=-1)
    hidden = layers.SeparableConv2D(6, 3, padding="same", activation="relu", name="hidden")
    head = layers.Conv2D(4, 1, name="head")
    levels = [layers.Reshape((-1, 2))(head(hidden(level))) for level in (first, second)]
    network = keras.Model(images, {"class_logits": ops.concatenate(levels, axis=1), "pyramid": x})
    generator = np.random.default_rng(3)
    for weight in network.weights:  # no bias, mean or shift stays 0
        noise = generator.normal(0.0, 0.2, weight.shape).astype("float32")
        weight.assign(ops.convert_to_numpy(weight) + np.abs(noise))
    return network


def silence(groups, removed):
    """Makes channels zero wherever they are made or handed on."""
    for call in groups.graph.calls:
        layer, off = call.operation, np.isin(groups.of(call.outputs[0]), list(removed))
        for name in ("kernel", "pointwise_kernel", "bias", "gamma", "beta", "moving_mean"):
            weight = getattr(layer, name, None)
            if weight is None:
                continue
            values = ops.convert_to_numpy(weight).copy()
            if isinstance(layer, layers.DepthwiseConv2D) and name == "kernel":
                values[:, :, off] = 0.0
            else:
                values[..., off] = 0.0
            weight.assign(values)


def test_channels_that_are_added_go_together():
    groups = ChannelGroups(residual_network())
    made = {c.operation.name: groups.made_by(c.operation).tolist() for c in groups.makers()}
    assert made["stem"] == made["back"]
    assert not set(made["side"]) & set(made["stem"])
    # One separable kernel reads both halves of the split.
    assert made["wide"][:6] == made["wide"][6:]
    assert set(made["head"]) <= groups.fixed


def test_without_zero_channels_the_network_says_the_same():
    network = residual_network()
    groups = ChannelGroups(network)
    removed = least_groups(groups, 0.5, min_channels=1)
    assert removed and not removed & groups.fixed
    silence(groups, removed)
    smaller = network_without(groups, removed)
    expected, received = network(IMAGES), smaller(IMAGES)
    np.testing.assert_allclose(received["class_logits"], expected["class_logits"], atol=1e-4)
    assert received["pyramid"].shape[-1] == 6
    assert smaller.get_layer("stem").kernel.shape == (3, 3, 3, 4)
    assert smaller.get_layer("depth").kernel.shape == (3, 3, 4, 1)
    assert smaller.get_layer("wide").kernel.shape == (1, 1, 6, 6)


def test_the_zero_channels_are_the_ones_that_go():
    network = residual_network()
    groups = ChannelGroups(network)
    silent = set(groups.made_by(network.get_layer("stem"))[[1, 4, 6, 7]].tolist())
    silence(groups, silent)
    assert silent <= least_groups(groups, 0.5, min_channels=1)


def test_kept_in_multiples():
    groups = ChannelGroups(residual_network())
    removed = least_groups(groups, 0.6, multiple_of=4, min_channels=1)
    kept = {
        call.operation.name: len(set(groups.made_by(call.operation).tolist()) - removed)
        for call in groups.makers()
    }
    assert (kept["stem"], kept["side"], kept["hidden"]) == (4, 4, 4)


@pytest.mark.slow
def test_a_detector_becomes_smaller_and_is_read_back(student, batch, tmp_path):
    images, _ = batch
    smaller = keras_hkd.prune_channels(student, 0.5)
    assert smaller.count_params() < 0.4 * student.count_params()
    before, after = student(images), smaller(images)
    for name in ("class_logits", "box_outputs"):
        assert after[name].shape == before[name].shape
    for level, maps in after["pyramid"].items():
        assert maps.shape[-1] == before["pyramid"][level].shape[-1] // 2
    smaller.save(tmp_path / "smaller.keras")
    loaded = keras_hkd.load_detector(tmp_path / "smaller.keras")
    np.testing.assert_array_equal(loaded(images)["class_logits"], after["class_logits"])


def test_refuses_what_it_cannot_do(student, quantized):
    with pytest.raises(ValueError, match="above 0 and below 1"):
        keras_hkd.prune_channels(student, 1.0)
    with pytest.raises(ValueError, match="`min_channels` must be"):
        keras_hkd.prune_channels(student, 0.5, min_channels=0)
    with pytest.raises(ValueError, match="prune the float student first"):
        keras_hkd.prune_channels(quantized, 0.5)


@pytest.mark.slow
def test_some_classes_of_a_pruned_detector_keep_what_it_has_learned(tmp_path):
    options = {"image_size": (64, 64), "class_names": ("car", "person"), "seed": 0}
    pruned = keras_hkd.prune_channels(keras_hkd.detectors.build("retinanet_micro", **options), 0.2)
    assert type(pruned) is keras_hkd.detectors.RetinaNet
    for weight in pruned.trainable_weights:
        weight.assign(weight * 1.1)
    person = keras_hkd.as_detector(pruned, class_names=("person",))
    person.save(tmp_path / "person.keras")
    images = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype("float32")
    expected = ops.convert_to_numpy(pruned(images)["class_logits"])[..., 1:]
    for found in (person, keras_hkd.load_detector(tmp_path / "person.keras")):
        assert found.count_params() == pruned.count_params()
        np.testing.assert_allclose(found(images)["class_logits"], expected, atol=1e-5)
