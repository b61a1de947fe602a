"""RTMDet teaches and learns: every hierarchy that `possible` lists, in its family and beyond."""

import keras
import numpy as np
import pytest
from fixtures.every_hierarchy import assert_everything_teaches, working

import keras_hkd
from keras_hkd.detectors import build
from keras_hkd.hierarchies import CrossHead, Step, possibilities

SIZE = (64, 96)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eagerly", "every_detection_counts")]


@pytest.fixture(scope="module")
def teacher(new_detector):
    return new_detector(seed=1, pyramid_channels=48)


@pytest.fixture(scope="module")
def student(new_detector):
    return new_detector(seed=2)


def test_every_hierarchy_within_the_family(teacher, student, images, labels):
    table, distiller, names = working(teacher, student)
    direct = {"Pyramid", "Region", "ClassTower", "ClassLogits", "Boxes(GIoU)", "CrossHead"}
    assert {name for name, row in table.items() if row.works} >= {*direct, "Review"}
    assert table["ClassLogits"].how == table["Boxes(GIoU)"].how == "direct"
    assert not table["Boxes(LocalizationDistillation)"].works  # edges are numbers
    assert_everything_teaches(distiller, names, images, labels)


@pytest.mark.parametrize("size", [None, (96, 128)], ids=["one size", "a larger teacher"])
def test_a_student_of_other_anchors(teacher, images, labels, size):
    other = build("retinanet_micro", image_size=SIZE, seed=3)
    table, distiller, names = working(teacher, other, teacher_image_size=size)
    assert table["ClassLogits"].how == "matched through decoded boxes"
    assert not table["CrossHead"].works
    assert_everything_teaches(distiller, names, images, labels)


def test_a_teacher_of_another_family(student, images, labels):
    other = build("yolo_v8_micro", image_size=SIZE, class_names=("car", "person"), seed=3)
    table, distiller, names = working(other, student)
    assert table["Boxes(GIoU)"].how == "matched through decoded boxes"
    assert_everything_teaches(distiller, names, images, labels)


def test_a_pruned_student_of_the_whole_one(teacher, images, labels):
    pruned = keras_hkd.prune_channels(teacher, 0.4)
    table, distiller, names = working(teacher, pruned)
    assert table["CrossHead"].works
    assert_everything_teaches(distiller, names, images, labels)


@pytest.mark.parametrize(
    "shared",
    [pytest.param(False, marks=pytest.mark.long), True],
    ids=["depthwise", "shared heads"],
)
def test_crossed_heads_of_a_copy_are_its_own(new_detector, images, labels, shared):
    """What the student's hidden maps give in the teacher's head is what it gives in its own."""
    parts = {"depthwise": not shared, "shared_heads": shared}
    teacher, copy = (new_detector(seed=5, **parts) for _ in range(2))
    hierarchy = CrossHead()
    hierarchy.attach(teacher, copy)
    outputs, seen = copy(images), teacher(images)
    assignment = copy.assign(outputs, labels, SIZE)
    step = Step(teacher, copy, seen, outputs, labels, assignment, SIZE)
    for key, name, width in (("class", "class_logits", 1), ("box", "box_outputs", 4)):
        found = np.asarray(hierarchy._cross(step, key, width))
        scale = np.abs(outputs[name]).max()
        np.testing.assert_allclose(found, outputs[name], atol=2e-3 * scale)


def test_one_convolution_in_a_head_cannot_be_crossed(new_detector, student):
    short = new_detector(num_head_convs=1)
    assert short.open_head("class") is None
    assert "can be cut" in possibilities.possible(short, student)["CrossHead"].how


@pytest.mark.long
def test_its_outputs_are_stored_and_teach_without_it(teacher, student, tmp_path):
    dataset = keras_hkd.data.synthetic_dataset(num_images=4, image_size=SIZE, seed=1)
    terms = [
        keras_hkd.hierarchies.Pyramid(keras_hkd.losses.PearsonCorrelation()),
        keras_hkd.hierarchies.ClassLogits(keras_hkd.losses.QualityFocalDistillation()),
        keras_hkd.hierarchies.Boxes(keras_hkd.losses.GIoU(), at="all"),
    ]
    cache = keras_hkd.TeacherCache.build(
        teacher, dataset, tmp_path / "cache", image_size=SIZE, hierarchies=terms
    )
    distiller = keras_hkd.Distiller(cache, student, terms)
    distiller.compile(keras.optimizers.SGD(1e-4))
    batches = cache.training_batches(dataset, batch_size=2, seed=0)
    taught = distiller.fit(batches, epochs=1, steps_per_epoch=1, verbose=0, shuffle=False).history
    assert all(np.isfinite(values).all() for values in taught.values())
    assert taught["pyramid_loss"][0] > 0 and taught["class_logits_loss"][0] > 0
