"""CrossHead on a real RetinaNet head: zero up to scale, gradients through the teacher."""

import keras
import numpy as np
import pytest

from keras_hkd.hierarchies import CrossHead
from keras_hkd.hierarchies.cross_head import _rescaled
from keras_hkd.hierarchies.step import Step
from keras_hkd.losses import GIoU, QualityFocalDistillation

SIZE = (64, 64)


@pytest.fixture(scope="module")
def pair():
    detectors = pytest.importorskip("keras_hkd.detectors")
    teacher, student = (detectors.build("retinanet_micro", image_size=SIZE, seed=s) for s in (1, 2))
    teacher.trainable = False
    return teacher, student


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(0, 255, (2, *SIZE, 3)).astype("f4")


@pytest.fixture
def labels():
    boxes = np.array([[[10, 10, 40, 60], [-1, -1, -1, -1]]] * 2, "f4")
    return {"boxes": boxes, "classes": np.array([[0, -1]] * 2, "f4")}


def step_of(teacher, student, images, labels):
    outputs = student(images)
    assignment = student.assign(outputs, labels, SIZE)
    return Step(teacher, student, teacher(images), outputs, labels, assignment, SIZE)


def attached(teacher, student, **options):
    hierarchy = CrossHead(**options)
    hierarchy.attach(teacher, student)
    return hierarchy


def cross_by_hand(step, name):
    """The crossing level by level in NumPy, but for the teacher's own layers."""
    heads = [getattr(detector.model, name) for detector in (step.teacher, step.student)]
    found = []
    for level in step.student.levels:
        maps = []
        for head, outputs in zip(heads, (step.teacher_outputs, step.student_outputs), strict=True):
            x = outputs["pyramid"][level]
            for layer in head.conv_layers[:-2]:
                x = layer(x)
            linear = type(head.conv_layers[-2]).from_config(
                {**head.conv_layers[-2].get_config(), "activation": None, "name": "linear"}
            )
            linear.build(x.shape)
            linear.set_weights(head.conv_layers[-2].get_weights())
            maps.append(np.asarray(linear(x), "f8").reshape(-1, linear.filters))
        wanted, x = maps
        x = (x - x.mean(0)) / (x.std(0, ddof=1) + 1e-6) * wanted.std(0, ddof=1) + wanted.mean(0)
        shape = outputs["pyramid"][level].shape
        x = np.maximum(x, 0).reshape(*shape[:3], -1).astype("f4")
        head = heads[0]
        x = np.asarray(head.prediction_layer(head.conv_layers[-1](x)))
        found.append(x.reshape(2, -1, 4 if name == "box_head" else 1))
    return np.concatenate(found, axis=1)


def test_value(pair, images, labels):
    teacher, student = pair
    step = step_of(teacher, student, images, labels)
    assignment, outputs = step.assignment, step.teacher_outputs
    classes = QualityFocalDistillation()(
        outputs["class_logits"],
        cross_by_hand(step, "classification_head"),
        mask=~np.asarray(assignment.ignored),
        positives=assignment.positive,
    )
    boxes = GIoU()(
        teacher.decode_boxes(outputs["box_outputs"], SIZE),
        teacher.decode_boxes(cross_by_hand(step, "box_head"), SIZE),
        teacher_scores=1 / (1 + np.exp(-np.asarray(outputs["class_logits"])[..., 0])),
        positives=assignment.positive,
    )
    value = float(attached(teacher, student).compute(step))
    assert value == pytest.approx(float(classes) + float(boxes), rel=1e-3)
    assert value > 0


def test_scale_and_offset_of_the_students_channels_do_not_matter(pair, images, labels):
    from keras_hkd.detectors import build

    teacher, _ = pair
    copy = build("retinanet_micro", image_size=SIZE, seed=3)
    copy.set_weights(teacher.get_weights())
    hierarchy = attached(teacher, copy)
    step = step_of(teacher, copy, images, labels)
    assert float(hierarchy.compute(step)) == pytest.approx(0.0, abs=1e-3)
    layer = copy.model.classification_head.conv_layers[-2]
    for variable in layer.trainable_variables[-2:]:  # of the last convolution before the cut
        variable.assign(3 * variable + (0.2 if variable.path.endswith("bias") else 0.0))
    scaled = step_of(teacher, copy, images, labels)
    logits = [np.asarray(x.student_outputs["class_logits"]) for x in (step, scaled)]
    assert np.abs(logits[1] - logits[0]).max() > 1e-3
    assert float(hierarchy.compute(scaled)) == pytest.approx(0.0, abs=1e-3)


def test_a_constant_channel_becomes_the_teachers_mean_without_gradient():
    tf = pytest.importorskip("tensorflow")
    teacher = np.random.default_rng(0).normal(3.0, 2.0, (2, 40, 40, 2)).astype("f4")
    student = tf.constant(np.full((2, 40, 40, 2), 1.7, "f4"))
    with tf.GradientTape() as tape:
        tape.watch(student)
        value = _rescaled(student, teacher)
        total = tf.reduce_sum(value * teacher)
    np.testing.assert_allclose(value, np.broadcast_to(teacher.mean((0, 1, 2)), value.shape), 1e-4)
    np.testing.assert_allclose(tape.gradient(total, student), 0.0, atol=1e-3)


