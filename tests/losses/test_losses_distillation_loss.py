"""The contract that every loss keeps, whatever its formula."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_hkd import losses
from keras_hkd.losses import DistillationLoss

ALL = {
    "feature_imitation": losses.FeatureImitation(),
    "pearson_correlation": losses.PearsonCorrelation(),
    "softmax": losses.LogitDistillation(),
    "sigmoid": losses.LogitDistillation(activation="sigmoid", temperature=2.0),
    "adaptive": losses.AdaptiveDistillation(),
    "adaptive_paper": losses.AdaptiveDistillation(form="paper", gamma=1.0),
    "attention": losses.AttentionTransfer(),
    "channel_wise": losses.ChannelWiseDivergence(temperature=2.0),
    "dist": losses.DIST(),
    "dist_sigmoid": losses.DIST(activation="sigmoid"),
    "quality_focal": losses.QualityFocalDistillation(),
}
each_loss = pytest.mark.parametrize("loss", ALL.values(), ids=ALL.keys())


@each_loss
def test_empty_batch_is_zero(loss, gradients):
    value, _, gradient = gradients(loss, np.zeros((0, 4, 3), "f4"), np.zeros((0, 4, 3), "f4"))
    assert value == 0.0
    assert gradient.shape == (0, 4, 3)


@each_loss
def test_everything_masked_is_zero_with_zero_gradient(loss, random, gradients):
    value, _, gradient = gradients(loss, random(2, 4, 3), random(2, 4, 3), np.zeros((2, 4)))
    assert value == 0.0
    np.testing.assert_array_equal(gradient, 0.0)


@each_loss
def test_gradient_reaches_the_student_and_never_the_teacher(loss, random, gradients):
    _, d_teacher, d_student = gradients(loss, random(2, 4, 3), random(2, 4, 3))
    assert d_teacher is None
    assert np.all(np.isfinite(d_student))
    assert np.all(d_student != 0)


@each_loss
def test_result_is_a_float32_scalar_from_half_precision(loss, random, gradients):
    teacher, student = random(2, 4, 3).astype("f2"), random(2, 4, 3).astype("f2")
    value = loss(ops.convert_to_tensor(teacher), ops.convert_to_tensor(student))
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    assert tuple(value.shape) == ()
    assert float(value) == pytest.approx(
        float(loss(teacher.astype("f4"), student.astype("f4"))), rel=1e-6
    )
    # 300^2 is beyond float16, and so is a sum of it: arithmetic is float32 inside.
    assert np.isfinite(gradients(loss, 300 * teacher, -300 * student)[0])


@each_loss
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_extreme_values_stay_finite(loss, sign, gradients):
    signs = np.where(np.arange(24).reshape(2, 4, 3) % 2, 50.0, -50.0).astype("f4")
    value, _, gradient = gradients(loss, signs, sign * signs)
    assert np.isfinite(value) and value >= 0
    assert np.all(np.isfinite(gradient))


@each_loss
def test_masking_positions_equals_removing_them(loss, random, gradients):
    teacher, student = random(2, 6, 3), random(2, 6, 3)
    keep = np.array([True, False, True, True, False, True])
    expected, _, d_kept = gradients(loss, teacher[:, keep], student[:, keep])
    teacher[:, ~keep], student[:, ~keep] = np.nan, np.inf  # what is masked is never read
    value, _, gradient = gradients(loss, teacher, student, np.stack([keep, keep]))
    assert value == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(gradient[:, keep], d_kept, rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(gradient[:, ~keep], 0.0)


@each_loss
def test_a_mask_of_ones_changes_nothing(loss, random):
    teacher, student = random(3, 2, 4, 3), random(3, 2, 4, 3)
    expected = pytest.approx(float(loss(teacher, student)), rel=1e-5)
    for shape in [(3,), (3, 2), (3, 2, 4)]:
        assert float(loss(teacher, student, mask=np.ones(shape))) == expected


@each_loss
def test_permuting_images_positions_or_channels_changes_nothing(loss, random):
    teacher, student = random(3, 5, 4), random(3, 5, 4)
    expected = pytest.approx(float(loss(teacher, student)), rel=1e-5)
    for axis in range(3):
        order = np.roll(np.arange(teacher.shape[axis]), 1)
        shuffled = loss(np.take(teacher, order, axis), np.take(student, order, axis))
        assert float(shuffled) == expected


@each_loss
def test_repeating_the_batch_changes_nothing_but_small_sample_corrections(loss, random):
    # Large enough that the teacher's confidence exceeds 1 and n - 1 is close to n.
    teacher, student = random(4, 200, 3), random(4, 200, 3)
    twice = loss(np.concatenate([teacher] * 2), np.concatenate([student] * 2))
    assert float(twice) == pytest.approx(float(loss(teacher, student)), rel=2e-3)


@each_loss
def test_works_compiled(loss, random):
    tf = pytest.importorskip("tensorflow")
    teacher, student, mask = random(2, 4, 3), random(2, 4, 3), np.array([[1, 1, 0, 1]] * 2, "f4")
    expected = pytest.approx(float(loss(teacher, student, mask=mask)), rel=1e-5)
    compiled = tf.function(loss.__call__, jit_compile=True)
    assert float(compiled(tf.constant(teacher), tf.constant(student), mask=mask)) == expected
    unknown = tf.TensorSpec((None, None, 3))
    dynamic = tf.function(lambda t, s: loss(t, s), input_signature=[unknown, unknown])
    assert float(dynamic(teacher, student)) == pytest.approx(float(loss(teacher, student)))
    assert float(dynamic(teacher[:0], student[:0])) == 0.0


@each_loss
@pytest.mark.parametrize(
    ("teacher", "student", "words"),
    [
        ((2, 4, 3), (3, 4, 3), "same batch"),
        ((2, 4, 3), (2, 1, 3), "resize"),
        ((2, 4, 3), (2, 3), "3 and 2 axes"),
        ((1, 4, 3), (2, 4, 3), "same batch"),
    ],
)
def test_unequal_shapes_are_refused_by_name(loss, teacher, student, words):
    with pytest.raises(ValueError, match=words) as error:
        loss(np.zeros(teacher, "f4"), np.zeros(student, "f4"))
    for part in (type(loss).__name__, str(teacher), str(student)):
        assert part in str(error.value)


@each_loss
def test_unequal_channels_are_refused_where_they_matter(loss):
    teacher, student = np.zeros((2, 4, 5), "f4"), np.zeros((2, 4, 3), "f4")
    if loss.needs_equal_channels:
        with pytest.raises(ValueError, match="Project the student to the teacher's 5 channels"):
            loss(teacher, student)
    else:
        assert float(loss(teacher, student)) == 0.0


@each_loss
@pytest.mark.parametrize("mask", [(2, 1), (1, 4), (4,), (2, 3), (2, 4, 3, 1), (2, 4, 1)])
def test_masks_that_would_broadcast_are_refused(loss, mask):
    with pytest.raises(ValueError, match="leading axes|last axis whole"):
        loss(np.zeros((2, 4, 3), "f4"), np.zeros((2, 4, 3), "f4"), mask=np.ones(mask))


@pytest.mark.parametrize("name", ["pearson_correlation", "softmax", "sigmoid"])
def test_losses_over_channels_take_no_mask_of_channels(name):
    with pytest.raises(ValueError, match=r"at most \(2, 4\).*mask of shape \(2, 4, 3\)"):
        ALL[name](np.zeros((2, 4, 3)), np.zeros((2, 4, 3)), mask=np.ones((2, 4, 3)))
    with pytest.raises(ValueError, match="at least 2 axes"):
        ALL[name](np.zeros(4), np.zeros(4))


@each_loss
def test_config_round_trip(loss, random, tmp_path):
    config = keras.saving.serialize_keras_object(loss)
    assert config["registered_name"] == f"keras_hkd>{type(loss).__name__}"
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config() == vars(loss)
    assert repr(again) == repr(loss)
    teacher, student = random(2, 4, 3), random(2, 4, 3)
    assert float(again(teacher, student)) == float(loss(teacher, student))


@each_loss
def test_hyper_parameters_are_keyword_only(loss):
    if loss.get_config():
        with pytest.raises(TypeError, match="positional"):
            type(loss)(1.0)


def test_channels_may_differ_where_a_loss_says_so():
    class Norms(DistillationLoss):
        needs_equal_channels = False

        def compute(self, teacher, student, mask):
            return ops.sum(teacher) - ops.sum(student)

    assert float(Norms()(np.ones((2, 5), "f4"), np.ones((2, 3), "f4"))) == 4.0
    with pytest.raises(ValueError, match="same batch"):
        Norms()(np.ones((1, 5), "f4"), np.ones((2, 3), "f4"))


def test_the_base_class_has_no_formula():
    with pytest.raises(NotImplementedError, match="must implement `compute"):
        DistillationLoss()(np.ones((2, 3)), np.ones((2, 3)))
