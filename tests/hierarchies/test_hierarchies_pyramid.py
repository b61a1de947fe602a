"""The pyramid term: mean over levels, with their weights."""

import keras
import numpy as np
import pytest

from keras_hkd import losses
from keras_hkd.hierarchies import Pyramid
from keras_hkd.losses import (
    AttentionTransfer,
    FeatureImitation,
    FocalGlobal,
    PearsonCorrelation,
)

OF_MAPS = ["PearsonCorrelation", "ChannelWiseDivergence", "FeatureImitation"]
OF_MAPS += [name for name in losses.__all__ if "features" in getattr(losses, name).compares]


def attached(teacher, student, loss=None, **options):
    hierarchy = Pyramid(loss or FeatureImitation(), **options)
    hierarchy.attach(teacher, student)
    return hierarchy


def errors(step):
    return {
        level: np.square(values - step.student_outputs["pyramid"][level]).mean()
        for level, values in step.teacher_outputs["pyramid"].items()
    }


def test_is_the_mean_over_levels(family, step_of):
    teacher, student = family(), family()
    step = step_of(teacher, student)
    wanted = errors(step)
    got = float(attached(teacher, student).compute(step))
    assert got == pytest.approx(np.mean(list(wanted.values())), rel=1e-5)
    got = float(attached(teacher, student, levels=("P4",)).compute(step))
    assert got == pytest.approx(wanted["P4"], rel=1e-5)


def test_level_weights(family, step_of):
    teacher, student = family(), family()
    step = step_of(teacher, student)
    wanted = errors(step)
    hierarchy = attached(teacher, student, levels=("P3", "P5"), level_weights=(3.0, 0.5))
    expected = (3 * wanted["P3"] + 0.5 * wanted["P5"]) / 2
    assert float(hierarchy.compute(step)) == pytest.approx(expected, rel=1e-5)


def test_people_whose_label_does_not_count_are_background(family, step_of):
    teacher, student = family(), family()
    steps = [step_of(teacher, student, people) for people in ([(8, 8, 30, 50)], ())]
    hierarchy = attached(teacher, student, loss=FocalGlobal(relation_weight=0.0))
    labelled, nobody = (float(hierarchy.compute(step)) for step in steps)
    steps[0] = step_of(teacher, student, [(8, 8, 30, 50)])
    steps[0].labels["classes"] = np.full_like(steps[0].labels["classes"], -1.0)
    assert float(hierarchy.compute(steps[0])) == pytest.approx(nobody, rel=1e-6)
    assert labelled != pytest.approx(nobody, rel=1e-3)


def test_is_zero_for_a_copy(family, step_of):
    teacher, student = family(), family()
    assert float(attached(teacher, student).compute(step_of(teacher, student, student_seed=0))) == 0


def test_cells_are_weighed_by_the_teachers_best_score(family, step_of):
    teacher, student = family(class_names=("person", "rider")), family()
    teacher.anchors_per_cell = student.anchors_per_cell = 3
    student.class_names = teacher.class_names
    step = step_of(teacher, student)
    logits, start, expected = step.teacher_outputs["class_logits"], 0, []
    for level, (height, width) in teacher.level_shapes((64, 64)).items():
        found = logits[:, start : start + 3 * height * width].reshape(2, height, width, 6)
        start += 3 * height * width
        scores = 1 / (1 + np.exp(-found.max(-1)))
        maps = (
            outputs["pyramid"][level] for outputs in (step.teacher_outputs, step.student_outputs)
        )
        squares = np.square(np.subtract(*maps)).mean(-1)
        expected.append((scores * squares).sum() / scores.sum())
    assert start == logits.shape[1]
    got = float(attached(teacher, student, at="teacher_scores").compute(step))
    assert got == pytest.approx(np.mean(expected), rel=1e-5)
    assert got != pytest.approx(float(attached(teacher, student).compute(step)), rel=1e-3)


def test_imitation_of_standardised_maps_is_the_correlation_loss(family, step_of):
    teacher, student = family(), family()
    step = step_of(teacher, student)
    features = step.teacher_outputs["pyramid"]
    step.teacher_outputs["pyramid"] = {level: 40 * x + 7 for level, x in features.items()}
    imitation = attached(teacher, student, standardize=True)
    correlation = attached(teacher, student, loss=PearsonCorrelation())
    expected = 2 * float(correlation.compute(step))
    assert float(imitation.compute(step)) == pytest.approx(expected, rel=1e-4)
    assert float(attached(teacher, student).compute(step)) > 100 * expected


