"""What a pair allows is said before anything is trained."""

import numpy as np
import pytest

from keras_hkd.boxes.coding import Distances
from keras_hkd.hierarchies import CrossHead, Pyramid, possible
from keras_hkd.hierarchies.alignment import misalignment, narrowed, shared_classes
from keras_hkd.hierarchies.possibilities import refusal
from keras_hkd.losses import FeatureImitation


@pytest.fixture
def detector(family):
    def make(kind=family, **options):
        made = kind(**options)
        made.kind, made.name, made.image_size = "detector", "made", (64, 64)
        return made

    return make


def test_a_pair_of_one_family_is_read_directly(detector):
    table = possible(detector(), detector())
    assert {table[name].how for name in ("Pyramid", "ClassLogits", "Boxes(GIoU)")} == {"direct"}
    assert "Logits" not in table  # of classifiers


def test_other_families_classes_and_sizes(detector, other_family):
    teacher = detector(other_family, class_names=("car", "person"))
    table = possible(teacher, detector(), teacher_image_size=(96, 96))
    assert table["ClassLogits"] == (True, "matched through decoded boxes")
    assert table["Pyramid"] == (True, "teacher's maps resized")
    assert table["Region"].works and table["ClassTower"].works
    assert not table["CrossHead"].works and "one family" in table["CrossHead"].how
    teacher.class_names = ("car",)
    table = possible(teacher, detector())
    assert not table["ClassLogits"].works and "no 'person'" in table["ClassLogits"].how
    assert table["Pyramid"].works


def test_it_prints_as_a_table(detector):
    lines = str(possible(detector(), detector())).splitlines()
    assert ["Pyramid", "yes", "direct"] in [line.split() for line in lines]
    assert [line.split()[0] for line in lines] == list(possible(detector(), detector()))


def test_without_a_teacher_and_with_raw_models(detector):
    table = possible(None, detector())
    assert table["NeighbourCells"].works
    assert table["Pyramid"] == (False, "Pyramid needs a teacher. Received: teacher=None")
    with pytest.raises(TypeError, match="as teacher; wrap.*as_detector"):
        possible(object(), detector())


def test_a_hierarchy_of_one_grid_needs_one_size(detector):
    hierarchy = Pyramid(FeatureImitation())
    hierarchy.needs_same_grid = True
    assert "one size" in refusal(hierarchy, detector(), detector(), same_size=False)
    assert refusal(hierarchy, detector(), detector()) is None
    assert CrossHead.needs_same_grid


def test_anchors_of_equal_number_and_other_shapes_do_not_line_up(detector):
    teacher, student = detector(), detector()
    assert misalignment(teacher, student) is None
    teacher.anchor_sizes, student.anchor_sizes = (((32.0, 32.0),),), (((24.0, 24.0),),)
    assert "`anchor_sizes` must be equal" in misalignment(teacher, student)


def test_boxes_that_are_coded_otherwise_do_not_line_up(detector):
    teacher, student = detector(), detector()
    student.coding = Distances(exponential=True)
    assert "`coding` must be equal" in misalignment(teacher, student)


def test_classes_are_chosen_by_name(detector):
    teacher = detector(class_names=("car", "person", "dog"))
    chosen = shared_classes(teacher, detector(class_names=("dog", "person")))
    assert chosen == (2, 1)
    logits = np.arange(6, dtype="float32").reshape(1, 2, 3)
    found = {"classes": np.array([[2, 0, 1, -1]]), "boxes": "kept"}
    outputs = narrowed({"class_logits": logits, "detections": found}, chosen)
    np.testing.assert_array_equal(outputs["class_logits"], [[[2, 1], [5, 4]]])
    np.testing.assert_array_equal(outputs["detections"]["classes"], [[0, -1, 1, -1]])
    assert outputs["detections"]["boxes"] == "kept"
    assert narrowed(outputs, None) is outputs
    assert shared_classes(teacher, teacher) is None
