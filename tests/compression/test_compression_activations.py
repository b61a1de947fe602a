"""Activations are replaced where they are asked for, weights stay, files load."""

import keras
import numpy as np
import pytest

import keras_hkd
from keras_hkd.compression import replace_activations


@pytest.fixture(scope="module")
def rtmdet():
    from keras_hkd.detectors.rtmdet import RTMDet, RTMDetConfig, rtmdet_network

    config = RTMDetConfig(num_classes=1, width=0.125, pyramid_channels=16, num_head_convs=1)
    return RTMDet(rtmdet_network(config), class_names=("person",), image_size=(64, 64))


def activations(detector):
    return {
        layer.name: layer.activation.__name__
        for layer in detector.network.layers
        if isinstance(layer, keras.layers.Activation)
    }


def test_only_named_layers_change_and_weights_stay(rtmdet):
    before = activations(rtmdet)
    changed = replace_activations(rtmdet, "relu6", where=lambda name: name.startswith("stem"))
    assert activations(rtmdet) == before
    assert type(changed) is type(rtmdet)
    for name, activation in activations(changed).items():
        assert activation == ("relu6" if name.startswith("stem") else before[name])
    for old, new in zip(rtmdet.get_weights(), changed.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


def test_a_large_offset_makes_both_activations_agree(rtmdet, batch):
    changed = replace_activations(rtmdet, "relu", where=lambda name: name == "stem1_activation")
    for detector in (changed, rtmdet.over(keras.models.clone_model(rtmdet.network))):
        detector.network.set_weights(rtmdet.network.get_weights())
    # Where its input is large SiLU is what ReLU is: x * sigmoid(x) = x to 1e-6 from x = 20 on.
    changed.network.get_layer("stem1_norm").beta.assign_add(1000.0 * np.ones(4))
    plain = rtmdet.over(keras.models.clone_model(rtmdet.network))
    plain.network.set_weights(changed.network.get_weights())
    one, other = (model.network(batch[0])["class_logits"] for model in (changed, plain))
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_one_of_keras_cv_is_saved_and_loaded(student, batch, tmp_path):
    old = "swish" if "swish" in activations(student).values() else "silu"
    changed = replace_activations(student, "relu", old=old)
    changed.save(tmp_path / "student.keras")
    again = keras_hkd.load_detector(tmp_path / "student.keras")
    assert "silu" not in activations(again).values()
    for one, other in zip(
        keras.tree.flatten(changed(batch[0])), keras.tree.flatten(again(batch[0])), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", [{"old": "tanh"}, {"where": lambda name: False}])
def test_nothing_to_replace_is_refused(rtmdet, options):
    with pytest.raises(ValueError, match="No activation layer"):
        replace_activations(rtmdet, **options)


def test_an_unknown_activation_is_refused(rtmdet):
    with pytest.raises(ValueError, match="nonsense"):
        replace_activations(rtmdet, "nonsense")
