"""Fewer channels and int8: RTMDet's gates, shared heads, pools and joins are followed through."""

import numpy as np
import pytest
from keras import layers, ops

import keras_hkd
from keras_hkd.compression import gradient_worth, is_quantized
from keras_hkd.compression.channel_groups import ChannelGroups
from keras_hkd.compression.channel_pruning import least_groups
from keras_hkd.compression.channel_removal import network_without
from keras_hkd.data import synthetic_dataset, training_batches
from keras_hkd.detectors.rtmdet import RTMDet
from keras_hkd.export import tflite_file
from keras_hkd.export.raw_heads import keras_heads

SIZE = (64, 96)
HEADS = ("class_logits", "box_outputs")


def silence(groups, removed):
    """Makes channels zero wherever they are made or handed on; gates are left to themselves."""
    for call in groups.graph.calls:
        layer, off = call.operation, np.isin(groups.of(call.outputs[0]), list(removed))
        if "attention" in layer.name:
            continue
        for name in ("kernel", "bias", "gamma", "beta", "moving_mean"):
            weight = getattr(layer, name, None)
            if weight is None:
                continue
            values = ops.convert_to_numpy(weight).copy()
            if isinstance(layer, layers.DepthwiseConv2D) and name == "kernel":
                values[:, :, off] = 0.0
            else:
                values[..., off] = 0.0
            weight.assign(values)


@pytest.mark.parametrize("shared", [False, True], ids=["depthwise", "shared heads"])
def test_without_zero_channels_it_computes_the_same(new_detector, images, shared):
    detector = new_detector(depthwise=not shared, shared_heads=shared)
    groups = ChannelGroups(detector.network)
    removed = least_groups(groups, 0.5, min_channels=1)
    kept = {
        call.operation.name: len(set(groups.made_by(call.operation).tolist()) - removed)
        for call in groups.makers()
    }
    assert kept["stage2_final_conv"] == 16
    assert kept["stage2_attention_conv"] == 16
    assert kept["head_P3_box_predictor"] == 4
    silence(groups, removed)
    smaller = network_without(groups, removed)
    expected, found = detector.network(images), smaller(images)
    for name in HEADS:
        scale = np.abs(expected[name]).max()
        np.testing.assert_allclose(found[name], expected[name], atol=1e-4 * scale)
    assert found["pyramid"]["P3"].shape[-1] == 16
    assert smaller.count_params() < 0.4 * detector.count_params()


@pytest.mark.long
def test_pruned_by_gradient_worth_across_layers(new_detector, images, tmp_path):
    detector = new_detector()
    dataset = synthetic_dataset(num_images=4, image_size=SIZE, seed=0)
    batches = training_batches(dataset, image_size=SIZE, batch_size=2, seed=0)
    worth = gradient_worth(detector, batches, num_batches=2)
    smaller = keras_hkd.prune_channels(detector, 0.3, worth=worth, across_layers=True)
    assert isinstance(smaller, RTMDet)
    assert smaller.count_params() < 0.8 * detector.count_params()
    assert (smaller.image_size, smaller.exponential) == (detector.image_size, False)
    again = keras_hkd.prune_channels(smaller, 0.3)
    again.save(tmp_path / "smaller.keras")
    loaded = keras_hkd.load_detector(tmp_path / "smaller.keras")
    assert loaded.count_params() == again.count_params() < smaller.count_params()
    np.testing.assert_array_equal(loaded(images)["class_logits"], again(images)["class_logits"])


@pytest.mark.long
def test_quantised_it_is_exported_as_integers(new_detector, images, eagerly, labels, tmp_path):
    detector = new_detector()
    clone = keras_hkd.quantize(detector, images)
    assert is_quantized(clone) and not is_quantized(detector)
    before, after = keras_heads(detector, images), keras_heads(clone, images)
    for name in HEADS:
        assert np.std(after[name] - before[name]) < 0.6 * np.std(before[name]), name
    clone.compile("sgd")
    assert np.isfinite(clone.train_on_batch(images, labels, return_dict=True)["loss"])
    clone.save(tmp_path / "clone.keras")
    loaded = keras_hkd.load_detector(tmp_path / "clone.keras")
    assert is_quantized(loaded)
    report = keras_hkd.export_tflite(
        loaded, tmp_path / "clone.tflite", quantization="int8", nms=False
    )
    # Random weights enlarge what XNNPACK rounds the other way; trained ones do not.
    assert max(report.head_errors.values()) < 0.5
    assert tflite_file.float_operators(tflite_file.read_model(report.path)) == []
    assert "HARD_SWISH" not in report.operators
