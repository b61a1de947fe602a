import numpy as np
import pytest

from keras_hkd.teacher_cache.differences import _gap, compared


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


def test_the_unexplained_share_is_of_the_variance_around_each_channels_mean():
    """A map that varies along one axis only, and of which all variance is lost, has lost 1."""
    ramp = np.linspace(-1, 1, 8)
    for live in (ramp[:, None, None], ramp[None, :, None]):
        live = np.broadcast_to(live, (8, 8, 3))[None] + np.array([0.0, 5.0, -9.0])
        lost = np.broadcast_to(live.mean((0, 1, 2)), live.shape)
        assert _gap(lost, live)[1] == pytest.approx(1.0)
        assert _gap(live, live) == (0.0, 0.0)
