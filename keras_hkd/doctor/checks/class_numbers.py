"""Whether the teacher's class of a number is the one that is labelled."""

import numpy as np
from keras import ops

from keras_hkd.boxes.iou import pairwise_iou
from keras_hkd.doctor.case import Case
from keras_hkd.doctor.declared import check
from keras_hkd.doctor.finding import Finding, fault, ok

_LEAST_SCORE = 0.2
_TIMES = 2.0


@check(order=30, needs=("teacher",))
def class_numbers(case: Case) -> Finding | None:
    """Read, where labels are, which of all classes of the teacher's network scores highest.

    Of a network that knows many classes, one number is chosen for each class that is taught. A
    wrong one teaches another class.
    """
    teacher = case.teacher
    num_known = getattr(getattr(teacher, "model", None), "num_classes", 1)
    if num_known < 2 or not getattr(teacher, "levels", ()):
        return None
    scores = _scores_at_labels(case, num_known)
    for name, of_class in scores.items():
        if name not in teacher.class_names:
            continue
        asked = teacher.class_indices[teacher.class_names.index(name)]
        best = int(of_class.argmax())
        if best != asked and of_class[best] > max(_LEAST_SCORE, _TIMES * of_class[asked]):
            return fault(
                f"Where {name} is labelled, class {best} of the teacher scores "
                f"{of_class[best]:.2f} and class {asked}, which was chosen, "
                f"{of_class[asked]:.2f}.",
                f"Choose class {best}: class_indices=..., or --person-class {best}. Labels may "
                "count classes from 1 where networks count from 0.",
                label=name,
                chosen=asked,
                highest=best,
                score_of_chosen=float(of_class[asked]),
                score_of_highest=float(of_class[best]),
            )
    return ok(
        f"Of the teacher's {num_known} classes the chosen ones score highest at their labels."
    )


def _scores_at_labels(case: Case, num_known: int) -> dict[str, np.ndarray]:
    """Compute, for each labelled class, the mean over labels of each known class's best score."""
    rows: dict[int, list[np.ndarray]] = {}
    for images, labels in case.batches:
        outputs = case.teacher.network(case.teacher.rescaled(ops.convert_to_tensor(images)))
        raw = {name: outputs[name] for name in case.teacher.head_names}
        heads = case.teacher.joined({name: ops.cast(v, "float32") for name, v in raw.items()})
        size = images.shape[1:3]
        boxes = ops.convert_to_numpy(case.teacher.decode_boxes(heads["box_outputs"], size))
        scores = ops.convert_to_numpy(ops.sigmoid(heads["class_logits"]))
        for row, people in enumerate(labels["boxes"]):
            near = pairwise_iou(people, boxes[row]) >= 0.5
            for person in np.flatnonzero((labels["classes"][row] >= 0) & near.any(axis=1)):
                number = int(labels["classes"][row, person])
                rows.setdefault(number, []).append(scores[row, near[person]].max(axis=0))
    names = case.dataset.class_names
    return {names[number]: np.mean(found, axis=0) for number, found in sorted(rows.items())}
