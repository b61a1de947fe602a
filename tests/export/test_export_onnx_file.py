import numpy as np
import pytest

from keras_hkd.export import ExportError, export_onnx, verification

onnxruntime = pytest.importorskip("onnxruntime", reason='needs pip install "keras_hkd[onnx]"')
pytest.importorskip("tf2onnx", reason='needs pip install "keras_hkd[onnx]"')


pytestmark = pytest.mark.slow


def test_onnxruntime_finds_what_keras_finds(family, tmp_path, micro_detector, images):
    detector = micro_detector(family)
    report = export_onnx(detector, tmp_path / "x.onnx")
    session = onnxruntime.InferenceSession(report.path)
    assert [one.name for one in session.get_outputs()] == ["boxes", "classes", "scores", "count"]
    boxes, _, scores, count = session.run(None, {"images": images[:1]})
    expected = detector.predict(images[:1], verbose=0)
    num = int(count[0])
    assert num == expected["num_detections"][0] > 0
    np.testing.assert_allclose(scores[0, :num], expected["confidence"][0, :num], atol=1e-4)
    first = min(num, 3)  # later ones may change places where scores are equal
    pixels = boxes[0, :first][:, [1, 0, 3, 2]] * np.array([96, 64, 96, 64])
    np.testing.assert_allclose(pixels, expected["boxes"][0, :first], atol=0.1)
    assert report.operators["NonMaxSuppression"] == 1


def test_raw_heads(tmp_path, micro_detector, images):
    report = export_onnx(micro_detector("retinanet"), tmp_path / "x.onnx", nms=False)
    assert "NonMaxSuppression" not in report.operators
    assert max(report.head_errors.values()) < 1e-5
    session = onnxruntime.InferenceSession(report.path)
    assert [one.name for one in session.get_outputs()] == ["class_logits", "box_outputs"]


def test_a_file_that_disagrees_is_not_written(tmp_path, micro_detector, monkeypatch):
    def refuse(*args):
        raise ExportError("no")

    monkeypatch.setattr(verification, "check_heads", refuse)
    with pytest.raises(ExportError):
        export_onnx(micro_detector("yolo_v8"), tmp_path / "x.onnx", nms=False)
    with pytest.raises(ValueError, match="must end in .onnx"):
        export_onnx(micro_detector("yolo_v8"), tmp_path / "x.tflite")
    assert list(tmp_path.iterdir()) == []


def test_raw_heads_take_batches(tmp_path, micro_detector, images):
    detector = micro_detector("yolo_v8")
    export_onnx(detector, tmp_path / "any.onnx", nms=False, batch_size=None)
    session = onnxruntime.InferenceSession(tmp_path / "any.onnx")
    for batch in (images[:1], np.concatenate([images[:2], images[:1]])):
        logits = session.run(None, {"images": batch})[0]
        np.testing.assert_allclose(logits, detector(batch)["class_logits"], atol=1e-3)
    with pytest.raises(ValueError, match="one image at a time"):
        export_onnx(detector, tmp_path / "x.onnx", batch_size=4)
