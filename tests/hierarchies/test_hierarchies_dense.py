"""Terms that compare dense predictions: which anchors count, and which pairs are refused."""

import keras
import numpy as np
import pytest

from keras_hkd.hierarchies import Boxes, ClassLogits, ClassTower
from keras_hkd.losses import FeatureImitation

DENSE = (ClassTower, ClassLogits, Boxes)


def attached(kind, teacher, student, **options):
    hierarchy = kind(FeatureImitation(), **options)
    hierarchy.attach(teacher, student)
    return hierarchy


def masked_error(a, b, mask):
    return np.square(a - b)[np.asarray(mask)].mean()


def rows(outputs):
    maps = outputs["class_tower"].values()
    return np.concatenate([values.reshape(2, -1, values.shape[-1]) for values in maps], axis=1)


def test_class_logits_at_all_leaves_out_ignored_anchors(family, step_of):
    teacher, student = family(), family()
    step = step_of(teacher, student)
    a, b = (o["class_logits"] for o in (step.teacher_outputs, step.student_outputs))
    wanted = masked_error(a, b, ~step.assignment.ignored)
    got = attached(ClassLogits, teacher, student).compute(step)
    assert float(got) == pytest.approx(wanted, rel=1e-5)


def test_class_logits_at_positives(family, step_of):
    teacher, student = family(), family()
    step = step_of(teacher, student)
    a, b = (o["class_logits"] for o in (step.teacher_outputs, step.student_outputs))
    wanted = masked_error(a, b, step.assignment.positive)
    got = attached(ClassLogits, teacher, student, at="positives").compute(step)
    assert float(got) == pytest.approx(wanted, rel=1e-5)


def test_boxes_read_positive_anchors(family, step_of):
    teacher, student = family(), family()
    step = step_of(teacher, student)
    a, b = (o["box_outputs"] for o in (step.teacher_outputs, step.student_outputs))
    got = attached(Boxes, teacher, student).compute(step)
    wanted = masked_error(a, b, step.assignment.positive)
    assert float(got) == pytest.approx(wanted, rel=1e-5)


def test_class_tower_reads_positive_cells(family, step_of):
    teacher, student = family(), family()
    step = step_of(teacher, student)
    wanted = masked_error(
        rows(step.teacher_outputs), rows(step.student_outputs), step.assignment.positive
    )
    hierarchy = attached(ClassTower, teacher, student)
    assert float(hierarchy.compute(step)) == pytest.approx(wanted, rel=1e-5)
    # A cell without a person may hold anything.
    step.student_outputs["class_tower"]["P3"][:, 0, 1] = 1e6
    assert float(hierarchy.compute(step)) == pytest.approx(wanted, rel=1e-5)


def test_class_tower_counts_a_cell_once_however_many_of_its_anchors_are_positive(family, step_of):
    teacher, student = family(), family()
    teacher.anchors_per_cell = student.anchors_per_cell = 3
    step = step_of(teacher, student)
    cells = np.asarray(step.assignment.positive).reshape(2, -1, 3).any(-1)
    wanted = masked_error(rows(step.teacher_outputs), rows(step.student_outputs), cells)
    got = attached(ClassTower, teacher, student).compute(step)
    assert float(got) == pytest.approx(wanted, rel=1e-5)


def test_class_tower_shares_one_projection_over_levels(family, step_of):
    teacher, student = family(width=6), family(width=4)
    hierarchy = attached(ClassTower, teacher, student)
    assert list(hierarchy.projections) == ["all"]
    assert float(hierarchy.compute(step_of(teacher, student))) > 0


@pytest.mark.parametrize("kind", DENSE)
def test_nobody_gives_zero_and_a_copy_gives_zero(family, step_of, kind):
    teacher, student = family(), family()
    options = {"at": "positives"} if kind is ClassLogits else {}
    hierarchy = attached(kind, teacher, student, **options)
    assert float(hierarchy.compute(step_of(teacher, student, student_seed=0))) == 0.0
    step = step_of(teacher, student)
    nobody = np.zeros_like(step.assignment.positive)
    step.assignment = step.assignment._replace(positive=nobody)
    assert float(hierarchy.compute(step)) == 0.0


@pytest.mark.parametrize("kind", (ClassLogits, Boxes))
def test_predictions_that_do_not_line_up_are_matched(family, other_family, kind):
    hierarchy = kind(FeatureImitation())
    many = family()
    many.anchors_per_cell = 9
    for teacher in (other_family(), many, family(levels=("P3", "P4"))):
        hierarchy.attach(teacher, family())
        assert hierarchy.describe_match(teacher, family()) == "matched through decoded boxes"
    assert hierarchy.describe_match(family(), family()) == "direct"
    assert (
        hierarchy.describe_match(family(), family(), same_size=False)
        == "matched through decoded boxes"
    )


def test_class_towers_of_other_families_and_anchors_are_read_cell_by_cell(family, other_family):
    teacher, student = other_family(levels=("P2", "P3", "P4")), family()
    teacher.anchors_per_cell = 9
    hierarchy = attached(ClassTower, teacher, student)
    assert hierarchy.attached_levels == ["P3", "P4"]
    with pytest.raises(ValueError, match="cannot read levels"):
        attached(ClassTower, family(levels=("P6",)), student)


def test_a_teachers_class_towers_of_several_widths_are_refused(family):
    teacher = family()
    teacher.tower_channels["P4"] = 7
    with pytest.raises(ValueError, match=r"one width. Received: a teacher with \[4, 7\]"):
        attached(ClassTower, teacher, family())


def test_levels_of_a_pruned_student_have_a_projection_for_each_width(family, step_of):
    teacher, student, uneven = family(width=6), family(width=6), family(width=6)
    uneven.tower_channels["P4"] = 5
    hierarchy = attached(ClassTower, teacher, uneven)
    assert list(hierarchy.projections) == ["width_5"]
    step = step_of(teacher, student)
    towers = step.student_outputs["class_tower"]
    # A projection that adds a channel of zeros.
    layer = hierarchy.projections["width_5"]
    layer.kernel.assign(np.reshape(np.eye(6)[:5], layer.kernel.shape))
    towers["P4"] = np.concatenate([towers["P4"][..., :5], 0 * towers["P4"][..., 5:]], axis=-1)
    wanted = attached(ClassTower, teacher, student).compute(step)
    towers["P4"] = towers["P4"][..., :5]
    assert float(hierarchy.compute(step)) == pytest.approx(float(wanted), rel=1e-5)
    assert float(wanted) > 0


def test_of_a_teacher_of_more_classes_those_of_the_student_count(family):
    attached(ClassLogits, family(class_names=("car", "person")), family())
    with pytest.raises(ValueError, match="has no 'person'.*as_detector"):
        attached(ClassLogits, family(class_names=("car", "dog")), family())


@pytest.mark.parametrize("role", ["teacher", "student"])
def test_a_head_that_hides_its_tower_is_refused(family, role):
    pair = {"teacher": family(), "student": family(), role: family(tower=False)}
    with pytest.raises(ValueError, match=f"cannot read the {role}'s class head.*ClassLogits"):
        attached(ClassTower, **pair)


def test_unknown_place_is_refused():
    with pytest.raises(ValueError, match="must be one of"):
        ClassLogits(FeatureImitation(), at="everywhere")


@pytest.mark.parametrize("kind", DENSE)
def test_config_round_trip(kind):
    options = {"at": "positives"} if kind is ClassLogits else {}
    hierarchy = kind(FeatureImitation(), name="mine", **options)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(hierarchy))
    assert type(again) is kind
    assert again.get_config() == hierarchy.get_config()
