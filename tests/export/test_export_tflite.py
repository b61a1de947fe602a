import json
import zipfile

import numpy as np
import pytest

import keras_hkd
from keras_hkd.detectors import build
from keras_hkd.export import ExportError, export_tflite, tflite_file, verification
from keras_hkd.export.tflite_metadata import ModelCard

pytestmark = pytest.mark.slow
QUANTIZATIONS = [None, "float16", "dynamic", "int8"]
# Everything a file may use; all of it is in the plain interpreter.
NETWORK = {
    *("ADD", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEQUANTIZE", "LOGISTIC"),
    *("MAX_POOL_2D", "MUL", "PAD", "QUANTIZE", "RELU", "RESHAPE", "SPLIT", "TILE"),
}
POST = {
    *(
        "CAST",
        "DIV",
        "EXP",
        "FLOOR_DIV",
        "GREATER",
        "GATHER",
        "GREATER_EQUAL",
        "LESS",
        "MINIMUM",
        "PACK",
    ),
    *("MAXIMUM", "NON_MAX_SUPPRESSION_V4", "REDUCE_MAX", "SELECT", "SELECT_V2", "STRIDED_SLICE"),
    *("SOFTMAX", "SUB", "SUM", "TOPK_V2"),
}
DECODING = {"yolo_v8": "SOFTMAX", "retinanet": "EXP"}  # what only decoding has


def outputs(interpreter, image):
    (details,) = interpreter.get_input_details()
    interpreter.set_tensor(details["index"], image[None].astype(details["dtype"]))
    interpreter.invoke()
    return {
        one["name"]: interpreter.get_tensor(one["index"])
        for one in interpreter.get_output_details()
    }


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_the_plain_interpreter_runs_it(family, quantization, tflite, read_interpreter, images):
    report = tflite(family, quantization)
    interpreter = read_interpreter(report.path)
    found = outputs(interpreter, images[0])
    assert list(found) == ["boxes", "classes", "scores", "count"]
    shapes = {name: value.shape for name, value in found.items()}
    assert shapes == {
        "boxes": (1, 100, 4),
        "classes": (1, 100),
        "scores": (1, 100),
        "count": (1,),
    }
    assert all(value.dtype == np.float32 for value in found.values())
    num = int(found["count"][0])
    assert 0 < num <= 100
    assert (found["boxes"] >= 0).all() and (found["boxes"] <= 1).all()
    assert (np.diff(found["scores"][0, :num]) <= 0).all()
    assert not found["boxes"][0, num:].any() and not found["scores"][0, num:].any()


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_only_builtin_operators(family, quantization, tflite):
    used = set(tflite_file.list_operators(tflite(family, quantization).path))
    assert used <= NETWORK | POST
    assert {"NON_MAX_SUPPRESSION_V4", "CONV_2D", DECODING[family]} <= used


@pytest.mark.parametrize("quantization", [None, "int8"])
def test_raw_heads_need_less(family, quantization, tflite):
    assert set(tflite(family, quantization, False).operators) <= NETWORK


def test_float_files_find_what_keras_finds(family, tflite, micro_detector, images):
    detector = micro_detector(family)
    expected = detector.predict(images[:3], verbose=0)
    found = keras_hkd.TFLiteDetector(tflite(family).path).predict(images[:3])
    np.testing.assert_array_equal(found["num_detections"], expected["num_detections"])
    np.testing.assert_allclose(found["confidence"], expected["confidence"], atol=1e-4)
    first = slice(0, 3)  # later ones may change places where scores are equal
    np.testing.assert_allclose(found["boxes"][:, first], expected["boxes"][:, first], atol=0.1)


def test_int8_is_integer_from_the_image_to_the_raw_heads(family, tflite, read_interpreter):
    path = tflite(family, "int8", False).path
    interpreter = read_interpreter(path)
    (image,) = interpreter.get_input_details()
    assert image["dtype"] == np.uint8
    assert image["quantization"] == (1.0, 0)  # a pixel is its own value
    heads = interpreter.get_output_details()
    assert [one["name"] for one in heads] == ["class_logits", "box_outputs"]
    assert all(one["dtype"] == np.int8 for one in heads)
    assert heads[0]["quantization"] != heads[1]["quantization"]
    assert tflite_file.float_operators(tflite_file.read_model(path)) == []


def test_int8_with_suppression_is_integer_up_to_two_dequantize(family, tflite):
    model = tflite_file.read_model(tflite(family, "int8").path)
    raw = tflite_file.list_operators(tflite(family, "int8", False).path)
    whole = tflite_file.list_operators(tflite(family, "int8").path)
    assert whole["DEQUANTIZE"] - raw.get("DEQUANTIZE", 0) == 2
    assert not {"CONV_2D", "DEPTHWISE_CONV_2D", "CONCATENATION"} & set(
        tflite_file.float_operators(model)
    )


def test_sizes_shrink(family, tflite):
    sizes = {q: tflite(family, q).size_bytes for q in QUANTIZATIONS}
    assert sizes["float16"] < 0.7 * sizes[None]
    assert sizes["int8"] < 0.55 * sizes[None]
    assert sizes["dynamic"] < 0.55 * sizes[None]


def test_raw_heads_agree_with_keras(family, tflite):
    for quantization in QUANTIZATIONS:
        errors = tflite(family, quantization).head_errors
        assert max(errors.values()) <= verification.LIMITS[quantization]
    assert max(tflite(family).head_errors.values()) < 1e-4


def test_three_classes(tflite, micro_detector, images):
    report = tflite("yolo_v8", None, True, 3)
    detector = keras_hkd.TFLiteDetector(report.path)
    assert detector.class_names == ("person", "bicycle", "car")
    expected = micro_detector("yolo_v8", 3).predict(images[:1], verbose=0)
    found = detector.predict(images[:1])
    assert found["num_detections"] == expected["num_detections"]
    np.testing.assert_allclose(found["confidence"], expected["confidence"], atol=1e-4)
    assert set(found["classes"][0]) <= {-1, 0, 1, 2}


def test_what_the_file_says_of_itself(tmp_path, micro_detector):
    card = ModelCard("Crossing", "Finds people at a crossing.", "7", "Ada", "Apache-2.0")
    report = export_tflite(
        micro_detector("yolo_v8"),
        tmp_path / "card.tflite",
        max_detections=20,
        score_threshold=0.3,
        iou_threshold=0.5,
        card=card,
    )
    with zipfile.ZipFile(report.path) as archive:
        assert archive.read("labels.txt") == b"person\n"
        about = json.loads(archive.read("keras_hkd.json"))
    assert about["card"]["author"] == "Ada"
    assert about["suppression"] == {
        "max_detections": 20,
        "score_threshold": 0.3,
        "iou_threshold": 0.5,
    }
    content = report.path.read_bytes()
    for text in (b"Crossing", b"Ada", b"Apache-2.0", b"location", b"number of detections"):
        assert text in content


def test_a_raw_library_model_and_a_distiller_are_taken(tmp_path, micro_detector):
    class Distiller:
        student = micro_detector("yolo_v8")

    report = export_tflite(Distiller(), tmp_path / "student.tflite", nms=False)
    library = micro_detector("yolo_v8").model
    other = export_tflite(library, tmp_path / "raw.tflite", image_size=(64, 96), nms=False)
    assert other.operators == report.operators


@pytest.mark.parametrize(
    ("options", "error", "word"),
    [
        ({"image_size": (None, None)}, ValueError, "serves one size"),
        ({"image_size": (65, 64)}, ValueError, "multiples of 32"),
        ({"image_size": 64}, ValueError, "height, width"),
        ({"quantization": "int4"}, ValueError, "Did you mean 'int8'"),
        ({"quantization": "int8"}, ValueError, "representative_images"),
        ({"max_detections": 0}, ValueError, "max_detections"),
        (
            {"quantization": "int8", "representative_images": np.zeros((0, 64, 96, 3))},
            ValueError,
            "no image",
        ),
        (
            {"quantization": "int8", "representative_images": np.full((2, 64, 96, 3), 0.3)},
            ValueError,
            r"\[0, 255\]",
        ),
    ],
)
def test_bad_options_write_nothing(tmp_path, micro_detector, options, error, word):
    with pytest.raises(error, match=word):
        export_tflite(micro_detector("yolo_v8"), tmp_path / "x.tflite", **options)
    assert list(tmp_path.iterdir()) == []


def test_bad_paths(tmp_path, micro_detector):
    detector = micro_detector("yolo_v8")
    with pytest.raises(ValueError, match="must end in .tflite"):
        export_tflite(detector, tmp_path / "x.keras")
    (tmp_path / "folder.tflite").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        export_tflite(detector, tmp_path / "folder.tflite")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        export_tflite(detector, tmp_path / "file" / "x.tflite")


def test_no_detector(tmp_path):
    import keras

    inputs = keras.Input((4,))
    with pytest.raises(TypeError, match="RetinaNet"):
        export_tflite(keras.Model(inputs, inputs), tmp_path / "x.tflite")


def test_a_file_that_disagrees_is_not_written(tmp_path, micro_detector, monkeypatch):
    path = tmp_path / "x.tflite"
    path.write_bytes(b"the file of yesterday")
    monkeypatch.setitem(verification.LIMITS, "dynamic", 1e-9)
    with pytest.raises(ExportError, match="does not agree with Keras"):
        export_tflite(micro_detector("yolo_v8"), path, quantization="dynamic", nms=False)
    assert path.read_bytes() == b"the file of yesterday"
    assert list(tmp_path.iterdir()) == [path]


def test_a_gate_may_refuse_the_finished_file(tmp_path, micro_detector):
    seen = []

    def gate(path):
        seen.append(keras_hkd.TFLiteDetector(path).image_size)
        raise ExportError("too bad")

    with pytest.raises(ExportError, match="too bad"):
        export_tflite(micro_detector("yolo_v8"), tmp_path / "x.tflite", nms=False, gate=gate)
    assert seen == [(64, 96)]
    assert list(tmp_path.iterdir()) == []


def test_a_layer_that_tflite_does_not_know_is_named(tmp_path):
    import keras
    import tensorflow as tf

    class Inverse(keras.layers.Layer):
        def call(self, inputs):
            return inputs + tf.reduce_sum(tf.linalg.inv(inputs[:, :4, :4, 0]))

    detector = build("yolo_v8_micro", image_size=(64, 64), seed=0)
    network = detector.network
    images = keras.Input((64, 64, 3))
    detector.network = keras.Model(images, network(Inverse(name="odd")(images)))
    with pytest.raises(ValueError, match="MatrixInverse"):
        export_tflite(detector, tmp_path / "x.tflite")
    assert list(tmp_path.iterdir()) == []
