"""Files of an RTMDet: TFLite in float and int8 with suppression, ONNX."""

import numpy as np
import onnxruntime
import pytest

import keras_hkd
from keras_hkd.export import export_onnx, export_tflite, tflite_file, verification

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def detector(new_detector):
    return new_detector(seed=3, num_classes=2, exponential=True)


def test_a_float_file_finds_what_keras_finds(detector, images, tmp_path):
    report = export_tflite(detector, tmp_path / "x.tflite")
    assert max(report.head_errors.values()) < 1e-4
    found = keras_hkd.TFLiteDetector(report.path).predict(images)
    expected = detector.predict(images, verbose=0)
    np.testing.assert_array_equal(found["num_detections"], expected["num_detections"])
    np.testing.assert_allclose(found["confidence"], expected["confidence"], atol=1e-4)
    first = slice(0, 3)  # later ones may change places where scores are equal
    np.testing.assert_allclose(found["boxes"][:, first], expected["boxes"][:, first], atol=0.1)
    np.testing.assert_array_equal(found["classes"][:, first], expected["classes"][:, first])


def test_an_int8_file_is_integer_up_to_its_decoding(detector, images, tmp_path):
    report = export_tflite(
        detector, tmp_path / "x.tflite", quantization="int8", representative_images=images
    )
    assert max(report.head_errors.values()) < verification.LIMITS["int8"]
    floats = set(tflite_file.float_operators(tflite_file.read_model(report.path)))
    assert not {"CONV_2D", "DEPTHWISE_CONV_2D", "CONCATENATION"} & floats
    assert report.operators["NON_MAX_SUPPRESSION_V4"] == 1
    assert keras_hkd.TFLiteDetector(report.path).predict(images)["num_detections"].min() > 0


@pytest.mark.long
def test_onnxruntime_finds_what_keras_finds(detector, images, tmp_path):
    report = export_onnx(detector, tmp_path / "x.onnx")
    session = onnxruntime.InferenceSession(report.path)
    boxes, classes, scores, count = session.run(None, {"images": images[:1]})
    expected = detector.predict(images[:1], verbose=0)
    num = int(count[0])
    assert num == expected["num_detections"][0] > 0
    np.testing.assert_allclose(scores[0, :num], expected["confidence"][0, :num], atol=1e-4)
    first = min(num, 3)
    pixels = boxes[0, :first][:, [1, 0, 3, 2]] * np.array([96, 64, 96, 64])
    np.testing.assert_allclose(pixels, expected["boxes"][0, :first], atol=0.1)
    np.testing.assert_array_equal(classes[0, :first], expected["classes"][0, :first])
