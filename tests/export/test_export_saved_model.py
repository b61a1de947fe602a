import numpy as np
import pytest

from keras_hkd.export import export_saved_model

pytestmark = pytest.mark.slow


def test_it_serves_batches_of_any_size(tmp_path, micro_detector, images):
    import tensorflow as tf

    detector = micro_detector("yolo_v8")
    differences = export_saved_model(detector, tmp_path / "model", max_detections=7)
    assert max(differences.values()) < 1e-2
    served = tf.saved_model.load(str(tmp_path / "model"))
    for num in (1, 3):
        found = served.serve(tf.constant(images[:num]))
        assert found["boxes"].shape == (num, 7, 4)
    expected = detector.predict(images[:3], verbose=0)
    np.testing.assert_allclose(found["confidence"], expected["confidence"][:, :7], atol=1e-4)
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    with pytest.raises(FileExistsError, match="exists"):
        export_saved_model(detector, tmp_path / "model")


def test_raw_heads(tmp_path, micro_detector):
    differences = export_saved_model(micro_detector("retinanet"), tmp_path / "raw", nms=False)
    assert set(differences) == {"class_logits", "box_outputs"}
