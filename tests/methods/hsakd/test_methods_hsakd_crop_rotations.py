"""Crops of people and background, and what is learned from them."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_hkd.hierarchies import CropRotations
from keras_hkd.hierarchies.step import Step
from keras_hkd.losses import LogitDistillation

SIZE = (96, 96)
NOBODY = [-1.0, -1.0, -1.0, -1.0]


@pytest.fixture(scope="module")
def pair():
    """A wide RetinaNet teaches a small YOLOv8: families need not agree."""
    from keras_hkd.detectors import build

    names = ("retinanet_micro", "yolo_v8_micro")
    return [build(name, image_size=SIZE, seed=seed) for seed, name in enumerate(names)]


@pytest.fixture(scope="module")
def hierarchy(pair):
    made = CropRotations(LogitDistillation(), crop_size=32)
    made.attach(*pair)
    return made


def step(images, boxes, **more):
    boxes = np.array(boxes, "float32")
    labels = {"boxes": boxes, "classes": np.where(boxes[..., 2] > 0, 0.0, -1.0), **more}
    return Step(None, None, None, None, labels, None, SIZE, images=images, training=True)


@pytest.fixture(scope="module")
def people():
    images = np.random.default_rng(0).uniform(0, 255, (2, *SIZE, 3)).astype("float32")
    boxes = [[(8, 8, 28, 48), (60, 20, 68, 30)], [(30, 30, 50, 90), NOBODY]]
    return step(images, boxes)


def test_crops_show_what_they_are_labelled_as(hierarchy):
    images = np.zeros((1, *SIZE, 3), "float32")
    images[0, 0:40, 0:32] = (200, 0, 0)  # the larger person
    images[0, 60:96, 64:96] = (0, 100, 0)
    boxes = [[(68, 64, 88, 92), (4, 4, 24, 34), (40, 40, 44, 50)]]  # the last is too small
    pixels, classes = (np.asarray(x) for x in hierarchy.crops(step(images, boxes)))
    assert pixels.shape == (4, 32, 32, 3)
    assert classes.tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(pixels[0, 8:24, 8:24].mean(axis=(0, 1)), (200, 0, 0), atol=1)
    np.testing.assert_allclose(pixels[1, 8:24, 8:24].mean(axis=(0, 1)), (0, 100, 0), atol=1)


def test_the_larger_people_come_first_and_empty_places_do_not_count(hierarchy):
    images = np.zeros((1, *SIZE, 3), "float32")
    _, classes = hierarchy.crops(step(images, [[(8, 8, 12, 20), NOBODY]]))
    assert np.asarray(classes).tolist() == [-1, -1, 1, 1]
    everywhere = np.array([[[0, 0, 96, 96]]], "float32")
    _, classes = hierarchy.crops(step(images, [[NOBODY, NOBODY]], ignore_boxes=everywhere))
    assert np.asarray(classes).tolist() == [-1, -1, -1, -1]
    loss = hierarchy.compute(step(images, [[NOBODY, NOBODY]], ignore_boxes=everywhere))
    assert float(loss) == 0.0


def test_backbones_see_the_pixels_that_their_detectors_take(pair, people, monkeypatch):
    """The teacher was trained on pixels in [0, 1]."""
    monkeypatch.setattr(pair[0], "scale", 1 / 255)
    monkeypatch.setattr(pair[0], "offset", None)
    hierarchy = CropRotations(LogitDistillation(), crop_size=32)
    hierarchy.attach(*pair)
    seen = {}
    for role in ("teacher", "student"):
        backbone = getattr(hierarchy._backbones, role)

        def spy(crops, training, role=role, backbone=backbone):
            seen[role] = float(keras.ops.max(crops))
            return backbone(crops, training=training)

        monkeypatch.setattr(hierarchy._backbones, role, spy)
    hierarchy.compute(people)
    assert 100 < seen["student"] <= 255
    assert seen["teacher"] == pytest.approx(seen["student"] / 255, rel=1e-5)


def test_families_without_a_backbone_of_their_own_are_refused(pair):
    lonely = types.SimpleNamespace(model=object(), class_names=pair[1].class_names)
    with pytest.raises(ValueError, match="as KerasCV's detectors.*a teacher of the family"):
        CropRotations(LogitDistillation()).attach(lonely, pair[1])


def test_background_touches_no_person(hierarchy):
    generator = np.random.default_rng(1)
    for _ in range(20):
        corners = generator.uniform(0, 60, (1, 3, 2))
        boxes = np.concatenate([corners, corners + generator.uniform(10, 36, (1, 3, 2))], axis=-1)
        images = np.zeros((1, *SIZE, 3), "float32")
        for x0, y0, x1, y1 in boxes[0].astype(int):
            images[0, y0 : y1 + 1, x0 : x1 + 1] = 255
        pixels, classes = hierarchy.crops(step(images, boxes))
        background = np.asarray(pixels)[np.asarray(classes) == 1]
        assert background.size == 0 or background[:, 2:-2, 2:-2].max() == 0


def test_each_part_trains_what_it_is_for(hierarchy, pair, people):
    teacher, student = pair
    groups = {
        "teacher": teacher,
        "student": student,
        **{f"teacher_{k}": v for k, v in hierarchy.teacher_branches.items()},
        **{f"student_{k}": v for k, v in hierarchy.student_branches.items()},
    }
    with tf.GradientTape(persistent=True) as tape:
        parts = hierarchy.parts(people)
    reached = [
        {
            name
            for name, model in groups.items()
            if any(
                g is not None
                for g in tape.gradient(part, [v.value for v in model.variables if v.trainable])
            )
        }
        for part in parts
    ]
    levels = ("P3", "P4", "P5")
    assert reached[0] == {"student", *(f"student_{level}" for level in levels)}
    assert reached[1] == {f"teacher_{level}" for level in levels}


def test_numbers(hierarchy, people, monkeypatch):
    """Both parts from made-up logits: divergence over what counts, cross-entropy of 8 pairs."""
    generator = np.random.default_rng(2)
    logits = [
        {k: generator.normal(0, 2, (32, 8)).astype("float32") for k in ("P3", "P5")}
        for _ in range(2)
    ]
    given = iter(logits)
    monkeypatch.setattr(hierarchy, "_logits", lambda *_, **__: next(given))
    taught, learned = (float(part) for part in hierarchy.parts(people))
    classes = np.asarray(hierarchy.crops(people)[1])
    assert classes.tolist()[:2] == [0, -1] and classes[4] == 0 and (classes == 1).any()
    counted = np.repeat(classes >= 0, 4)
    targets = (4 * np.maximum(classes, 0)[:, None] + np.arange(4)).ravel()

    def scores(x, t):
        exponentials = np.exp(np.float64(x) / t)
        return exponentials / exponentials.sum(axis=-1, keepdims=True)

    divergence = entropy = 0.0
    for level in ("P3", "P5"):
        q, p = (scores(one[level], 3.0)[counted] for one in logits)
        divergence += 9.0 * (q * np.log(q / p)).sum(axis=-1).mean()
        right = scores(logits[0][level], 1.0)[np.arange(32), targets][counted]
        entropy -= np.log(right).mean()
    assert taught == pytest.approx(divergence, rel=1e-5)
    assert learned == pytest.approx(entropy, rel=1e-5)


def test_crops_move_no_statistics_of_the_student(hierarchy, pair, people):
    student = pair[1]
    before = student.get_weights()
    branch = [
        np.array(keras.ops.convert_to_numpy(v))
        for v in hierarchy.student_branches["P3"].non_trainable_variables
    ]
    hierarchy.compute(people)
    for a, b in zip(student.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    after = hierarchy.student_branches["P3"].non_trainable_variables
    assert any(not np.array_equal(a, b) for a, b in zip(after, branch, strict=True))


def test_the_detectors_weights_are_not_its_own(hierarchy, pair):
    own = {id(variable) for variable in hierarchy.variables}
    for detector in pair:
        assert not own & {id(variable) for variable in detector.variables}
    heads = [
        layer for layer in hierarchy._flatten_layers() if isinstance(layer, keras.layers.Dense)
    ]
    assert {layer.kernel.shape[-1] for layer in heads} == {8}


def test_options():
    made = CropRotations(LogitDistillation(), num_people=3, context=1.0)
    again = CropRotations.from_config(made.get_config())
    assert (again.num_people, again.context, again.crop_size) == (3, 1.0, 64)
    with pytest.raises(ValueError, match="crop_size.*multiples of 32.*40"):
        CropRotations(LogitDistillation(), crop_size=40)
    pair = [types.SimpleNamespace(class_names=names) for names in (("person",), ("rider",))]
    with pytest.raises(ValueError, match="the same classes"):
        made.attach(*pair)
