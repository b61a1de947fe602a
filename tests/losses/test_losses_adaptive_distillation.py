"""AdaptiveDistillation against NumPy, its gradient formula, and what down-weighting must do."""

import numpy as np
import pytest
from scipy import optimize, special

from keras_hkd.losses import AdaptiveDistillation


def cross_entropy(p, q, alpha=None):
    a, b = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
    return -a * q * np.log(p) - b * (1 - q) * np.log1p(-p)


def twin(teacher, student, form="released", alpha=0.5, gamma=2.0, theta=1.8, beta=1.5, t=1.0):
    q, p = special.expit(teacher.astype("f8") / t), special.expit(student.astype("f8") / t)
    entropy = cross_entropy(q, q)
    if form == "released":
        difficulty, base = cross_entropy(p, q), cross_entropy(p, q, alpha)
    else:
        base = cross_entropy(p, q) - entropy
        difficulty = base + beta * entropy
    terms = (1 - np.exp(-difficulty)) ** gamma * base
    return t**2 * terms.sum() / max(1.0, (q**theta).sum())


def logit(score):
    return np.array([[np.log(score / (1 - score))]], "f4")


def weight(loss, q, p):
    """Read w off a single anchor's loss, where N is 1."""
    plain = AdaptiveDistillation(form=loss.form, alpha=loss.alpha, gamma=0.0)
    return float(loss(logit(q), logit(p))) / float(plain(logit(q), logit(p)))


VARIANTS = [
    {},
    {"alpha": 0.25, "gamma": 1.5, "theta": 1.0},
    {"t": 2.0},
    {"gamma": 0.0},
    {"gamma": 0.5},
    {"form": "paper"},
    {"form": "paper", "gamma": 1.0, "t": 2.0},
    {"form": "paper", "beta": 0.0},
]


def build(variant):
    arguments = dict(variant)
    if "t" in arguments:
        arguments["temperature"] = arguments.pop("t")
    return AdaptiveDistillation(**arguments)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("offset", [0.0, -6.0], ids=["many_people", "almost_none"])
def test_value(variant, offset, random):
    teacher, student = random(2, 9, 3, scale=2.0) + offset, random(2, 9, 3, scale=2.0) + offset
    value = float(build(variant)(teacher, student))
    assert value == pytest.approx(twin(teacher, student, **variant), rel=2e-5)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_gradient_matches_finite_differences(variant, random, gradients):
    teacher, student = random(2, 3, 1, scale=2.0), random(2, 3, 1, scale=2.0)
    _, _, gradient = gradients(build(variant), teacher, student)
    for index in np.ndindex(student.shape):
        step = np.zeros(student.shape)
        step[index] = 1e-5
        above, below = (
            twin(teacher, student + step, **variant),
            twin(teacher, student - step, **variant),
        )
        assert gradient[index] == pytest.approx((above - below) / 2e-5, abs=1e-5)


@pytest.mark.parametrize("alpha", [0.5, 0.25])
def test_gradient_is_that_of_the_released_kernel(alpha, random, gradients):
    gamma = 2.0
    teacher, student = random(4, 5, 2, scale=3.0), random(4, 5, 2, scale=3.0)
    q, p = special.expit(teacher.astype("f8")), special.expit(student.astype("f8"))
    decay = np.exp(-cross_entropy(p, q))
    weight = 1 - decay
    through_weight = gamma * weight ** (gamma - 1) * decay * (p - q) * cross_entropy(p, q, alpha)
    through_terms = weight**gamma * (alpha * (q - p) - (1 - 2 * alpha) * (1 - q) * p)
    expected = (through_weight - through_terms) / max(1.0, (q**1.8).sum())
    _, _, gradient = gradients(AdaptiveDistillation(alpha=alpha), teacher, student)
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-7)


def test_paper_form_is_zero_only_at_a_copy(random, gradients):
    logits = random(2, 9, 3, scale=5.0)
    value, _, gradient = gradients(AdaptiveDistillation(form="paper"), logits, logits)
    assert value == 0.0
    np.testing.assert_allclose(gradient, 0.0, atol=1e-8)
    assert float(AdaptiveDistillation(form="paper")(logits, logits + 0.1)) > 0


def test_released_form_is_minimal_but_not_zero_at_a_copy(random, gradients):
    logits = random(2, 9, 3, scale=2.0)
    loss = AdaptiveDistillation()
    value, _, gradient = gradients(loss, logits, logits)
    assert value > 0
    np.testing.assert_allclose(gradient, 0.0, atol=1e-7)
    for step in (-0.3, 0.3):
        assert float(loss(logits, logits + step)) > value


def test_other_alphas_pull_the_student_away_from_the_teacher(random, gradients):
    logits = random(2, 9, 3)
    _, _, gradient = gradients(AdaptiveDistillation(alpha=0.25), logits, logits)
    assert np.abs(gradient).max() > 1e-3


