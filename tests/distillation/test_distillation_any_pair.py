"""Teacher and student of other families, sizes and classes: one eager step of all terms."""

import numpy as np
import pytest

import keras_hkd
from keras_hkd import hierarchies, losses

SIZE = (64, 64)


@pytest.fixture(scope="module")
def teachers(pair_of):
    from keras_hkd.detectors import build

    names = {"class_names": ("car", "person", "dog")}
    return {
        "retinanet": pair_of("retinanet")[0],
        "yolo_v8": pair_of("yolo_v8")[0],
        "many classes": build("yolo_v8_micro", image_size=SIZE, seed=4, **names),
    }


@pytest.fixture(autouse=True)
def every_detection_counts(monkeypatch):
    """Random weights are sure of nothing: what they detect scores next to 0."""
    monkeypatch.setattr("keras_hkd.hierarchies.step.MATCHED_SCORE", 0.0)


def terms(family):
    boxes = {
        "yolo_v8": losses.LocalizationDistillation(),
        "retinanet": losses.TeacherBoundedRegression(margin=100.0),
    }
    return [
        hierarchies.Pyramid(losses.PearsonCorrelation(), levels=("P3", "P4")),
        hierarchies.Region(losses.FeatureImitation(), score_threshold=0.0, num_detections=4),
        hierarchies.ClassTower(losses.FeatureImitation()),
        hierarchies.ClassLogits(losses.AdaptiveDistillation()),
        hierarchies.ClassLogits(losses.QualityFocalDistillation(), name="quality"),
        hierarchies.Boxes(losses.GIoU()),
        hierarchies.Boxes(boxes[family], name="raw_boxes"),
    ]


PAIRS = [
    ("retinanet", "yolo_v8", None),
    ("yolo_v8", "retinanet", None),
    ("many classes", "yolo_v8", None),
    ("many classes", "retinanet", (96, 96)),
    ("retinanet", "retinanet", (96, 128)),
]


@pytest.mark.parametrize(("teacher", "family", "size"), PAIRS)
def test_one_step_of_every_term_reaches_the_student(
    teachers, pair_of, batch, teacher, family, size
):
    tf = pytest.importorskip("tensorflow")
    images, labels = batch
    teacher, student = teachers[teacher], pair_of(family)[1]
    distiller = keras_hkd.Distiller(teacher, student, terms(family), teacher_image_size=size)
    student.trainable = True  # another pair may have had it as its teacher
    frozen = keras_hkd.distillation.weights_hash(teacher)
    with tf.GradientTape() as tape:
        outputs = distiller(images, training=True)
        loss = distiller.compute_loss(images, labels, outputs)
    values = {tracker.name: float(tracker.result()) for tracker in distiller.loss_trackers}
    assert all(np.isfinite(value) for value in values.values()), values
    learnt = {name for name, value in values.items() if value > 0}
    assert {"pyramid_loss", "region_loss", "class_logits_loss", "quality_loss"} <= learnt
    slopes = tape.gradient(loss, [v.value for v in distiller.trainable_variables])
    assert all(slope is not None and np.isfinite(slope).all() for slope in slopes)
    assert keras_hkd.distillation.weights_hash(teacher) == frozen


def test_what_a_pair_does_not_allow_is_said_with_what_it_does(teachers, pair_of):
    with pytest.raises(ValueError, match="one family(.|\n)*What this pair allows:(.|\n)*matched"):
        keras_hkd.Distiller(teachers["retinanet"], pair_of("yolo_v8")[1], hierarchies.CrossHead())
    with pytest.raises(ValueError, match=r"`teacher_image_size` must be \(height, width\)"):
        keras_hkd.Distiller(
            teachers["yolo_v8"], pair_of("yolo_v8")[1], [], teacher_image_size=(1, 2, 3)
        )


def test_a_teacher_of_the_batchs_own_size_takes_the_direct_path(pair_of, batch, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("matching costs time")

    monkeypatch.setattr("keras_hkd.hierarchies.step.match_detections", never)
    teacher, student = pair_of("yolo_v8")
    images, labels = batch
    for size in (None, SIZE):
        distiller = keras_hkd.Distiller(
            teacher,
            student,
            hierarchies.ClassLogits(losses.AdaptiveDistillation()),
            teacher_image_size=size,
        )
        distiller.compute_terms(images, labels, distiller(images))


def test_detections_stand_for_a_teacher(pair_of, batch):
    """What a cache or a file holds is enough for terms of predictions and for regions."""
    from keras_hkd.hierarchies import Step

    images, labels = batch
    student = pair_of("yolo_v8")[1]
    outputs = student(images)
    known = {
        "boxes": labels["boxes"],
        "classes": labels["classes"],
        "confidence": np.where(labels["classes"] >= 0, 0.8, -1.0).astype("float32"),
    }
    assigned = student.assign(outputs, labels, SIZE)
    step = Step(None, student, {"detections": known}, outputs, labels, assigned, SIZE)
    boxes, valid = step.regions(2, 0.05)
    assert boxes.shape == (2, 4, 4) and np.asarray(valid).sum() == 6
    assert not step.lines_up
    term = hierarchies.ClassLogits(losses.QualityFocalDistillation())
    assert float(term.compute(step)) > 0
    np.testing.assert_array_equal(step.matched.found, assigned.positive)
