"""ClassTower: compares the last hidden maps of class heads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_hkd.errors import InvalidValueError
from keras_hkd.hierarchies.alignment import projection
from keras_hkd.hierarchies.hierarchy import Hierarchy, common_levels
from keras_hkd.tensors import Tensor

if TYPE_CHECKING:
    from keras_hkd.hierarchies.step import Step
    from keras_hkd.learner import Learner

__all__ = ["ClassTower"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class ClassTower(Hierarchy):
    """Compares the input vectors of the class predictors at positive cells.

    `L = 1 / |P| * sum_{i in P} loss(h_i^T, chi(h_i^S))`, P the cells of all levels that the
    student's assignment gives to a person, chi a 1x1 convolution if widths differ. This is HKD's
    "logit" tap as in the authors' code: the vector before the predictors, not the scores. Over all
    cells background would dominate the average. All levels share chi; of a student whose towers
    are of several widths, as after pruning, those of one width share it.

    Cells are those of the levels that both have; a teacher's map of another size is resized to the
    student's cells.

    Args:
        loss: loss between vectors `(batch, cells, channels)`; called with `mask (batch, cells)`.
        name: name of the term.

    Raises:
        ValueError: when attached, if the detectors have no common level, or the last map of a class
            head cannot be read, or the teacher's are of several widths.

    Reference:
        https://arxiv.org/abs/1909.09325 (the logit tap).
    """

    default_name = "class_tower"
    samples = ("FeatureImitation",)
    learner_kinds = ("detector",)
    tensors = ("features",)
    reads = ("class_tower",)
    rank = 3

    def check(self, teacher: Any, student: Learner) -> None:
        for role, detector in (("teacher", teacher), ("student", student)):
            channels = detector.tower_channels
            if not detector.levels or set(channels) != set(detector.levels):
                raise InvalidValueError(
                    f"ClassTower cannot read the {role}'s class head: it has no `conv_layers` and "
                    "`prediction_layer`. Give it those attributes, or use ClassLogits. "
                    f"Received: a {type(detector).__name__}"
                )
        widths = sorted(set(teacher.tower_channels.values()))
        if len(widths) > 1:
            raise InvalidValueError(
                "ClassTower compares the cells of all levels at once, so the teacher's towers must "
                f"be of one width. Received: a teacher with {widths}"
            )
        common_levels(None, teacher, student, type(self).__name__)

    def describe_match(self, teacher: Any, student: Learner, same_size: bool = True) -> str:
        return "direct" if same_size else "teacher's maps resized"

    def attach(self, teacher: Any, student: Learner) -> None:
        self.check(teacher, student)
        self.attached_levels = common_levels(None, teacher, student, type(self).__name__)
        widths = {level: student.tower_channels[level] for level in self.attached_levels}
        wanted = teacher.tower_channels[self.attached_levels[0]]
        if len(set(widths.values())) == 1:
            self.level_keys = dict.fromkeys(widths, "all")
            self.add_projection("all", wanted, next(iter(widths.values())))
        else:
            self.level_keys = {level: f"width_{width}" for level, width in widths.items()}
            for width in sorted({*widths.values()} - {wanted}):
                name = f"{self.name}_projection_width_{width}"
                self.projections[f"width_{width}"] = projection(width, wanted, name=name)
            self.add_projection("all", wanted, wanted)  # the loss's own layers, if it has any
        self.built = True

    def compute(self, step: Step) -> Tensor:
        levels = self.attached_levels
        mask = ops.concatenate([_rows(step.positive_cells[level], 0) for level in levels], axis=1)
        taught, learnt = [], []
        for level in levels:
            student = step.student_outputs["class_tower"][level]
            teacher = step.teacher_map(step.teacher_outputs["class_tower"][level], student)
            taught.append(_rows(teacher, 1))
            learnt.append(_rows(student, 1))
        if len(set(self.level_keys.values())) == 1:  # one product for all levels
            learnt = [self.project("all", ops.concatenate(learnt, axis=1))]
        else:
            learnt = [
                self.project(self.level_keys[level], rows)
                for level, rows in zip(levels, learnt, strict=True)
            ]
        teacher, student = (ops.concatenate(rows, axis=1) for rows in (taught, learnt))
        return self.compare("all", step, teacher, student, mask=ops.cast(mask, "float32"))


def _rows(grid: Tensor, num_trailing: int) -> Tensor:
    """Reshape `(batch, height, width, ...)` to `(batch, cells, ...)`."""
    _, height, width = grid.shape[:3]
    return ops.reshape(grid, (-1, height * width, *grid.shape[3 : 3 + num_trailing]))
