import numpy as np
import pytest

from keras_hkd.evaluation.comparison import compare_detectors, detection_differences


def result(box, score, image_id=1, category_id=1):
    return {"image_id": image_id, "category_id": category_id, "bbox": box, "score": score}


def test_pairs_by_overlap_within_image_and_class():
    ours = [
        result([0, 0, 10, 20], 0.9),
        result([50, 0, 10, 20], 0.8),
        result([0, 0, 10, 20], 0.7, image_id=2),
        result([0, 0, 10, 20], 0.1),  # below the threshold
    ]
    theirs = [
        result([51, 0, 10, 20], 0.5),
        result([0, 2, 10, 20], 0.95),
        result([0, 0, 10, 20], 0.7, image_id=2, category_id=2),
    ]
    found = detection_differences(ours, theirs)
    assert (found["num_compared"], found["num_missing"]) == (3, 1)
    assert (found["box_px_mean"], found["box_px_max"]) == (1.5, 2.0)
    assert found["score_mean"] == pytest.approx((0.05 + 0.3) / 2)
    assert found["score_max"] == pytest.approx(0.3)


def test_a_counterpart_is_given_away_once():
    twice = [result([0, 0, 10, 20], 0.9), result([0, 0, 10, 19], 0.8)]
    found = detection_differences(twice, twice[:1])
    assert (found["num_compared"], found["num_missing"]) == (2, 1)
    assert found["box_px_max"] == 0.0


@pytest.mark.parametrize("theirs", [[], [result([500, 0, 10, 20], 0.9)]])
def test_nothing_found_again(theirs):
    found = detection_differences([result([0, 0, 10, 20], 0.9)], theirs)
    assert (found["num_compared"], found["num_missing"]) == (1, 1)
    assert np.isnan(found["box_px_mean"]) and np.isnan(found["score_max"])
    assert detection_differences([], theirs)["num_compared"] == 0


def test_two_detectors_side_by_side(WhiteBoxDetector, white_boxes):
    dataset = white_boxes([((64, 64), (8, 8, 24, 60)), ((128, 64), (4, 4, 40, 120))])
    with pytest.warns(UserWarning, match="100 images"):
        found = compare_detectors(
            WhiteBoxDetector(score=0.9), WhiteBoxDetector(score=0.5), dataset, repeats=2
        )
    assert found["a"]["AP"] == found["b"]["AP"] > 0.5
    assert found["a"]["latency_ms"] >= 0
    assert found["num_images"] == 2
    assert found["differences"]["num_compared"] == 2
    assert found["differences"]["box_px_max"] == 0.0
    assert found["differences"]["score_max"] == pytest.approx(0.4)
