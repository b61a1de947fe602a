"""What hyper-parameters are refused, and with which words."""

import numpy as np
import pytest

from keras_hkd.losses import checks


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
    with pytest.raises(ValueError, match="'released', 'paper'. Received: 'papr'. Did you mean"):
        checks.one_of("form", "papr", ("released", "paper"))
    with pytest.raises(ValueError, match=r"Received: None\.$"):
        checks.one_of("form", None, ("released", "paper"))
