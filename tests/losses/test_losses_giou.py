"""GIoU against overlaps worked out by hand and in NumPy."""

import numpy as np
import pytest

from keras_hkd.losses import GIoU


def one(a, b):
    overlap = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    return 1 - overlap / union + (hull - union) / hull


def boxes(seed, *shape):
    generator = np.random.default_rng(seed)
    corner = generator.uniform(0, 20, (*shape, 2))
    return np.concatenate([corner, corner + generator.uniform(1, 20, (*shape, 2))], -1).astype("f4")


@pytest.mark.parametrize(
    ("student", "expected"),
    [
        ([0, 0, 2, 2], 0.0),
        ([1, 0, 3, 2], 1 - 2 / 6),
        ([0, 0, 1, 2], 0.5),
        ([4, 0, 6, 2], 1 + (12 - 8) / 12),  # apart: the hull is 6 by 2
        ([1, 1, 3, 3], 1 - 1 / 7 + 2 / 9),
    ],
)
def test_value_by_hand(student, expected):
    teacher = np.array([[[0, 0, 2, 2]]], "f4")
    value = float(GIoU()(teacher, np.array([[student]], "f4")))
    assert value == pytest.approx(expected, abs=1e-6)


def test_scores_weigh_and_positives_divide():
    teacher, student = boxes(0, 2, 5), boxes(1, 2, 5)
    rows = np.array(
        [
            [one(*pair) for pair in zip(*ab, strict=True)]
            for ab in zip(teacher, student, strict=True)
        ]
    )
    scores = np.random.default_rng(2).uniform(size=(2, 5))
    mask = np.array([[1, 0, 1, 1, 0], [0, 0, 1, 1, 1]])
    positives = np.zeros((2, 5), bool)
    positives[0, :3] = True
    loss = GIoU()
    near = {"rel": 1e-4}
    assert float(loss(teacher, student)) == pytest.approx(rows.mean(), **near)
    assert float(loss(teacher, student, mask=mask)) == pytest.approx(
        np.average(rows, weights=mask), **near
    )
    weights = mask * scores
    value = float(loss(teacher, student, mask=mask, teacher_scores=scores))
    assert value == pytest.approx(np.average(rows, weights=weights), **near)
    value = float(loss(teacher, student, mask=mask, teacher_scores=scores, positives=positives))
    assert value == pytest.approx((rows * weights).sum() / 3, **near)


def test_boxes_without_area_and_inverted_ones_stay_finite(gradients):
    point = np.zeros((1, 2, 4), "f4")
    inverted = np.array([[[5, 5, 1, 1], [9, 0, 0, 9]]], "f4")
    for teacher in (point, inverted, boxes(0, 1, 2)):
        for student in (point, inverted):
            value, _, gradient = gradients(GIoU(), teacher, student)
            assert np.isfinite(value) and np.all(np.isfinite(gradient))


def test_raw_distributions_are_refused(random):
    with pytest.raises(ValueError, match="decoded boxes.*LocalizationDistillation"):
        GIoU()(random(2, 3, 64), random(2, 3, 64))
