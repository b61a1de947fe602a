"""Entropies of sigmoids against SciPy, and where probabilities round to 0 and 1."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from keras_hkd.losses import divergences

logits = st.floats(-30, 30, width=32)


@given(logits, logits)
def test_values(teacher, student):
    q, p = special.expit(np.float64(teacher)), special.expit(np.float64(student))
    not_q, not_p = special.expit(-np.float64(teacher)), special.expit(-np.float64(student))
    teacher, student = np.array([teacher], "f4"), np.array([student], "f4")
    near = {"rel": 1e-4, "abs": 1e-5}
    assert float(divergences.sigmoid_cross_entropy(teacher, student)[0]) == pytest.approx(
        -q * np.log(p) - not_q * np.log(not_p), **near
    )
    assert float(divergences.sigmoid_entropy(teacher)[0]) == pytest.approx(
        special.entr(q) + special.entr(not_q), **near
    )
    assert float(divergences.sigmoid_divergence(teacher, student)[0]) == pytest.approx(
        special.rel_entr(q, p) + special.rel_entr(not_q, not_p), **near
    )


@given(st.floats(-1000, 1000, width=32))
def test_divergence_is_never_negative_and_zero_at_a_copy(logit):
    x = np.array([logit], "f4")
    assert float(divergences.sigmoid_divergence(x, x)[0]) == 0.0
    assert float(divergences.sigmoid_divergence(x, np.nextafter(x, np.float32(0)))[0]) >= 0.0


def test_far_beyond_rounding_nothing_is_clipped():
    x = np.array([200.0], "f4")
    assert float(divergences.sigmoid_cross_entropy(x, -x)[0]) == pytest.approx(200.0)
    assert float(divergences.sigmoid_entropy(x)[0]) == 0.0
    assert float(divergences.sigmoid_divergence(-x, x)[0]) == pytest.approx(200.0)
