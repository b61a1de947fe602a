"""What is read out of a functional classifier, however it is put together."""

import keras
import numpy as np
import pytest

from keras_hkd.classifiers.network import read_network


def test_outputs_are_those_of_the_models_own_layers(raw, images):
    model = raw()
    network, activation = read_network(model)
    outputs = network(images)
    np.testing.assert_array_equal(outputs["logits"], model(images))
    assert activation == "softmax"
    assert list(outputs["stages"]) == ["C1", "C2", "C3"]
    for level, name in {"C1": "relu0", "C2": "relu1", "C3": "relu2"}.items():
        wanted = keras.Model(model.inputs, model.get_layer(name).output)(images)
        np.testing.assert_array_equal(outputs["stages"][level], wanted)
    pooled = keras.Model(model.inputs, model.get_layer("pool").output)(images)
    np.testing.assert_array_equal(outputs["embedding"], pooled)
    assert {id(v) for v in network.variables} == {id(v) for v in model.variables}


@pytest.mark.parametrize("options", [{"nested": True}, {"sequential": True}])
def test_models_within_models_and_sequential_ones_are_read_alike(raw, images, options):
    wanted, _ = read_network(raw())
    network, _ = read_network(raw(**options))
    for a, b in zip(
        keras.tree.flatten(wanted(images)), keras.tree.flatten(network(images)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("name", ["softmax", "sigmoid"])
def test_an_activation_is_taken_off_and_the_model_keeps_it(raw, images, name):
    model = raw(activation=name)
    network, activation = read_network(model)
    assert activation == name
    logits = network(images)["logits"]
    np.testing.assert_allclose(logits, raw()(images), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(getattr(keras.ops, name)(logits), model(images), rtol=1e-5)


def test_a_softmax_layer_of_its_own_is_taken_off(raw, images):
    model = raw()
    for layer in (keras.layers.Softmax(), keras.layers.Activation("softmax")):
        network, activation = read_network(keras.Model(model.inputs, layer(model.output)))
        np.testing.assert_array_equal(network(images)["logits"], model(images))
        assert activation == "softmax"


def test_strides_of_mobilenet_are_read_where_detectors_read_them():
    base = keras.applications.MobileNetV2((None, None, 3), 0.35, include_top=False, weights=None)
    inputs = keras.Input((None, None, 3))
    x = keras.layers.GlobalAveragePooling2D()(base(inputs))
    network, _ = read_network(keras.Model(inputs, keras.layers.Dense(2)(x)))
    made_by = {
        level: network.get_layer(tensor._keras_history.operation.name).name
        for level, tensor in network.output["stages"].items()
    }
    assert made_by == {
        "C2": "block_3_expand_relu",
        "C3": "block_6_expand_relu",
        "C4": "block_13_expand_relu",
        "C5": "out_relu",
    }


def test_models_without_maps_have_no_stages():
    inputs = keras.Input((8, 8, 3))
    network, _ = read_network(
        keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs)))
    )
    assert network.output["stages"] == {}


def refused(kind):
    images = keras.Input((16, 16, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(images)
    return {
        "vector input": lambda: keras.Model(v := keras.Input((4,)), keras.layers.Dense(2)(v)),
        "grey images": lambda: keras.Model(
            g := keras.Input((16, 16, 1)),
            keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(g)),
        ),
        "maps": lambda: keras.Model(images, keras.layers.Conv2D(4, 3)(images)),
        "dense over maps": lambda: keras.Model(images, keras.layers.Dense(4)(images)),
        "no dense": lambda: keras.Model(images, pooled),
        "relu": lambda: keras.Model(images, keras.layers.Dense(2, activation="relu")(pooled)),
        "two outputs": lambda: keras.Model(
            images, [keras.layers.Dense(2)(pooled), keras.layers.Dense(2)(pooled)]
        ),
    }[kind]()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("vector input", "one input, images of shape"),
        ("grey images", "one input, images of shape"),
        ("maps", "must end in a Dense layer"),
        ("dense over maps", "must end in a Dense layer"),
        ("no dense", "must end in a Dense layer.*GlobalAveragePooling2D"),
        ("relu", "Received: the activation 'relu'"),
        ("two outputs", "one output.*2 outputs"),
    ],
)
def test_other_models_are_refused(kind, message):
    with pytest.raises(ValueError, match=message):
        read_network(refused(kind))


@pytest.mark.parametrize("model", [keras.Sequential(), "resnet", keras.layers.Dense(2)])
def test_what_is_not_functional_is_refused(model):
    with pytest.raises(TypeError, match="Expected a functional keras.Model"):
        read_network(model)
