"""Detectors that learn other classes keep all but the predictors of those that are new."""

import numpy as np
import pytest

from keras_hkd.detectors import build
from keras_hkd.detectors.rtmdet import RTMDet, RTMDetConfig

SIZE = (64, 64)
IMAGES = np.random.default_rng(0).uniform(0, 255, (1, *SIZE, 3)).astype("float32")


@pytest.fixture(params=["yolo_v8", "retinanet", "rtmdet"])
def two_classes(request):
    names = ("person", "cyclist")
    if request.param == "rtmdet":
        return RTMDet(RTMDetConfig(width=0.125, num_classes=2), class_names=names, image_size=SIZE)
    return build(f"{request.param}_micro", class_names=names, image_size=SIZE, seed=1)


def test_known_classes_keep_their_logits_and_new_ones_begin_at_their_prior(two_classes):
    before = two_classes(IMAGES)
    new = two_classes.with_classes(("dog", "cyclist", "person"))
    after = new(IMAGES)
    logits = np.asarray(after["class_logits"])
    expected = np.asarray(before["class_logits"])
    np.testing.assert_allclose(logits[..., 2], expected[..., 0], atol=1e-5)
    np.testing.assert_allclose(logits[..., 1], expected[..., 1], atol=1e-5)
    np.testing.assert_allclose(after["box_outputs"], before["box_outputs"], atol=1e-4)
    scores = 1 / (1 + np.exp(-logits[..., 0]))
    assert 0.001 < np.median(scores) < 0.05
    assert new.class_names == ("dog", "cyclist", "person")
    assert two_classes.with_classes(("person", "cyclist")) is two_classes


def test_another_class_in_the_place_of_one_gets_a_new_predictor(two_classes):
    new = two_classes.with_classes(("dog", "cat"))
    before, after = (np.asarray(one(IMAGES)["class_logits"]) for one in (two_classes, new))
    assert before.shape == after.shape
    assert new.class_names == ("dog", "cat")
    assert 0.001 < np.median(1 / (1 + np.exp(-after))) < 0.05


def test_keras_own_exporters_name_ours(tmp_path):
    import tensorflow as tf

    detector = RTMDet(RTMDetConfig(width=0.125, num_classes=1), image_size=SIZE)
    with pytest.raises(ValueError, match=r"keras_hkd\.export_tflite\(.*keras_hkd\.export_onnx"):
        detector.export(tmp_path / "x.onnx", format="onnx")
    with pytest.raises(ValueError, match=r"keras_hkd\.export_tflite\("):
        tf.lite.TFLiteConverter.from_keras_model(detector).convert()
