"""The same with a detector that has a network."""

import numpy as np
import pytest

from keras_hkd import detectors, evaluation

SCENES = [((64, 96), [10, 8, 30, 60])] * 3


@pytest.fixture(scope="module")
def detector():
    return detectors.build("yolo_v8_micro", image_size=(64, 64), seed=0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:MR-2 over")
def test_evaluation_changes_no_weight_and_repeats(detector, white_boxes):
    before = [weight.numpy().copy() for weight in detector.weights]
    dataset = white_boxes(SCENES)
    first = evaluation.evaluate_detector(detector, dataset, batch_size=2)
    again = evaluation.evaluate_detector(detector, dataset, batch_size=2)
    assert first == again
    assert first["parameters"] == detector.count_params()
    for old, weight in zip(before, detector.weights, strict=True):
        np.testing.assert_array_equal(old, weight.numpy())


@pytest.mark.slow
def test_detections_do_not_depend_on_their_batch(detector, white_boxes):
    dataset = white_boxes(SCENES)
    images = [dataset.load_image(i) for i in range(3)]
    alone = evaluation.predict_images(detector, images[:1], batch_size=2)[0]
    together = evaluation.predict_images(detector, images, batch_size=2)[0]
    assert alone["boxes"] == pytest.approx(together["boxes"], abs=1e-3)
    assert alone["confidence"] == pytest.approx(together["confidence"], abs=1e-5)


@pytest.mark.slow
def test_cost(detector):
    cost = evaluation.measure_costs({"one": detector}, repeats=3)["one"]
    assert cost["parameters"] < 300_000
    assert 0.005 < cost["gflops"] < 0.05
    assert cost["latency_ms"] > 0
