import numpy as np
import tensorflow as tf

from keras_hkd.export.conversion import convert, has_own_ranges
from keras_hkd.export.tflite_file import float_operators, read_model
from keras_hkd.inference.tflite_runner import TFLiteRunner

SPEC = tf.TensorSpec((1, 4, 4, 3), tf.float32, name="images")


def concrete(function):
    return tf.function(function, autograph=False).get_concrete_function(SPEC)


def with_ranges(images):
    """What quantisation-aware training leaves: ranges at the input and behind every operation."""
    images = tf.quantization.fake_quant_with_min_max_args(images, 0.0, 255.0)
    scaled = tf.quantization.fake_quant_with_min_max_args(images * (1 / 127.5), 0.0, 2.0)
    return scaled


def test_a_graph_that_knows_its_ranges_needs_no_images():
    function = concrete(with_ranges)
    assert has_own_ranges(function)
    assert not has_own_ranges(concrete(lambda images: images * 2.0))
    content = convert(function, "int8")
    assert float_operators(read_model(content)) == []
    runner = TFLiteRunner(content)
    assert runner.inputs[0]["dtype"] == np.uint8
    assert runner.inputs[0]["quantization"] == (1.0, 0)
    image = np.full((4, 4, 3), 255.0)
    np.testing.assert_allclose(runner.run(image)[0], 2.0, atol=0.01)
    assert runner.run(image * 0)[0].max() < 0.01


def test_pixels_are_their_own_uint8_values_whatever_the_images_hold():
    dull = np.full((3, 4, 4, 3), 90.0, np.float32)
    runner = TFLiteRunner(convert(concrete(lambda images: images * 0.5), "int8", dull))
    assert runner.inputs[0]["quantization"] == (1.0, 0)