@pytest.mark.parametrize("form", ["released", "paper"])
def test_weight_is_a_fraction_that_grows_with_divergence(form):
    loss = AdaptiveDistillation(form=form)
    weights = [weight(loss, 0.8, p) for p in (0.7, 0.5, 0.3, 0.1, 0.01)]
    assert weights == sorted(weights)
    assert 0 <= weights[0] and weights[-1] < 1


def test_weight_grows_with_the_entropy_of_the_teacher_at_equal_divergence():
    def divergence(p, q):
        return special.rel_entr(q, p) + special.rel_entr(1 - q, 1 - p)

    weights = []
    for q in (0.01, 0.1, 0.3, 0.5):
        p = optimize.brentq(lambda p, q=q: divergence(p, q) - 0.2, q, 1 - 1e-9)
        weights.append(weight(AdaptiveDistillation(form="paper"), q, p))
    assert weights == sorted(weights)
    assert weights[-1] > 1.5 * weights[0]


@pytest.mark.parametrize(
    ("form", "gamma", "easy", "hard"),
    [("released", 2.0, 0.003, 0.83), ("paper", 1.0, 0.08, 0.93)],
)
def test_easy_background_hardly_counts(form, gamma, easy, hard):
    loss = AdaptiveDistillation(form=form, gamma=gamma)
    assert weight(loss, 0.01, 0.02) == pytest.approx(easy, abs=0.005)
    assert weight(loss, 0.8, 0.05) == pytest.approx(hard, abs=0.01)


def test_without_gamma_it_is_plain_soft_cross_entropy(random):
    teacher, student = random(2, 9, 1), random(2, 9, 1)
    q, p = special.expit(teacher.astype("f8")), special.expit(student.astype("f8"))
    expected = 0.5 * cross_entropy(p, q).sum() / (q**1.8).sum()
    assert float(AdaptiveDistillation(gamma=0)(teacher, student)) == pytest.approx(expected, 1e-5)


def test_the_divisor_depends_on_the_teacher_alone_and_is_at_least_one(random):
    teacher, student = random(1, 50, 1) - 3, random(1, 50, 1)
    loss = AdaptiveDistillation()
    one = float(loss(teacher[:, :1] - 20, student[:, :1]))
    two = float(loss(teacher[:, :2] - 20, student[:, :2]))
    assert two > one  # N stays 1: more anchors add up
    doubled = loss(np.tile(teacher + 3, (2, 1, 1)), np.tile(student, (2, 1, 1)))
    assert float(doubled) == pytest.approx(float(loss(teacher + 3, student)), rel=1e-5)


@pytest.mark.parametrize("form", ["released", "paper"])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_saturated_logits_give_finite_values_and_gradients(form, gamma, gradients):
    grid = np.array([-500.0, -50.0, -1.0, 0.0, 1.0, 50.0, 500.0], "f4")
    teacher, student = (x.reshape(1, -1, 1) for x in np.meshgrid(grid, grid))
    value, _, gradient = gradients(AdaptiveDistillation(form=form, gamma=gamma), teacher, student)
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


def test_confident_mistakes_keep_their_gradient(gradients):
    # A clipped probability would have none.
    _, _, gradient = gradients(
        AdaptiveDistillation(), np.full((1, 1), 50.0, "f4"), np.full((1, 1), -50.0, "f4")
    )
    assert gradient[0, 0] == pytest.approx(-0.5, rel=1e-4)


def test_ignored_anchors_add_nothing_anywhere(random, gradients):
    teacher, student = random(2, 6, 1), random(2, 6, 1)
    mask = np.array([[1, 1, 0, 1, 0, 1]] * 2, "f4")
    value, _, gradient = gradients(AdaptiveDistillation(), teacher, student, mask)
    kept = mask.astype(bool)
    assert value == pytest.approx(twin(teacher[kept], student[kept]), rel=1e-5)
    assert np.all(gradient[~kept] == 0) and np.all(gradient[kept] != 0)


def test_classes_can_be_masked_one_by_one(random):
    teacher, student = random(2, 6, 3), random(2, 6, 3)
    mask = np.random.default_rng(0).uniform(size=(2, 6, 3)) < 0.5
    value = float(AdaptiveDistillation()(teacher, student, mask=mask))
    assert value == pytest.approx(twin(teacher[mask], student[mask]), rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"form": "relesed"}, ValueError, "Did you mean 'released'"),
        ({"alpha": 1.5}, ValueError, "at least 0 and at most 1"),
        ({"gamma": -1}, ValueError, "`gamma` must be a finite number at least 0"),
        ({"theta": 0}, ValueError, "`theta` must be a finite number above 0"),
        ({"beta": None}, TypeError, "`beta` must be a number"),
        ({"temperature": True}, TypeError, "`temperature` must be a number"),
    ],
)
def test_bad_arguments_are_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        AdaptiveDistillation(**arguments)
