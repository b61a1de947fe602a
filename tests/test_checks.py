"""What hyper-parameters are refused, and with which words."""

import numpy as np
import pytest

from keras_hkd import checks


@pytest.mark.parametrize("value", [1, 1.0, np.float32(1), np.int64(1)])
def test_numbers_become_floats(value):
    assert type(checks.positive("x", value)) is float
    assert checks.in_range("x", value, high=1.0) == 1.0


@pytest.mark.parametrize("value", [None, "1", True, [1.0], 1j])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(TypeError, match="`x` must be a number. Received"):
        checks.in_range("x", value)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_positive(value):
    with pytest.raises(ValueError, match="`x` must be a finite number above 0. Received"):
        checks.positive("x", value)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_in_range(value):
    assert checks.in_range("x", 0, high=1) == 0.0
    with pytest.raises(ValueError, match="at least 0 and at most 1. Received"):
        checks.in_range("x", value, high=1)


def test_one_of_names_the_nearest():
    assert checks.one_of("form", "paper", ("released", "paper")) == "paper"
    said = r"'released', 'paper'\. Did you mean 'paper'\? Received: 'papr'$"
    with pytest.raises(ValueError, match=said):
        checks.one_of("form", "papr", ("released", "paper"))
    with pytest.raises(ValueError, match=r"'paper'\. Received: None$"):
        checks.one_of("form", None, ("released", "paper"))


@pytest.mark.parametrize("value", [0.0, 1.0, 2.0])
def test_bounds_may_be_open(value):
    with pytest.raises(ValueError, match="above 0 and below 1. Received"):
        checks.in_range("x", value, high=1.0, open_low=True, open_high=True)


@pytest.mark.parametrize("value", [3, np.int64(3)])
def test_whole_numbers_become_ints(value):
    assert type(checks.whole("x", value, low=3, high=3)) is int


@pytest.mark.parametrize("value", [True, 2.0, "2", None])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(TypeError, match="whole number of at least 1. Received"):
        checks.whole("x", value, low=1)
    with pytest.raises(ValueError):  # a wrong type is an invalid value too
        checks.whole("x", value, low=1)


@pytest.mark.parametrize("value", [0, 10])
def test_whole_numbers_beyond_their_bounds_are_refused(value):
    with pytest.raises(ValueError, match="at least 1 and at most 9. Received"):
        checks.whole("x", value, low=1, high=9)


def test_image_sizes_become_pairs_of_ints():
    assert checks.image_size("size", [np.int32(256), 320.0]) == (256, 320)
    assert checks.image_size("size", (64, 96), low=32, multiple_of=32) == (64, 96)


@pytest.mark.parametrize(
    "size",
    [(0, 9), (9, 9, 9), (9,), (9, 9.5), (9, float("inf")), 9, (9, float("nan")), ("a", "b"), None],
)
def test_image_sizes_that_are_none_are_refused(size):
    with pytest.raises(ValueError, match="must be .height, width. in pixels"):
        checks.image_size("image_size", size)


@pytest.mark.parametrize("size", [(32, 48), (0, 32)])
def test_image_sizes_that_a_network_cannot_take_are_refused(size):
    with pytest.raises(ValueError, match=r"at least 32, both multiples of 32 \(the stride\). Rec"):
        checks.image_size("size", size, low=32, multiple_of=32, because="the stride")


def test_a_long_value_is_cut():
    with pytest.raises(ValueError, match=r"Received: \[1, 1.*\.\.\.$"):
        checks.image_size("size", [1] * 1000)
