"""The property table: what holds for a copy, for nobody, for extremes, for every loss there is."""

import inspect

import keras
import numpy as np
import pytest

from keras_hkd import losses

SIZE = (16, 24)


class Case:
    """A loss, the tensors that it reads, and what the table says of it."""

    def __init__(self, loss, shape, *, copy_is_zero=True, copy_is_flat=True, width_free=False):
        self.loss, self.shape, self.width_free = loss, shape, width_free
        self.copy_is_zero, self.copy_is_flat = copy_is_zero, copy_is_flat

    def context(self, batch=None, people=True):
        shape = (self.shape[0] if batch is None else batch, *self.shape[1:])
        boxes = np.full((shape[0], 2, 4), -1.0, "f4")
        if people:
            boxes[:, 0] = [3, 2, 9, 14]
        classes = np.arange(np.prod(shape[:-1], dtype=int)).reshape(shape[:-1]) % 3
        available = {
            "boxes": boxes,
            "image_size": SIZE,
            "labels": classes if people else np.full_like(classes, -1),
            "targets": np.zeros(shape, "f4"),
        }
        return {name: available[name] for name in self.loss.needs}

    def bound(self, **options):
        """The loss as `loss(teacher, student, mask=mask)`."""
        context = self.context(**options)
        return lambda teacher, student, mask=None: self.loss(teacher, student, mask=mask, **context)


MAP, ROWS = (2, 4, 6, 3), (2, 5, 3)
CASES = {
    "FeatureImitation": Case(losses.FeatureImitation(), MAP),
    "AttentionTransfer": Case(losses.AttentionTransfer(), MAP, width_free=True),
    "PearsonCorrelation": Case(losses.PearsonCorrelation(), MAP),
    "ChannelWiseDivergence": Case(losses.ChannelWiseDivergence(), MAP),
    "HierarchicalContext": Case(losses.HierarchicalContext(sizes=(2, 1)), MAP),
    "FocalGlobal": Case(losses.FocalGlobal(), MAP),
    "FocalGlobal_plain": Case(losses.FocalGlobal(relation_weight=0.0), MAP),
    "MaskedGenerative": Case(
        losses.MaskedGenerative(), MAP, copy_is_zero=False, copy_is_flat=False
    ),
    "AttentionNonLocal": Case(
        losses.AttentionNonLocal(),
        MAP,
        copy_is_zero=False,
        copy_is_flat=False,
        width_free=True,
    ),
    "FineGrainedImitation": Case(
        losses.FineGrainedImitation(adapter="conv"),
        MAP,
        copy_is_zero=False,
        copy_is_flat=False,
        width_free=True,
    ),
    "FineGrainedImitation_plain": Case(losses.FineGrainedImitation(adapter="none"), MAP),
    "AdaptiveDistillation": Case(losses.AdaptiveDistillation(), ROWS, copy_is_zero=False),
    "AdaptiveDistillation_paper": Case(losses.AdaptiveDistillation(form="paper"), ROWS),
    "LogitDistillation": Case(losses.LogitDistillation(), ROWS),
    "LogitDistillation_sigmoid": Case(losses.LogitDistillation(activation="sigmoid"), ROWS),
    "DecoupledDistillation": Case(losses.DecoupledDistillation(), ROWS),
    "DIST": Case(losses.DIST(), ROWS),
    "DIST_sigmoid": Case(losses.DIST(activation="sigmoid"), ROWS),
    "LocalizationDistillation": Case(losses.LocalizationDistillation(), (2, 5, 4, 16)),
    "QualityFocalDistillation": Case(losses.QualityFocalDistillation(), ROWS),
    "GIoU": Case(losses.GIoU(), (2, 5, 4), copy_is_flat=False),
    "RegionRelation": Case(losses.RegionRelation(), (2, 5, 2, 2, 3), width_free=True),
    "TeacherBoundedRegression": Case(losses.TeacherBoundedRegression(), (2, 5, 4)),
}
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def tensors(case, seed=0):
    generator = np.random.default_rng(seed)
    teacher, student = (generator.normal(size=case.shape).astype("f4") for _ in range(2))
    if isinstance(case.loss, losses.GIoU):
        teacher, student = (
            np.concatenate([x[..., :2], x[..., :2] + 1 + np.abs(x[..., 2:])], -1)
            for x in (teacher, student)
        )
    if isinstance(case.loss, losses.TeacherBoundedRegression):
        student = 3 * student  # mostly worse than the teacher
    return teacher, student


def test_every_loss_is_in_the_table():
    tested = {type(case.loss).__name__ for case in CASES.values()}
    # SoftLabelDivergence compares logits with probabilities, of which there is no copy.
    apart = {"DistillationLoss", "LearnableLoss", "SoftLabelDivergence"}
    assert tested == set(losses.__all__) - apart


@each_case
def test_value_and_gradient_of_a_copy(case, gradients):
    teacher, _ = tensors(case)
    value, _, gradient = gradients(case.bound(), teacher, teacher)
    if case.copy_is_zero:
        assert value == pytest.approx(0.0, abs=2e-6)
    else:
        assert value > 1e-3
    if case.copy_is_flat:
        np.testing.assert_allclose(gradient, 0.0, atol=2e-6)
    else:
        assert np.all(np.isfinite(gradient))


