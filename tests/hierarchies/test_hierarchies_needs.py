"""What losses declare that they need reaches them, and what they learn belongs to the hierarchy."""

import keras
import numpy as np
import pytest

from keras_hkd import losses
from keras_hkd.boxes.coding import DistanceBins
from keras_hkd.hierarchies import (
    Boxes,
    ClassLogits,
    ClassTower,
    CrossHead,
    NeighbourCells,
    Pyramid,
    Region,
)

PERSON = [[10, 10, 30, 50]]


def test_pyramid_gives_boxes_and_image_size(family, step_of):
    teacher, student = family(), family()
    step = step_of(teacher, student, PERSON)
    loss = losses.FocalGlobal(relation_weight=0.0)
    pyramid = Pyramid(loss, levels=("P3", "P4"))
    pyramid.attach(teacher, student)
    expected = [
        float(
            loss(
                step.teacher_outputs["pyramid"][level],
                step.student_outputs["pyramid"][level],
                boxes=step.labels["boxes"],
                image_size=(64, 64),
            )
        )
        for level in ("P3", "P4")
    ]
    assert float(pyramid.compute(step)) == pytest.approx(np.mean(expected), rel=1e-6)


@pytest.mark.parametrize(
    ("loss", "num_variables"),
    [
        (losses.FocalGlobal(), 3 * (16 + 1)),  # two blocks and a projection's kernel, for 3 levels
        (losses.MaskedGenerative(), 3 * (4 + 1)),
        (losses.FineGrainedImitation(), 3 * 2),  # its adapter bridges the widths
    ],
    ids=["fgd", "mgd", "fgfi"],
)
def test_what_a_loss_learns_is_the_hierarchys(loss, num_variables, family, step_of, tmp_path):
    teacher, student = family(width=6), family(width=4)
    pyramids = [Pyramid(loss), Pyramid(loss)]
    for pyramid in pyramids:
        pyramid.attach(teacher, student)
    kernels = sum(len(p.trainable_variables) for p in pyramids[0].projections.values())
    assert (
        len(pyramids[0].trainable_variables)
        == num_variables - len(pyramids[0].projections) + kernels
    )
    assert not {id(v) for v in pyramids[0].variables} & {id(v) for v in pyramids[1].variables}
    step = step_of(teacher, student, PERSON)
    step.training = False
    values = [float(pyramid.compute(step)) for pyramid in pyramids]
    assert np.isfinite(values).all()
    for variable in pyramids[0].trainable_variables:
        variable.assign(variable + 0.1)
    changed = float(pyramids[0].compute(step))
    assert changed != values[0]
    keras.Sequential([pyramids[0]])  # tracked like any layer
    for pyramid, name in zip(pyramids, ("save", "load"), strict=True):
        holder = keras.Model()
        holder.hierarchies = [pyramid]
        holder.built = True
        getattr(holder, f"{name}_weights")(tmp_path / "hierarchy.weights.h5")
    assert float(pyramids[1].compute(step)) == changed


def test_class_logits_gives_labels_and_positives(family, step_of):
    names = ("person", "rider")
    teacher, student = family(class_names=names), family(class_names=names)
    step = step_of(teacher, student)
    positive = step.assignment.positive
    classes = np.random.default_rng(0).integers(0, 2, positive.shape)
    step.assignment = step.assignment._replace(target_scores=np.eye(2, dtype="f4")[classes])
    logits = [x["class_logits"] for x in (step.teacher_outputs, step.student_outputs)]
    loss = losses.DecoupledDistillation()
    hierarchy = ClassLogits(loss)
    hierarchy.attach(teacher, student)
    expected = loss(*(x[positive] for x in logits), labels=classes[positive])
    assert float(hierarchy.compute(step)) == pytest.approx(float(expected), rel=1e-4)
    loss = losses.QualityFocalDistillation()
    hierarchy = ClassLogits(loss)
    hierarchy.attach(teacher, student)
    expected = loss(*logits, mask=~step.assignment.ignored, positives=positive)
    assert float(hierarchy.compute(step)) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    ("hierarchy", "loss", "missing"),
    [
        (Region, losses.FocalGlobal(), "needs boxes.*which Region cannot give"),
        (Pyramid, losses.DecoupledDistillation(), "needs labels, which Pyramid cannot give"),
        (ClassLogits, losses.TeacherBoundedRegression(), "needs targets, which ClassLogits"),
        (Region, losses.HierarchicalContext(), "of 4 axes, and those of Region have 5"),
        (Region, losses.MaskedGenerative(), "of 4 axes, and those of Region have 5"),
        (ClassTower, losses.HierarchicalContext(), "of 4 axes, and those of ClassTower have 3"),
    ],
)
def test_a_loss_that_cannot_be_served_is_refused_at_construction(hierarchy, loss, missing):
    with pytest.raises(ValueError, match=missing):
        hierarchy(loss)


