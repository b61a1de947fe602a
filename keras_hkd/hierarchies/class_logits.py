"""Class logits hierarchy: what both networks say about each anchor."""

import keras
from keras import ops

from keras_hkd.hierarchies.hierarchy import Hierarchy, check_same_anchors

PLACES = ("all", "positives")


@keras.saving.register_keras_serializable(package="keras_hkd")
class ClassLogits(Hierarchy):
    """Compares class logits anchor by anchor.

    Args:
        loss: how logits `(batch, anchors, classes)` are compared; called with
            `mask (batch, anchors)`.
        at: `"all"`, every anchor that the assignment does not ignore, or `"positives"`, those that
            stand for people. A plain squared error belongs to the positives: over all anchors
            background swamps it. Losses that weigh anchors themselves take all.
        name: of the term.

    Raises:
        ValueError: unknown `at`; or, when attached, predictions that do not line up.

    Example:
    >>> from keras_hkd.losses import AdaptiveDistillation
    >>> ClassLogits(AdaptiveDistillation(), at="all").at
    'all'
    """

    default_name = "class_logits"
    learner_kinds = ("detector",)
    gives = (*Hierarchy.gives, "labels", "positives")

    def __init__(self, loss, *, at="all", **kwargs):
        super().__init__(loss, **kwargs)
        if at not in PLACES:
            raise ValueError(f"`at` must be one of {PLACES}. Received: at={at!r}")
        self.at = at

    def check(self, teacher, student):
        check_same_anchors(teacher, student, type(self).__name__)
        if teacher.class_names != student.class_names:
            raise ValueError(
                "ClassLogits needs teacher and student of the same classes. Received: teacher "
                f"{teacher.class_names}, student {student.class_names}. Wrap the teacher with the "
                "student's classes: as_detector(model, class_names=..., class_indices=...)."
            )

    def compute(self, step):
        assignment = step.assignment
        mask = assignment.positive if self.at == "positives" else ~assignment.ignored
        return self.compare(
            "all",
            step,
            step.teacher_outputs["class_logits"],
            step.student_outputs["class_logits"],
            mask=ops.cast(mask, "float32"),
        )

    def given(self, step):
        assignment = step.assignment

        def labels():
            classes = ops.cast(ops.argmax(assignment.target_scores, axis=-1), "int32")
            return ops.where(assignment.positive, classes, -1)

        return {
            **super().given(step),
            "labels": labels,
            "positives": lambda: assignment.positive,
        }

    def get_config(self):
        return {**super().get_config(), "at": self.at}