def test_all_cells_alike_say_what_is_standard(family, step_of):
    """Moments weighed by the scores would be those of the people, who would not stand out."""
    teacher, student = family(levels=("P3",)), family(levels=("P3",))
    step = step_of(teacher, student)
    scores = 1 / (1 + np.exp(-step.teacher_outputs["class_logits"].reshape(2, 8, 8)))
    maps = [outputs["pyramid"]["P3"] for outputs in (step.teacher_outputs, step.student_outputs)]
    a, b = ((x - x.mean((0, 1, 2))) / x.std((0, 1, 2), ddof=1) for x in maps)
    expected = np.average(np.square(a - b).mean(-1), weights=scores)
    hierarchy = attached(teacher, student, at="teacher_scores", standardize=True)
    assert float(hierarchy.compute(step)) == pytest.approx(expected, rel=1e-4)


def far(step, shift):
    """The step with all of the teacher's scores lower."""
    step.teacher_outputs["class_logits"] = step.teacher_outputs["class_logits"] - np.float32(shift)
    return step


@pytest.mark.parametrize("name", OF_MAPS)
def test_a_loss_weighs_cells_or_is_refused(name, family, step_of):
    """However little a teacher sees in a batch, the term neither explodes nor fades away."""
    kind = getattr(losses, name)
    if not kind.weighs_cells:
        with pytest.raises(ValueError, match=f"{name} cannot weigh cells"):
            Pyramid(kind(), at="teacher_scores")
        return
    teacher, student = family(), family()
    people = [(8, 8, 30, 50)]
    hierarchy = attached(teacher, student, kind(), at="teacher_scores")
    value, faint = (
        float(hierarchy.compute(far(step_of(teacher, student, people), shift))) for shift in (4, 14)
    )
    assert faint == pytest.approx(value, rel=0.2)


def test_maps_of_unequal_width_are_standardised_each_by_itself(family, step_of):
    teacher, student = family(width=6), family(width=4)
    hierarchy = attached(teacher, student, loss=AttentionTransfer(), standardize=True)
    assert not hierarchy.projections
    step = step_of(teacher, student)
    before = float(hierarchy.compute(step))
    features = step.student_outputs["pyramid"]
    step.student_outputs["pyramid"] = {level: 3 * x - 5 for level, x in features.items()}
    assert float(hierarchy.compute(step)) == pytest.approx(before, rel=1e-3)


def test_scores_need_the_classes_of_the_student_and_a_known_word(family):
    with pytest.raises(ValueError, match="Pyramid\\(at='teacher_scores'\\)"):
        attached(family(class_names=("car",)), family(), at="teacher_scores")
    with pytest.raises(ValueError, match="`at` must be one of"):
        Pyramid(FeatureImitation(), at="positives")


def test_only_levels_in_common_are_read_across_families(family, other_family, step_of):
    teacher = other_family(width=6, levels=("P3", "P4", "P5", "P6", "P7"))
    student = family()
    hierarchy = attached(teacher, student)
    assert hierarchy.attached_levels == ["P3", "P4", "P5"]
    assert set(hierarchy.projections) == {"P3", "P4", "P5"}
    assert np.isfinite(float(hierarchy.compute(step_of(teacher, student))))


def test_projections_are_trainable_layers_of_the_hierarchy(family):
    hierarchy = attached(family(width=6), family(width=4))
    assert len(hierarchy.trainable_variables) == 6
    assert hierarchy.projections["P3"].kernel.shape == (4, 6)


def test_a_loss_that_takes_any_width_gets_no_projection(family):
    loss = PearsonCorrelation()
    loss.needs_equal_channels = False
    assert not attached(family(width=6), family(width=4), loss=loss).projections


@pytest.mark.parametrize("levels", [("P2",), ("P3", "P6")])
def test_missing_levels_are_refused(family, levels):
    with pytest.raises(ValueError, match="Pyramid cannot read levels.*the teacher has.*Pass"):
        attached(family(), family(), levels=levels)


def test_no_level_in_common_is_refused(family):
    with pytest.raises(ValueError, match="cannot read levels in common"):
        attached(family(levels=("P3",)), family(levels=("P4",)))


@pytest.mark.parametrize("levels", [None, ("P3",)])
def test_a_weight_without_its_level_is_refused(levels):
    with pytest.raises(ValueError, match="one number for each of `levels`"):
        Pyramid(FeatureImitation(), levels=levels, level_weights=(1.0, 2.0))


def test_config_round_trip():
    hierarchy = Pyramid(
        PearsonCorrelation(),
        at="teacher_scores",
        standardize=True,
        levels=("P3", "P4"),
        level_weights=(1.0, 2.0),
    )
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(hierarchy))
    assert again.get_config() == hierarchy.get_config()
    assert isinstance(again.loss, PearsonCorrelation)
    assert again.level_weights == (1.0, 2.0)
