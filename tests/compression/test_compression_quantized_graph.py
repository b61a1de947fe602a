import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from keras_hkd.compression import UnsupportedLayerError
from keras_hkd.compression.fake_quantization import ActivationRange
from keras_hkd.compression.quantized_graph import quantized_network
from keras_hkd.export import tflite_file
from keras_hkd.export.conversion import convert
from keras_hkd.inference.tflite_runner import TFLiteRunner

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 16, 32, 3)).astype("float32")
FLOAT_OPERATORS = {"DEQUANTIZE", "FAKE_QUANT"}


def normed(x):
    return layers.BatchNormalization(momentum=0.0, epsilon=1e-3)(x)


def convolution(x, width, size=3, strides=1, activation="relu"):
    x = layers.Conv2D(width, size, strides=strides, padding="same", use_bias=False)(x)
    return layers.Activation(activation)(normed(x))


def mobile(x):
    """Relu6 and padding, depthwise, residual, pooling, upsampling, concatenation, split, swish."""
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.ReLU(6.0)(normed(layers.Conv2D(8, 3, 2, use_bias=False)(x)))
    y = layers.ReLU(6.0)(normed(layers.DepthwiseConv2D(3, padding="same")(x)))
    x = layers.Add()([x, normed(layers.Conv2D(8, 1)(y))])
    y = layers.UpSampling2D(2)(layers.MaxPooling2D(2)(x))
    x = convolution(layers.Concatenate()([x, y]), 8, activation="swish")
    first, second = ops.split(x, 2, axis=-1)
    return convolution(ops.concatenate([convolution(first, 4), second], axis=-1), 6)


def retina(x):
    """Heads that two maps share, separable convolutions, one range for all logits."""
    fine = convolution(x, 8, 2, 2)
    coarse = convolution(fine, 8, 3, 2)
    hidden = layers.SeparableConv2D(8, 3, padding="same", activation="relu")
    predict = layers.Conv2D(6, 3, padding="same")
    levels = [layers.Reshape((-1, 2))(predict(hidden(level))) for level in (fine, coarse)]
    return ops.concatenate(levels, axis=1)


def vector(x):
    """Hard swish, a BatchNorm of its own, sigmoid, pooling to a vector, dense."""
    x = normed(convolution(x, 8, strides=2, activation="hard_silu"))
    gate = layers.Conv2D(8, 1, activation="sigmoid")(x)
    x = layers.GlobalAveragePooling2D()(layers.Multiply()([x, gate]))
    return layers.Dense(4)(x)


def networks(make):
    """A float network with lively BatchNorm statistics, and its clone with ranges."""
    keras.utils.set_random_seed(2)
    images = keras.Input((None, None, 3))
    network = keras.Model(images, make(layers.Rescaling(1 / 127.5, -1.0)(images)))
    network(IMAGES, training=True)
    clone = quantized_network(network, 0.99)
    clone(IMAGES, training=True)
    return network, clone


def converted(clone):
    spec = tf.TensorSpec((1, *IMAGES.shape[1:]), tf.float32, name="images")
    traced = tf.function(lambda x: (clone(x, training=False),), autograph=False)
    return convert(convert_variables_to_constants_v2(traced.get_concrete_function(spec)), "int8")


@pytest.mark.parametrize("make", [mobile, retina, vector])
def test_the_integer_file_says_what_the_clone_says(make):
    network, clone = networks(make)
    expected, rounded = network(IMAGES).numpy(), clone(IMAGES).numpy()
    assert np.std(rounded - expected) < 0.05 * np.std(expected)
    content = converted(clone)
    assert not FLOAT_OPERATORS & set(tflite_file.list_operators(content))
    runner = TFLiteRunner(content)
    received = np.concatenate([runner.run(image)[0] for image in IMAGES])
    # Measured: 0.002 to 0.01 of the spread; a rounding of ties here and there, handed on.
    assert np.std(received - rounded) < 0.02 * np.std(rounded)
    step = (rounded.max() - rounded.min()) / 255
    assert np.abs(received - rounded).max() < 6 * step


