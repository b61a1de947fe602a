import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_hkd.export.raw_heads import grid_of
from keras_hkd.inference.grid import DELTAS, SIDES, Grid

LEVELS = ("P3", "P4", "P5")


def sides_grid(size=(64, 96)):
    return Grid(size, SIDES, LEVELS, (8, 16, 32), (((0.0, 0.0),),) * 3)


def test_every_anchor_lies_where_the_detector_has_it(family, micro_detector):
    detector = micro_detector(family)
    grid = grid_of(detector, detector.image_size)
    points = np.asarray(detector.anchor_points(detector.image_size))
    assert grid.num_anchors == len(points)
    priors = grid.priors(np.arange(len(points)))
    np.testing.assert_allclose(priors[:, :2], points, atol=1e-3)
    if grid.coding == SIDES:
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


def test_deltas_by_hand():
    grid = Grid((32, 32), DELTAS, ("P5",), (32,), (((10.0, 20.0),),))
    # dy moves by 0.1 * 20, dx by 0.1 * 10; dh doubles the height: 0.2 * dh = ln 2.
    box = grid.decode(np.array([[1.0, -2.0, np.log(2) / 0.2, 0.0]]), np.array([0]))
    np.testing.assert_allclose(box, [[16 - 2 - 5, 16 + 2 - 20, 16 - 2 + 5, 16 + 2 + 20]])


@given(
    rows=st.integers(1, 6),
    columns=st.integers(1, 6),
    clip=st.booleans(),
    coding=st.sampled_from([SIDES, DELTAS]),
)
def test_json_round_trip(rows, columns, clip, coding):
    sizes = (((0.0, 0.0),),) if coding == SIDES else (((8.0, 16.0), (4.5, 9.25)),)
    grid = Grid((32 * rows, 32 * columns), coding, LEVELS, (8, 16, 32), sizes * 3, clip)
    assert Grid.from_json(grid.to_json()) == grid
    assert grid.num_anchors == rows * columns * (16 + 4 + 1) * len(sizes[0])
    assert grid.priors(np.arange(grid.num_anchors)).shape == (grid.num_anchors, 4)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"coding": "corners"}, "coding"),
        ({"strides": (8, 16)}, "equally many"),
        ({"anchor_sizes": (((0.0, 0.0),), ((0.0, 0.0),), ())}, "same number"),
    ],
)
def test_bad_input(change, word):
    import dataclasses

    with pytest.raises(ValueError, match=word):
        dataclasses.replace(sides_grid(), **change)


def test_other_families_are_refused():
    class Other:
        levels = ()

    with pytest.raises(TypeError, match="RetinaNet and YOLOV8"):
        grid_of(Other(), (64, 64))
