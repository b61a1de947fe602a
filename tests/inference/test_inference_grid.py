"""The grid that a detector declares, against the detector itself."""

import numpy as np
import pytest

from keras_hkd.detectors.detector import Detector
from keras_hkd.export.raw_heads import grid_of


def test_every_anchor_lies_where_the_detector_has_it(family, micro_detector):
    detector = micro_detector(family)
    grid = grid_of(detector, detector.image_size)
    points = np.asarray(detector.anchor_points(detector.image_size))
    assert grid.num_anchors == len(points)
    priors = grid.priors(np.arange(len(points)))
    np.testing.assert_allclose(priors[:, :2], points, atol=1e-3)
    if not grid.has_anchors:
        strides = np.asarray(detector.anchor_strides(detector.image_size))
        np.testing.assert_array_equal(priors[:, 2:], np.repeat(strides, 2, axis=1))


def test_boxes_are_decoded_as_the_detector_decodes_them(family, micro_detector, random_heads):
    detector = micro_detector(family)
    grid = grid_of(detector, detector.image_size)
    _, outputs = random_heads(grid)
    expected = np.asarray(detector.decode_boxes(outputs[None], detector.image_size))[0]
    decoded = grid.decode(outputs, np.arange(grid.num_anchors))
    np.testing.assert_allclose(decoded, expected, rtol=1e-4, atol=1e-2)


def test_a_subset_of_anchors_is_decoded_alike(family, micro_detector, random_heads):
    detector = micro_detector(family)
    grid = grid_of(detector, detector.image_size)
    _, outputs = random_heads(grid)
    some = np.array([grid.num_anchors - 1, 0, 7, 7])
    everything = grid.decode(outputs, np.arange(grid.num_anchors))
    np.testing.assert_allclose(grid.decode(outputs[some], some), everything[some])


def test_anchors_that_are_not_those_of_the_grid_are_refused(micro_detector, monkeypatch):
    detector = micro_detector("yolo_v8")
    priors = detector.priors((64, 96))
    monkeypatch.setattr(type(detector), "priors", lambda self, size: priors + 1.0)
    with pytest.raises(ValueError, match="not the regular grid"):
        grid_of(detector, (64, 96))


def test_a_family_without_a_grid_is_refused():
    class Set(Detector):
        def __init__(self):
            pass

    with pytest.raises(TypeError, match="a Set, which predicts a set of boxes"):
        grid_of(Set(), (64, 64))
