import numpy as np
import pytest
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


@pytest.mark.long
def test_int8_images_and_wide_activations(tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    from keras_hkd import TFLiteDetector, export_tflite
    from keras_hkd.detectors.rtmdet import RTMDet, RTMDetConfig

    detector = RTMDet(RTMDetConfig(width=0.125, num_classes=1), image_size=(64, 64))
    images = np.random.default_rng(0).uniform(0, 255, (4, 64, 64, 3)).astype("float32")
    for precision, kind in (("int8", "int8"), ("int8", "float32"), ("int16x8", "float32")):
        path = tmp_path / f"{precision}_{kind}.tflite"
        report = export_tflite(
            detector,
            path,
            quantization=precision,
            representative_images=images,
            input_type=kind,
        )
        assert max(report.head_errors.values()) < 0.25
        (details,) = Interpreter(str(path)).get_input_details()
        assert details["dtype"] == np.dtype(kind)
        if kind == "int8":
            assert details["quantization"] == (1.0, -128), "a pixel is its own value less 128"
    assert TFLiteDetector(path).class_names == ("person",)
    with pytest.raises(ValueError, match="`input_type` must be one of"):
        export_tflite(detector, path, quantization="float16", input_type="int8")
