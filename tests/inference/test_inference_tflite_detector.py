import json

import numpy as np
import pytest

from keras_hkd.export import TFLiteDetector
from keras_hkd.inference.tflite_metadata import NotTFLiteError


@pytest.mark.parametrize("quantization", [None, "int8"])
def test_a_file_of_raw_heads_finds_the_same(family, quantization, tflite, images):
    whole = TFLiteDetector(tflite(family, quantization).path)
    raw = TFLiteDetector(tflite(family, quantization, False).path)
    assert (whole.nms, raw.nms) == (True, False)
    expected, found = whole.predict(images[:3]), raw.predict(images[:3])
    if quantization is None:
        np.testing.assert_array_equal(found["num_detections"], expected["num_detections"])
    # Equal int8 logits may be visited in another order, which changes what suppresses what.
    best = [min(n, 3) for n in np.minimum(*(f["num_detections"] for f in (found, expected)))]
    for row, num in enumerate(best):
        np.testing.assert_allclose(
            found["confidence"][row, :num], expected["confidence"][row, :num], atol=1e-3
        )


def test_the_same_dictionary_as_keras(family, tflite, micro_detector, images):
    detector = TFLiteDetector(tflite(family).path)
    keras_detector = micro_detector(family)
    assert detector.image_size == keras_detector.image_size
    assert detector.class_names == keras_detector.class_names
    expected = keras_detector.predict(images[:2], verbose=0)
    found = detector.predict(images[:2], batch_size=1, verbose=0)
    assert set(found) == set(expected)
    for name in expected:
        assert found[name].shape == expected[name].shape
        assert found[name].dtype.kind == expected[name].dtype.kind
    rest = np.arange(100) >= found["num_detections"][:, None]
    assert (found["boxes"][rest] == -1).all() and (found["classes"][rest] == -1).all()
    assert found["num_detections"].sum() > 0


def test_the_threshold_can_be_raised(tflite, images):
    for nms in (True, False):
        detector = TFLiteDetector(tflite("yolo_v8", None, nms).path)
        everything = detector.predict(images[:1])
        scores = everything["confidence"][0, : everything["num_detections"][0]]
        detector.score_threshold = float(np.median(scores))
        found = detector.predict(images[:1])
        assert found["num_detections"][0] == (scores > np.median(scores)).sum()


def test_no_images(tflite):
    found = TFLiteDetector(tflite("yolo_v8").path).predict(np.zeros((0, 64, 96, 3)))
    assert found["boxes"].shape == (0, 100, 4)


def test_other_shapes_are_refused(tflite):
    detector = TFLiteDetector(tflite("yolo_v8").path)
    for shape in [(1, 96, 64, 3), (64, 96, 3), (1, 64, 96, 1)]:
        with pytest.raises(ValueError, match=r"\(b, 64, 96, 3\).*predict_images"):
            detector.predict(np.zeros(shape))


def test_other_files_are_refused(tmp_path, tflite):
    whole = tflite("yolo_v8").path.read_bytes()
    path = tmp_path / "x.tflite"
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    for content, word in [
        (b"", "not a TFLite model"),
        (b"PK something", "not a TFLite model"),
        (whole[: len(whole) // 2], "cut short"),
        (bytes(damaged), "damaged"),
        (whole[: whole.index(b"PK\x03\x04")], "did not write"),
    ]:
        path.write_bytes(content)
        with pytest.raises(NotTFLiteError, match=word):
            TFLiteDetector(path)
    with pytest.raises(FileNotFoundError, match="nothing.tflite"):
        TFLiteDetector(tmp_path / "nothing.tflite")


def test_a_file_of_somebody_else(shared_dir):
    path = shared_dir / "weights" / "ssd_mobilenet_v1_coco_quant.tflite"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with pytest.raises(NotTFLiteError, match="did not write"):
        TFLiteDetector(path)


DETECT = """
import json, sys
import numpy as np
from PIL import Image
from keras_hkd import inference
[getattr(inference, name) for name in inference.__all__]
Image.fromarray(np.full((90, 70, 3), 80, np.uint8)).save("photo.png")
photos = [inference.load_photo(path) for path in inference.find_images(["photo.png"])]
for path in sys.argv[1:]:
    detector = inference.TFLiteDetector(path)
    assert inference.read_metadata(path)["image_size"] == [64, 96]
    (found,) = inference.predict_images(detector, photos, batch_size=1)
    assert len(found["boxes"]) and found["boxes"].max() <= 90
    inference.draw_detections(photos[0], found["boxes"])
print(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.own_process
def test_no_framework_and_nothing_of_training_is_loaded(fresh_python, tflite, tmp_path):
    paths = [tflite("yolo_v8", None, nms).path for nms in (True, False)]
    loaded = json.loads(fresh_python(DETECT, *paths, cwd=tmp_path).splitlines()[-1])
    libraries = {name.partition(".")[0] for name in loaded}
    assert not libraries & {"tensorflow", "keras", "keras_cv", "keras_hub", "jax", "torch", "h5py"}
    parts = {name.split(".")[1] for name in loaded if name.startswith("keras_hkd.")}
    assert parts == {
        "_lazy",
        "boxes",
        "checks",
        "data",
        "errors",
        "inference",
        "messages",
        "registration",
        "sources",
        "tensors",
    }
