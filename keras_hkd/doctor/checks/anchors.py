"""Whether labels get anchors (or points), and anchors get labels."""

import numpy as np
from keras import ops

from keras_hkd.doctor.case import Case
from keras_hkd.doctor.declared import check
from keras_hkd.doctor.finding import Finding, fault, ok, warning

_WITHOUT = (0.25, 0.5)
_SAME_PX = 1.0


@check(order=55)
def anchors(case: Case) -> Finding | None:
    """Let the student assign the labels of some training batches to its anchors."""
    student = case.student
    if not getattr(student, "levels", ()):
        return None
    level_of = np.repeat(
        np.arange(len(student.levels)),
        [
            student.anchors_per_cell * rows * columns
            for rows, columns in student.level_shapes(case.image_size).values()
        ],
    )
    counts, per_level = [], np.zeros(len(student.levels), int)
    for images, labels in case.batches:
        outputs = student(ops.convert_to_tensor(images), training=False)
        tensors = {name: ops.convert_to_tensor(value) for name, value in labels.items()}
        assigned = student.assign(outputs, student.check_labels(tensors), case.image_size)
        positive = ops.convert_to_numpy(assigned.positive)
        targets = ops.convert_to_numpy(assigned.target_boxes)
        for row, people in enumerate(labels["boxes"]):
            theirs = targets[row, positive[row]]
            away = np.abs(people[labels["classes"][row] >= 0][:, None] - theirs).max(axis=-1)
            counts += (away < _SAME_PX).sum(axis=1).tolist()
        per_level += np.bincount(level_of[positive.any(axis=0)], minlength=len(per_level))
    if not counts:
        return None
    without = float(np.mean(np.array(counts) == 0))
    idle = [level for level, count in zip(student.levels, per_level, strict=True) if not count]
    figures = {
        "num_labels": len(counts),
        "share_without_anchor": without,
        "median_anchors_per_label": float(np.median(counts)),
        "anchors_with_label_by_level": dict(zip(student.levels, per_level.tolist(), strict=True)),
    }
    text = (
        f"{without:.0%} of {len(counts)} labels get no anchor of the student; the others "
        f"{np.median([count for count in counts if count] or [0]):.0f} each (median)"
    )
    text += f"; no label goes to {', '.join(idle)}." if idle else "."
    grade = sum(without > limit for limit in _WITHOUT)
    if not grade and 2 * len(idle) <= len(per_level):
        return ok(text, **figures)
    advice = "People without anchor teach the student nothing, most often since they are too small:"
    advice += " train at a larger --image-size, or take a student with a finer level."
    if not grade:
        advice = "Train at a larger --image-size, or take a student without the coarse levels."
    return (fault if grade == 2 else warning)(text, advice, **figures)
