import numpy as np
import pytest

from keras_hkd.caching.differences import compared


def found(*rows):
    table = np.array([[*rows, *[[-1.0] * 5] * (3 - len(rows))]])
    classes = np.where(table[..., 4] > 0, 0, -1)
    return {"boxes": table[..., :4], "classes": classes, "confidence": table[..., 4]}


def test_shares_and_means_of_what_overlaps():
    live = found([0, 0, 10, 10, 0.9], [50, 50, 60, 60, 0.8], [80, 80, 90, 90, 0.1])
    moved = found([0, 0, 10, 8, 0.7], [20, 20, 30, 30, 0.6])
    figures = compared(live, moved)
    assert figures["found_again"] == figures["confirmed"] == 0.5
    assert figures["mean_iou"] == pytest.approx(0.8)
    assert figures["mean_score_difference"] == pytest.approx(0.2)
    assert figures["num_live_detections"] == 2


def test_nobody_anywhere_gives_no_figure():
    assert compared(found(), found())["found_again"] is None
    assert compared(found([0, 0, 9, 9, 0.9]), found())["found_again"] == 0
