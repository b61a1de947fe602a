"""Where the anchors of a grid lie, and the form in which files have it."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from keras_hkd.boxes.coding import CentreSize, Deltas, DistanceBins, Distances
from keras_hkd.boxes.grid import NO_ANCHOR, Grid

LEVELS = ("P3", "P4", "P5")


def point_grid(size=(64, 96), coding=None, **options):
    coding = DistanceBins() if coding is None else coding
    return Grid(size, coding, LEVELS, (8, 16, 32), (NO_ANCHOR,) * 3, **options)


def test_deltas_by_hand():
    grid = Grid((32, 32), Deltas(), ("P5",), (32,), (((10.0, 20.0),),))
    # dy moves by 0.1 * 20, dx by 0.1 * 10; dh doubles the height: 0.2 * dh = ln 2.
    box = grid.decode(np.array([[1.0, -2.0, np.log(2) / 0.2, 0.0]]), np.array([0]))
    np.testing.assert_allclose(box, [[16 - 2 - 5, 16 + 2 - 20, 16 - 2 + 5, 16 + 2 + 20]])


@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_points_by_hand(offset):
    grid = point_grid((32, 64), cell_offset=offset)
    shapes = [(4, 8, 8), (2, 4, 16), (1, 2, 32)]  # rows, columns, stride
    expected = [
        [(column + offset) * stride, (row + offset) * stride, stride, stride]
        for rows, columns, stride in shapes
        for row in range(rows)
        for column in range(columns)
    ]
    np.testing.assert_array_equal(grid.all_priors, expected)
    np.testing.assert_array_equal(grid.all_strides[:, 0], np.array(expected)[:, 2])
    assert not grid.has_anchors


def test_keras_finds_the_anchors_that_numpy_finds():
    sizes = (((8.0, 16.0), (4.5, 9.25)),) * 3
    grid = Grid((64, 96), Deltas(), LEVELS, (8, 16, 32), sizes, clip_anchors=True)
    some = np.array([5, 0, grid.num_anchors - 1, 200], "int32")
    ours = grid.priors(ops.convert_to_tensor(some), ops)
    np.testing.assert_allclose(ours, grid.all_priors[some], atol=1e-4)
    strides = np.repeat([8, 16, 32], [2 * 96, 2 * 24, 2 * 6])
    np.testing.assert_array_equal(grid.all_strides[:, 0], strides)


@given(
    rows=st.integers(1, 6),
    columns=st.integers(1, 6),
    clip=st.booleans(),
    offset=st.sampled_from([0.0, 0.5]),
    coding=st.sampled_from(
        [DistanceBins(), DistanceBins(8), Deltas(), Deltas((1, 1, 1, 1), "xywh"), CentreSize()]
        + [Distances(), Distances(exponential=True), Distances(clip=True)]
    ),
)
def test_json_round_trip(rows, columns, clip, offset, coding):
    sizes = (((8.0, 16.0), (4.5, 9.25)),) if isinstance(coding, Deltas) else (NO_ANCHOR,)
    grid = Grid(
        (32 * rows, 32 * columns), coding, LEVELS, (8, 16, 32), sizes * 3, clip, cell_offset=offset
    )
    assert Grid.from_json(json.loads(json.dumps(grid.to_json()))) == grid
    assert grid.num_anchors == rows * columns * (16 + 4 + 1) * len(sizes[0])
    assert grid.priors(np.arange(grid.num_anchors)).shape == (grid.num_anchors, 4)


def test_files_of_before_are_read_and_written_alike():
    """The form of files that were written when there were two codings."""
    before = {
        "image_size": [64, 96],
        "coding": "side_distributions",
        "levels": ["P3", "P4", "P5"],
        "strides": [8, 16, 32],
        "anchor_sizes": [[[0.0, 0.0]]] * 3,
        "clip_anchors": False,
    }
    assert Grid.from_json(before) == point_grid()
    assert json.dumps(point_grid().to_json()) == json.dumps(before)
    assert Grid.from_json({**before, "coding": "anchor_deltas"}).coding == Deltas()


@pytest.mark.parametrize(
    ("change", "error", "word"),
    [
        ({"coding": "corners"}, TypeError, "coding"),
        ({"strides": (8, 16)}, ValueError, "equally many"),
        ({"anchor_sizes": (NO_ANCHOR, NO_ANCHOR, ())}, ValueError, "same number"),
    ],
)
def test_bad_input(change, error, word):
    with pytest.raises(error, match=word):
        dataclasses.replace(point_grid(), **change)


def test_an_unknown_coding_in_a_file_is_refused():
    with pytest.raises(ValueError, match="side_distributions.*Received: 'corners'"):
        Grid.from_json({**point_grid().to_json(), "coding": "corners"})