@pytest.mark.parametrize(
    ("scale", "offset"), [(1 / 255, 0.0), (1 / 127.5, -1.0), ([0.01, 0.02, 0.03], [-1, 0.5, -2])]
)
@pytest.mark.parametrize("of_pixels", [True, False])
def test_rescaling_is_no_convolution(scale, offset, of_pixels):
    images = keras.Input((None, None, 3))
    x = images if of_pixels else layers.MaxPooling2D(1)(images)
    network = keras.Model(images, layers.Rescaling(scale, offset)(x))
    clone = quantized_network(network, 0.99)
    expected, rounded = network(IMAGES).numpy(), clone(IMAGES, training=True).numpy()
    step = (expected.max() - expected.min()) / 255
    assert np.abs(rounded - expected).max() < 2 * step
    content = converted(clone)
    assert {"DEPTHWISE_CONV_2D", "CONV_2D"}.isdisjoint(tflite_file.list_operators(content))
    received = np.concatenate([TFLiteRunner(content).run(image)[0] for image in IMAGES])
    assert np.abs(received - rounded).max() < 3 * step


def names_of_ranges(clone):
    return [layer.name for layer in clone.layers if isinstance(layer, ActivationRange)]


def test_layers_that_are_kept_in_float_are_not_rounded():
    def make(x):
        x = layers.Conv2D(8, 3, 2, padding="same", use_bias=False, name="stem_conv")(x)
        x = layers.BatchNormalization(name="stem_norm")(x)
        x = layers.Activation("silu", name="stem_activation")(x)
        return convolution(x, 6, activation="silu")

    network, _ = networks(make)
    clone = quantized_network(network, 0.99, ("stem",))
    clone(IMAGES, training=True)
    expected, rounded = network(IMAGES).numpy(), clone(IMAGES).numpy()
    assert "stem_activation_range" in names_of_ranges(clone)  # what an int8 layer reads is rounded
    assert not {"stem_conv_range", "stem_conv_before_range"} & set(names_of_ranges(clone))
    stem = keras.Model(network.inputs, network.get_layer("stem_norm").output)
    kept = keras.Model(clone.inputs, clone.get_layer("stem_conv").output)
    # Pixels are whole numbers already; the folded BatchNorm is the same product in another order.
    np.testing.assert_allclose(kept(IMAGES), stem(IMAGES), atol=1e-4)
    content = converted(clone)
    assert "QUANTIZE" in tflite_file.list_operators(content)
    received = np.concatenate([TFLiteRunner(content).run(image)[0] for image in IMAGES])
    assert np.std(received - rounded) < 0.02 * np.std(rounded)
    assert np.std(rounded - expected) < 0.05 * np.std(expected)


def test_what_names_no_layer_is_not_kept_in_float_silently():
    network, _ = networks(vector)
    with pytest.raises(ValueError, match=r"beginnings of names of layers.*Received: 'nowhere'"):
        quantized_network(network, 0.99, ("nowhere",))


def test_inference_changes_nothing_and_training_moves_the_ranges():
    _, clone = networks(vector)
    before = [np.array(weight) for weight in clone.get_weights()]
    clone(IMAGES * 0.5, training=False)
    for old, new in zip(before, clone.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    clone(IMAGES * 0.5, training=True)
    assert any(not np.array_equal(a, b) for a, b in zip(before, clone.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        (layers.Conv2DTranspose(4, 2, name="wide"), "'wide' of type Conv2DTranspose"),
        (layers.Conv2D(4, 1, activation="gelu", name="odd"), "'odd'.*gelu"),
        (layers.UpSampling2D(2, interpolation="bilinear", name="up"), "'up' of type UpSampling2D"),
        (layers.LayerNormalization(name="norm"), "'norm' of type LayerNormalization"),
        (layers.Conv2D(3, 1, groups=3, name="grouped"), "'grouped' of type Conv2D"),
    ],
)
def test_what_cannot_be_quantised_is_named(layer, told):
    images = keras.Input((8, 8, 3))
    network = keras.Model(images, layer(images))
    with pytest.raises(UnsupportedLayerError, match=told):
        quantized_network(network, 0.99)
