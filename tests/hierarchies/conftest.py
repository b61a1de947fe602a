"""Detectors without a network: a step whose tensors a test makes up itself."""

import types

import numpy as np
import pytest

from keras_hkd.detectors.detector import Assignment
from keras_hkd.hierarchies.step import Step

SIZE = (64, 64)


class Family:
    """What hierarchies ask of a `Detector`, with made-up widths."""

    anchors_per_cell = 1

    def __init__(self, width=4, levels=("P3", "P4", "P5"), class_names=("person",), tower=True):
        self.width, self.levels, self.class_names = width, tuple(levels), class_names
        shape = (None, None, None, width)
        tower = {level: np.empty((1, 1, 1, width)) for level in levels} if tower else {}
        self.network = types.SimpleNamespace(output={"class_tower": tower}, shape=shape)
        self.found = []

    def channels(self, level):
        return self.width

    def stride(self, level):
        return 2 ** int(level[1:])

    def level_shapes(self, image_size):
        return {
            level: tuple(-(-s // self.stride(level)) for s in image_size) for level in self.levels
        }

    def box_values(self, box_outputs):
        return box_outputs

    def detections(self, outputs, image_size, *, max_detections, **options):
        boxes = np.full((2, max_detections, 4), -1.0, "float32")
        classes = np.full((2, max_detections), -1, "int32")
        for place, box in enumerate(self.found[:max_detections]):
            boxes[:, place], classes[:, place] = box, 0
        return {"boxes": boxes, "classes": classes}


class OtherFamily(Family):
    """Another kind of detector."""


def outputs_of(detector, seed):
    generator = np.random.default_rng(seed)
    shapes = detector.level_shapes(SIZE)
    anchors = sum(h * w for h, w in shapes.values()) * detector.anchors_per_cell

    def normal(*shape):
        return generator.normal(size=(2, *shape)).astype("float32")

    return {
        "pyramid": {level: normal(*shape, detector.width) for level, shape in shapes.items()},
        "class_tower": {level: normal(*shape, detector.width) for level, shape in shapes.items()},
        "class_logits": normal(anchors, len(detector.class_names)),
        "box_outputs": normal(anchors, 4),
    }


def make_step(teacher, student, people=(), *, teacher_seed=0, student_seed=1):
    """A step with these people in both images and every seventh anchor positive."""
    teacher_outputs = outputs_of(teacher, teacher_seed)
    student_outputs = outputs_of(student, student_seed)
    boxes = np.full((2, 4, 4), -1.0, "float32")
    boxes[:, : len(people)] = np.reshape(people, (-1, 4))
    classes = np.where(boxes[..., 2] > 0, 0.0, -1.0)
    positive = np.zeros(student_outputs["class_logits"].shape[:2], bool)
    positive[:, ::7] = True
    ignored = np.zeros_like(positive)
    ignored[:, 1::7] = True
    assignment = Assignment(positive, ignored, None, None)
    labels = {"boxes": boxes, "classes": classes}
    return Step(teacher, student, teacher_outputs, student_outputs, labels, assignment, SIZE)


@pytest.fixture
def family():
    return Family


@pytest.fixture
def other_family():
    return OtherFamily


@pytest.fixture
def step_of():
    return make_step