@pytest.mark.parametrize(
    ("make", "compares"),
    [
        (lambda: ClassLogits(losses.SoftLabelDivergence(activation="sigmoid")), "probabilities"),
        (lambda: ClassLogits(losses.GIoU()), "boxes"),
        (lambda: ClassLogits(losses.LocalizationDistillation()), "bins"),
        (lambda: Pyramid(losses.GIoU()), "boxes"),
        (lambda: Pyramid(losses.LogitDistillation()), "logits or bins"),
        (lambda: ClassTower(losses.AdaptiveDistillation()), "logits"),
        (lambda: Boxes(losses.AdaptiveDistillation()), "logits"),
        (lambda: Boxes(losses.AttentionTransfer()), "features"),
        (lambda: Boxes(losses.LocalizationDistillation(), decoded=True), "bins"),
        (lambda: Boxes(losses.GIoU(), decoded=False), "boxes"),
        (lambda: NeighbourCells(losses.LogitDistillation()), "logits or bins"),
        (lambda: CrossHead(losses.GIoU()), "boxes"),
        (lambda: CrossHead(box_loss=losses.QualityFocalDistillation()), "logits"),
    ],
)
def test_a_loss_made_for_other_tensors_is_refused_at_construction(make, compares):
    with pytest.raises(ValueError, match=f"compares {compares}, and .* reads"):
        make()


def test_losses_that_compare_anything_and_functions_are_taken_anywhere():
    for hierarchy in (Pyramid, ClassTower, ClassLogits, Boxes):
        for loss in (losses.FeatureImitation(), lambda t, s, mask=None: 0.0):
            assert hierarchy(loss).loss is loss
    assert not Boxes(losses.LogitDistillation()).compares_decoded  # bins are logits too


@pytest.mark.parametrize(
    "loss",
    [
        losses.LogitDistillation(),
        losses.DecoupledDistillation(),
        losses.DIST(),
    ],
)
def test_a_loss_that_one_class_leaves_nothing_is_refused_with_the_pair(loss, family):
    with pytest.raises(ValueError, match="sigmoid"):
        ClassLogits(loss).attach(family(), family())
    ClassLogits(losses.DIST(activation="sigmoid")).attach(family(), family())


def test_the_box_loss_of_cross_head_is_looked_at_too():
    with pytest.raises(ValueError, match="needs targets, which CrossHead cannot give"):
        CrossHead(box_loss=losses.TeacherBoundedRegression())


def test_giou_reads_decoded_boxes_and_bounded_regression_their_targets(family, step_of):
    teacher, student = family(), family()
    teacher.coding = student.coding = DistanceBins()
    for detector in (teacher, student):
        detector.decode_boxes = lambda outputs, size: np.concatenate(
            [outputs[..., :2], outputs[..., :2] + 5 + outputs[..., 2:]], -1
        )
    step = step_of(teacher, student)
    hierarchy = Boxes(losses.GIoU())
    hierarchy.attach(teacher, student)
    decoded = [
        teacher.decode_boxes(x["box_outputs"], None)
        for x in (step.teacher_outputs, step.student_outputs)
    ]
    scores = 1 / (1 + np.exp(-step.teacher_outputs["class_logits"].max(-1)))
    positive = step.assignment.positive
    expected = losses.GIoU()(*decoded, mask=positive, teacher_scores=scores, positives=positive)
    assert float(hierarchy.compute(step)) == pytest.approx(float(expected), rel=1e-5)

    with pytest.raises(ValueError, match="decoded=True"):
        Boxes(losses.TeacherBoundedRegression()).attach(teacher, student)
    hierarchy = Boxes(losses.TeacherBoundedRegression(), decoded=True)
    hierarchy.attach(teacher, student)
    step.assignment = step.assignment._replace(target_boxes=decoded[0] + 1)
    expected = losses.TeacherBoundedRegression()(*decoded, mask=positive, targets=decoded[0] + 1)
    assert float(hierarchy.compute(step)) == pytest.approx(float(expected), rel=1e-5)


def test_boxes_give_the_valuable_region(family, step_of):
    teacher, student = family(), family()
    teacher.coding = student.coding = DistanceBins()
    step = step_of(teacher, student, [[8, 8, 40, 56]])
    for outputs in (step.teacher_outputs, step.student_outputs):
        shape = outputs["box_outputs"].shape
        outputs["box_outputs"] = np.random.default_rng(0).normal(size=(*shape, 16)).astype("f4")
    step.student_outputs["box_outputs"] += np.linspace(0, 3, 16, dtype="f4")
    corner = np.random.default_rng(1).uniform(0, 40, (shape[1], 2))
    anchors = np.concatenate([corner, corner + 32], -1).astype("f4")
    student.anchors = lambda size: anchors
    values = []
    for weight in (0.0, 1.0):
        hierarchy = Boxes(losses.LocalizationDistillation(valuable_weight=weight))
        hierarchy.attach(teacher, student)
        values.append(float(hierarchy.compute(step)))
    assert 0 < values[0] < values[1]