def test_gradient_passes_the_teacher_and_stays_out_of_it(pair, images, labels):
    tf = pytest.importorskip("tensorflow")
    teacher, student = pair
    hierarchy = attached(teacher, student)
    with tf.GradientTape() as tape:
        value = hierarchy.compute(step_of(teacher, student, images, labels))
    heads = [student.model.classification_head, student.model.box_head]
    before = [v for head in heads for v in head.conv_layers[0].trainable_variables]
    after = [v for head in heads for v in head.prediction_layer.trainable_variables]
    slopes = tape.gradient(value, [v.value for v in (*before, *after)])
    # A bias just before the standardisation would have none; the kernels of all but it have.
    assert any(s is not None and np.abs(s.numpy()).max() > 0 for s in slopes[: len(before)])
    assert all(
        s is None for s in slopes[len(before) :]
    )  # the student's own predictor is crossed out
    assert hierarchy.variables == []  # the teacher's layers stay the teacher's


@pytest.fixture(scope="module")
def yolos():
    detectors = pytest.importorskip("keras_hkd.detectors")
    teacher, student = (detectors.build("yolo_v8_micro", image_size=SIZE, seed=s) for s in (1, 2))
    teacher.trainable = False
    return teacher, student


def test_heads_of_each_level_are_crossed_by_their_own_layers(yolos, images, labels):
    teacher, student = yolos
    hierarchy = attached(teacher, student)
    step = step_of(teacher, student, images, labels)
    found = np.asarray(hierarchy._cross(step, "class", 1))
    start = 0
    for number, level in enumerate(student.levels, start=1):
        name = f"yolo_v8_head_{number}_class"
        wanted, x = (
            np.asarray(outputs["taps"][f"{name}_1_bn"], "f8")
            for outputs in (step.teacher_outputs, step.student_outputs)
        )
        flat, target = (values.reshape(-1, values.shape[-1]) for values in (x, wanted))
        deviation = flat.std(0, ddof=1)
        flat = (flat - flat.mean(0)) / np.where(deviation > 1e-6, deviation + 1e-6, 1.0)
        flat = flat * target.std(0, ddof=1) + target.mean(0)
        hidden = flat.reshape(x.shape).astype("f4")
        hidden = hidden / (1 + np.exp(-hidden))
        for layer in ("_2_pad", "_2_conv", "_2_bn", "_2", "_3_conv"):
            hidden = teacher.model.get_layer(name + layer)(hidden)
        cells = x.shape[1] * x.shape[2]
        hidden = np.asarray(hidden).reshape(2, cells, 1)
        np.testing.assert_allclose(
            found[:, start : start + cells], hidden, atol=2e-3, err_msg=level
        )
        start += cells
    assert float(hierarchy.compute(step)) > 0


def test_yolo_v8_is_trained_through_the_teacher_and_a_copy_costs_nothing(yolos, images, labels):
    tf = pytest.importorskip("tensorflow")
    from keras_hkd.detectors import build

    teacher, student = yolos
    hierarchy = attached(teacher, student)
    before = teacher.get_weights()
    with tf.GradientTape() as tape:
        outputs = student(images, training=True)
        assignment = student.assign(outputs, labels, SIZE)
        step = Step(teacher, student, teacher(images), outputs, labels, assignment, SIZE)
        value = hierarchy.compute(step)
    names = [f"yolo_v8_head_{n}_{key}_1_conv" for n in (1, 2, 3) for key in ("class", "box")]
    kernels = [student.model.get_layer(name).kernel.value for name in names]
    slopes = tape.gradient(value, kernels)
    assert all(np.isfinite(s).all() and np.abs(s).max() > 0 for s in map(np.asarray, slopes))
    for old, new in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    copy = build("yolo_v8_micro", image_size=SIZE, seed=3)
    copy.set_weights(before)
    hierarchy = attached(teacher, copy)
    assert float(hierarchy.compute(step_of(teacher, copy, images, labels))) < 0.02


def test_heads_that_cannot_be_cut_and_other_sizes_are_refused(pair, images, labels):
    from keras_hkd.detectors.keras_cv.prediction_head import PredictionHead

    teacher, student = pair
    hierarchy = attached(teacher, student)
    outputs, seen = student(images), teacher(images)
    assignment = student.assign(outputs, labels, SIZE)
    options = {"teacher_image_size": (96, 96)}
    step = Step(teacher, student, seen, outputs, labels, assignment, SIZE, **options)
    with pytest.raises(ValueError, match="at one size"):
        hierarchy.compute(step)
    head = student.model.classification_head
    student.model.classification_head = PredictionHead(9, 8, 1)
    try:
        with pytest.raises(
            ValueError, match="at least two `conv_layers`(.|\n)*without the crossing"
        ):
            attached(teacher, student)
    finally:
        student.model.classification_head = head


def test_config_round_trip():
    hierarchy = CrossHead(QualityFocalDistillation(beta=2.0), name="crossed")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(hierarchy))
    assert again.name == "crossed" and again.loss.beta == 2.0
    assert again.get_config() == hierarchy.get_config()
