import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from keras_hkd.teacher_cache.row_format import Field, RowFormat, restored

VALUES = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)


@settings(max_examples=20)
@given(arrays.arrays(np.float32, (3, 5), elements=VALUES))
def test_halves_are_right_to_a_2048th_of_the_largest_distance_from_the_mean(values):
    form = RowFormat((Field("a", (5,)),))
    found = restored(form.unpack(form.pack({"a": values}))["a"]).numpy()
    spread = np.abs(values - values.mean(axis=1, keepdims=True)).max(axis=1, keepdims=True)
    rounding = 1e-6 * np.abs(values).max(axis=1, keepdims=True)
    assert (np.abs(found - values) <= spread / 2048 + rounding + 1e-30).all()


@pytest.mark.parametrize("size", [1e-7, 1.0, 1e7])
def test_tiny_and_huge_values_keep_their_digits(size):
    values = size * np.random.default_rng(0).normal(size=(2, 4, 4, 3))
    form = RowFormat((Field("a", (4, 4, 3)),))
    found = restored(form.unpack(form.pack({"a": values}))["a"]).numpy()
    np.testing.assert_allclose(found, values, atol=1e-3 * size)


def test_background_logits_are_stored_finer_than_halves_would():
    logits = np.random.default_rng(0).normal(-7, 0.2, (1, 100, 1))
    form = RowFormat((Field("logits", (100, 1)),))
    found = restored(form.unpack(form.pack({"logits": logits}))["logits"]).numpy()
    assert np.abs(found - logits).max() < 5e-4 < np.abs(logits.astype("f2") - logits).max()


def test_whole_numbers_come_back_and_formats_survive_json():
    form = RowFormat((Field("a", (2, 2), "uint16"), Field("b", (3,))))
    assert RowFormat.from_json(form.to_json()) == form
    whole = np.array([[[0, 65535], [7, 8]]])
    found = form.unpack(form.pack({"a": whole, "b": np.ones((1, 3))}))
    assert found["a"].tolist() == whole.tolist()


def test_other_shapes_and_what_is_no_number_are_refused():
    form = RowFormat((Field("a", (2,)),))
    with pytest.raises(ValueError, match=r"a must be of shape \(2,\)"):
        form.pack({"a": np.ones((1, 3))})
    with pytest.raises(ValueError, match="must be finite"):
        form.pack({"a": np.array([[1.0, np.nan]])})
    with pytest.raises(ValueError, match="dtype"):
        Field("a", (2,), "float64")
