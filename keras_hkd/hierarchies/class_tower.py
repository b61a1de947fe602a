"""Class tower hierarchy: the last hidden map of the class head, where people are."""

import keras
from keras import ops

from keras_hkd.hierarchies.hierarchy import Hierarchy, check_same_anchors


@keras.saving.register_keras_serializable(package="keras_hkd")
class ClassTower(Hierarchy):
    """Compares the vectors that the class predictor reads, at positive cells.

    `L = 1 / |P| * sum_{i in P} loss(h_i^T, chi(h_i^S))`, P the cells of all levels where the
    student's assignment puts a person, chi a 1x1 convolution where widths differ. This is HKD's
    "logit" tap as the authors' code has it: the vector before the predictors, not the scores.
    Averaged over all cells it would be swamped by background.

    Args:
        loss: how vectors `(batch, cells, channels)` are compared; called with
            `mask (batch, cells)`.
        name: of the term.

    Raises:
        ValueError: when attached to detectors of different families, or to one whose class head
            hides its last map.

    Paper: https://arxiv.org/abs/1909.09325 (the logit tap).
    """

    default_name = "class_tower"
    learner_kinds = ("detector",)

    def check(self, teacher, student):
        check_same_anchors(teacher, student, type(self).__name__)
        for role, detector in (("teacher", teacher), ("student", student)):
            if set(detector.network.output["class_tower"]) != set(detector.levels):
                raise ValueError(
                    f"ClassTower cannot read the {role}'s class head: it has no `conv_layers` and "
                    "`prediction_layer`. Give it those attributes, or use ClassLogits."
                )

    def attach(self, teacher, student):
        self.check(teacher, student)
        widths = [
            detector.network.output["class_tower"][detector.levels[0]].shape[-1]
            for detector in (teacher, student)
        ]
        self.add_projection("all", *widths)
        self.built = True

    def compute(self, step):
        levels = step.student.levels
        mask = ops.concatenate([_rows(step.positive_cells[level], 0) for level in levels], axis=1)
        teacher, student = (
            ops.concatenate([_rows(outputs["class_tower"][level], 1) for level in levels], axis=1)
            for outputs in (step.teacher_outputs, step.student_outputs)
        )
        student = self.project("all", student)
        return self.compare("all", step, teacher, student, mask=ops.cast(mask, "float32"))


def _rows(grid, num_trailing):
    """`(batch, height, width, ...)` to `(batch, cells, ...)`."""
    _, height, width = grid.shape[:3]
    return ops.reshape(grid, (-1, height * width, *grid.shape[3 : 3 + num_trailing]))
