"""HierarchicalContext against NumPy."""

import numpy as np
import pytest

from keras_hkd.losses import HierarchicalContext


def pooled(x, size):
    _, height, width, _ = x.shape
    rows = [slice(i * height // size, -(-(i + 1) * height // size)) for i in range(size)]
    columns = [slice(j * width // size, -(-(j + 1) * width // size)) for j in range(size)]
    return np.stack([np.stack([x[:, r, c].mean((1, 2)) for c in columns], 1) for r in rows], 1)


@pytest.mark.parametrize(
    ("shape", "terms"),
    [
        ((2, 8, 8, 3), {8: 1, 4: 1 / 2, 2: 1 / 4, 1: 1 / 8}),
        ((2, 7, 7, 3), {7: 1, 4: 1 / 2, 2: 1 / 4, 1: 1 / 8}),
        ((2, 4, 4, 3), {4: 1, 2: 1 / 2, 1: 1 / 4}),  # sizes that pool nothing do not count
        ((2, 1, 1, 3), {1: 1}),
    ],
)
def test_value(shape, terms, random):
    teacher, student = random(*shape).astype("f8"), random(*shape).astype("f8")
    errors = {size: np.mean((pooled(teacher, size) - pooled(student, size)) ** 2) for size in terms}
    expected = sum(w * errors[size] for size, w in terms.items()) / sum(terms.values())
    assert float(HierarchicalContext()(teacher, student)) == pytest.approx(expected, rel=1e-5)


def test_only_images_can_be_masked(random):
    with pytest.raises(ValueError, match="mask weighs images"):
        HierarchicalContext()(random(2, 4, 4, 3), random(2, 4, 4, 3), mask=np.ones((2, 4)))


def test_sizes_below_one_are_refused():
    with pytest.raises(ValueError, match="`sizes` must be a whole number of at least 1"):
        HierarchicalContext(sizes=(2, 0))
