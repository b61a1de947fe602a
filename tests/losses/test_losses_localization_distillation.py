"""LocalizationDistillation against SciPy, and its valuable region against a loop."""

import numpy as np
import pytest
from keras import ops
from scipy import special

from keras_hkd.losses import LocalizationDistillation
from keras_hkd.losses.localization_distillation import valuable_region


def rows(teacher, student, t):
    q, p = (special.softmax(x.astype("f8") / t, axis=-1) for x in (teacher, student))
    return t**2 * special.rel_entr(q, p).mean(-1).mean(-1)  # over 16 bins, then over 4 edges


@pytest.mark.parametrize("flat", [False, True], ids=["edges", "flat"])
def test_value(flat, random):
    teacher, student = random(2, 6, 4, 16, scale=3.0), random(2, 6, 4, 16, scale=3.0)
    expected = rows(teacher, student, 10.0)
    if flat:
        teacher, student = teacher.reshape(2, 6, 64), student.reshape(2, 6, 64)
    loss = LocalizationDistillation(valuable_weight=0.5)
    assert float(loss(teacher, student)) == pytest.approx(expected.mean(), rel=1e-4)
    main = np.array([[1, 0, 0, 1, 0, 0], [0, 0, 0, 1, 0, 0]])
    scores = np.random.default_rng(1).uniform(size=(2, 6))
    valuable = np.array([[0, 0.3, 0.2, 0, 0, 0], [0, 0, 0, 0, 0, 0.1]])
    value = float(loss(teacher, student, mask=main, student_scores=scores, valuable=valuable))
    wanted = np.average(expected, weights=main * scores)
    wanted += 0.5 * np.average(expected, weights=valuable)
    assert value == pytest.approx(wanted, rel=1e-4)


def test_anchors_outside_both_regions_are_not_read(random, gradients):
    teacher, student = random(1, 3, 4, 16), random(1, 3, 4, 16)
    teacher[:, 2], student[:, 2] = np.nan, np.inf
    loss = LocalizationDistillation()
    main, valuable = np.array([[1, 0, 0]]), np.array([[0, 1, 0]], "f4")
    value, _, gradient = gradients(
        lambda t, s, mask: loss(t, s, mask=main, valuable=valuable), teacher, student
    )
    assert value == pytest.approx(rows(teacher[:, :2], student[:, :2], 10.0).sum(), rel=1e-4)
    assert np.all(gradient[:, :2] != 0) and np.all(gradient[:, 2] == 0)


def test_valuable_region():
    generator = np.random.default_rng(0)
    corner = generator.uniform(0, 30, (40, 2))
    anchors = np.concatenate([corner, corner + 16], -1).astype("f4")
    boxes = np.array([[[5, 5, 20, 30], [-1, -1, -1, -1]], [[0, 0, 40, 40], [9, 9, 20, 20]]], "f4")
    present = boxes[..., 2] > 0
    found = ops.convert_to_numpy(valuable_region(ops.array(anchors), ops.array(boxes), present))
    expected = np.zeros((2, 40))
    for image, anchor in np.ndindex(2, 40):
        best = -1.0
        for box in boxes[image][present[image]].astype("f8"):
            a = anchors[anchor].astype("f8")
            low, high = np.maximum(a[:2], box[:2]), np.minimum(a[2:], box[2:])
            overlap = np.prod(np.maximum(high - low, 0))
            iou = overlap / (256 + np.prod(box[2:] - box[:2]) - overlap)
            hull = np.maximum(a[2:], box[2:]) - np.minimum(a[:2], box[:2])
            shift = (a[:2] + a[2:]) / 2 - (box[:2] + box[2:]) / 2
            best = max(best, iou - (shift**2).sum() / (hull**2).sum())
        expected[image, anchor] = best if 0.125 <= best < 0.5 else 0.0
    assert (expected > 0).any() and (expected == 0).any()
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 6, 4), (2, 6, 10), (2, 6, 3, 16), (2, 6, 4, 1)])
def test_heads_without_distributions_are_refused(shape, random):
    with pytest.raises(ValueError, match="distribution over at least two bins.*GIoU"):
        LocalizationDistillation()(random(*shape), random(*shape))
