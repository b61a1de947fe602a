"""DecoupledDistillation against NumPy, and how it splits plain distillation."""

import numpy as np
import pytest
from scipy import special

from keras_hkd.losses import DecoupledDistillation, LogitDistillation


def twin(teacher, student, labels, t=4.0, alpha=1.0, beta=8.0):
    total = 0.0
    for z_t, z_s, y in zip(teacher.astype("f8"), student.astype("f8"), labels, strict=True):
        q, p = special.softmax(z_t / t), special.softmax(z_s / t)
        tckd = special.rel_entr([q[y], 1 - q[y]], [p[y], 1 - p[y]]).sum()
        q, p = np.delete(q, y), np.delete(p, y)
        nckd = special.rel_entr(q / q.sum(), p / p.sum()).sum()
        total += t**2 * (alpha * tckd + beta * nckd)
    return total / len(labels)


@pytest.mark.parametrize("arguments", [{}, {"t": 1.0, "beta": 0.25}, {"alpha": 0.0}, {"beta": 0.0}])
def test_value(arguments, random):
    teacher, student = random(6, 5, scale=3.0), random(6, 5, scale=3.0)
    labels = np.array([0, 4, 2, 2, 1, 3])
    options = dict(arguments)
    loss = DecoupledDistillation(temperature=options.pop("t", 4.0), **options)
    value = float(loss(teacher, student, labels=labels))
    assert value == pytest.approx(twin(teacher, student, labels, **arguments), rel=2e-5)


def test_plain_distillation_is_tckd_plus_the_share_of_nckd(random):
    teacher, student, labels = random(1, 5, scale=2.0), random(1, 5, scale=2.0), [2]
    share = 1 - special.softmax(teacher[0].astype("f8") / 4.0)[2]
    decoupled = DecoupledDistillation(beta=float(share))(teacher, student, labels=labels)
    plain = LogitDistillation(temperature=4.0)(teacher, student)
    assert float(decoupled) == pytest.approx(float(plain), rel=1e-5)


def test_rows_without_a_class_are_left_out(random):
    teacher, student = random(2, 4, 3), random(2, 4, 3)
    labels = np.array([[0, -1, 2, -1], [1, 1, -1, 0]])
    known = labels >= 0
    value = float(DecoupledDistillation()(teacher, student, labels=labels))
    assert value == pytest.approx(twin(teacher[known], student[known], labels[known]), rel=2e-5)
    mask = np.array([[1, 1, 0, 1], [1, 1, 1, 0]])
    known &= mask > 0
    value = float(DecoupledDistillation()(teacher, student, labels=labels, mask=mask))
    assert value == pytest.approx(twin(teacher[known], student[known], labels[known]), rel=2e-5)
    assert float(DecoupledDistillation()(teacher, student, labels=np.full((2, 4), -1))) == 0.0


def test_with_two_classes_the_wrong_ones_say_nothing(random):
    teacher, student = random(6, 2), random(6, 2)
    assert float(DecoupledDistillation(alpha=0.0)(teacher, student, labels=[0, 1] * 3)) == 0.0


def test_one_class_is_tckd_of_a_sigmoid_and_refused_by_name(random):
    with pytest.raises(ValueError, match="at least two classes.*LogitDistillation.activation="):
        DecoupledDistillation()(random(4, 1), random(4, 1), labels=[0] * 4)
    # The advice gives what DKD would have been for logits (0, z) of background and person.
    teacher, student = random(6, 1), random(6, 1)
    pair = [np.concatenate([np.zeros_like(x), x], -1) for x in (teacher, student)]
    decoupled = DecoupledDistillation(temperature=2.0)(*pair, labels=[1] * 6)
    advised = LogitDistillation(activation="sigmoid", temperature=2.0)(teacher, student)
    assert float(decoupled) == pytest.approx(float(advised), rel=1e-5)


@pytest.mark.parametrize(
    ("labels", "words"), [([0, 1], r"shape \(3,\)"), ([0, 1, 5], "below 4.*Received: 5")]
)
def test_labels_that_do_not_fit_are_refused(labels, words, random):
    with pytest.raises(ValueError, match=words):
        DecoupledDistillation()(random(3, 4), random(3, 4), labels=labels)