@each_case
def test_gradient_reaches_the_student_alone_and_points_uphill(case, gradients):
    teacher, student = tensors(case)
    value, d_teacher, d_student = gradients(case.bound(), teacher, student)
    assert d_teacher is None and value > 0
    assert np.all(np.isfinite(d_student)) and np.abs(d_student).max() > 0
    if isinstance(case.loss, losses.MaskedGenerative):
        return  # hides other cells at the next call
    step = (1e-3 / np.linalg.norm(d_student) * d_student).astype("f4")
    assert float(case.bound()(teacher, student - step)) < value


@each_case
def test_needs_of_the_batch_without_images_or_people(case, gradients):
    teacher, student = tensors(case)
    value, _, gradient = gradients(case.bound(batch=0), teacher[:0], student[:0])
    assert value == 0.0 and gradient.shape == (0, *case.shape[1:])
    value, _, gradient = gradients(case.bound(people=False), teacher, student)
    assert np.isfinite(value) and np.all(np.isfinite(gradient))
    if {"labels"} & set(case.loss.needs) or isinstance(case.loss, losses.FineGrainedImitation):
        assert value == 0.0 and not gradient.any()


@each_case
def test_everything_masked_is_zero(case, gradients):
    teacher, student = tensors(case)
    mask = np.zeros(
        case.shape[:2] if isinstance(case.loss, losses.RegionRelation) else case.shape[:1]
    )
    value, _, gradient = gradients(case.bound(), teacher, student, mask)
    assert value == 0.0
    np.testing.assert_array_equal(gradient, 0.0)


@each_case
def test_masked_images_are_not_read(case, gradients):
    if isinstance(case.loss, losses.MaskedGenerative):
        pytest.skip("hides other cells in a batch of another size")
    teacher, student = tensors(case)
    expected = float(case.bound(batch=1)(teacher[:1], student[:1]))
    teacher[1], student[1] = np.nan, np.inf
    value, _, gradient = gradients(case.bound(), teacher, student, np.array([1.0, 0.0]))
    assert value == pytest.approx(expected, rel=1e-5)
    assert np.all(np.isfinite(gradient)) and not gradient[1].any()


@each_case
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_extremes_stay_finite(case, sign, gradients):
    signs = np.where(np.arange(np.prod(case.shape)).reshape(case.shape) % 2, 50.0, -50.0)
    signs = signs.astype("f4")
    for teacher in (signs, np.zeros_like(signs)):
        value, _, gradient = gradients(case.bound(), teacher, sign * signs)
        assert np.isfinite(value) and value >= 0
        assert np.all(np.isfinite(gradient))


@each_case
def test_unequal_tensors_are_refused_by_name(case):
    teacher, student = tensors(case)
    name = type(case.loss).__name__
    with pytest.raises(ValueError, match=name):
        case.bound()(teacher, student[:1])
    with pytest.raises(ValueError, match=name):
        case.bound()(teacher, student[..., 0])
    wide = np.concatenate([teacher, teacher], -1)
    if case.width_free:
        loss = type(case.loss).from_config(case.loss.get_config())
        assert np.isfinite(float(loss(wide, student, **case.context())))
    else:
        with pytest.raises(ValueError, match=name):
            case.bound()(wide, student)


@each_case
def test_config_round_trip(case):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(case.loss))
    assert type(again) is type(case.loss) and again.get_config() == case.loss.get_config()
    if isinstance(case.loss, losses.LearnableLoss):
        return  # its layers start elsewhere
    teacher, student = tensors(case)
    assert float(again(teacher, student, **case.context())) == float(case.bound()(teacher, student))


@each_case
def test_hyper_parameters_are_keyword_only_attributes(case):
    parameters = list(inspect.signature(type(case.loss).__init__).parameters.values())[1:]
    named = [
        p for p in parameters if p.kind is not p.VAR_POSITIONAL and p.kind is not p.VAR_KEYWORD
    ]
    assert all(p.kind is p.KEYWORD_ONLY for p in named)
    config = case.loss.get_config()
    assert {p.name for p in named} == set(config)
    assert all(getattr(case.loss, name) == value for name, value in config.items())


@each_case
def test_half_precision_is_computed_in_float32(case):
    if isinstance(case.loss, losses.MaskedGenerative):
        pytest.skip("hides other cells at the next call")
    teacher, student = (x.astype("f2") for x in tensors(case))
    value = case.bound()(teacher, student)
    assert keras.backend.standardize_dtype(value.dtype) == "float32" and tuple(value.shape) == ()
    exact = case.bound()(teacher.astype("f4"), student.astype("f4"))
    assert float(value) == pytest.approx(float(exact), rel=1e-6)


@each_case
def test_works_in_a_graph_of_unknown_batch(case):
    tf = pytest.importorskip("tensorflow")
    if isinstance(case.loss, losses.MaskedGenerative):
        pytest.skip("hides other cells at the next call")
    teacher, student = tensors(case)
    expected = float(case.bound()(teacher, student))
    spec = tf.TensorSpec((None, *case.shape[1:]))
    compiled = tf.function(lambda t, s: case.bound()(t, s), input_signature=[spec, spec])
    assert float(compiled(teacher, student)) == pytest.approx(expected, rel=1e-5)
