"""Whether the teacher knows something on these images that the student does not."""

import numpy as np

from keras_hkd.doctor.case import Case
from keras_hkd.doctor.declared import check
from keras_hkd.doctor.finding import Finding, fault, note, ok, warning
from keras_hkd.metrics import as_detections, coco_average_precision
from keras_hkd.metrics.matching import match_detections

_CLEAR = 0.02
_CONFIDENT = 0.3
_TIMES = 1.15
_TRAINED = 0.05


@check(order=20, needs=("teacher",))
def teacher_is_better(case: Case) -> list[Finding]:
    """Measure both on the same images, at the size at which they see them in training."""
    num_labels = int((~case.truth.ignore).sum())
    if not num_labels:
        return [
            fault("No image has a label that counts.", "Look at the data: keras-hkd check DATA.")
        ]
    teacher, student = case.teacher_scores["AP"], case.student_scores["AP"]
    taught = _found(case, case.teacher_found) & ~_found(case, case.student_found)
    figures = {
        "teacher_AP": teacher,
        "teacher_AP50": case.teacher_scores["AP50"],
        "student_AP": student,
        "num_images": len(case.images),
        "num_labels": num_labels,
        "labels_that_only_the_teacher_finds": int(taught.sum()),
    }
    shown = "" if case.teacher_size == case.image_size else f" at {case.size_text}"
    both = f"AP {teacher:.3f} at {_text(case.teacher_size)}, the student {student:.3f}{shown}"
    where = f"on {len(case.images)} of these images"
    own = _at_its_own_size(case)
    if not case.teacher_sees:
        found = fault(
            f"The teacher finds next to nobody: {both}, {where}.",
            own.advice
            if own
            else "Give a trained teacher: the .keras file of one, not a name. "
            "Are its classes, its pixels and the size what it was trained with?",
            **figures,
        )
    elif teacher <= student:
        found = fault(
            f"The teacher is no better than the student: {both}, {where}.",
            f"Take a better teacher, or train the student alone.{_if_trained(student)}",
            **figures,
        )
    elif teacher < student + _CLEAR:
        found = warning(
            f"The teacher is hardly better than the student: {both}, {where}.",
            f"Take a better teacher, or look at more images (--num-images).{_if_trained(student)}",
            **figures,
        )
    else:
        found = ok(
            f"The teacher has {both}, {where}; it finds {taught.sum()} of {num_labels} people that "
            "the student misses.",
            **figures,
        )
    return [found] if own is None else [found, own]


def _if_trained(student: float) -> str:
    """Warn that a trained student scores too high on images that it was trained on."""
    return (
        " If the student was trained on these images, its score is too high: ask with images that "
        "neither has seen (--data)."
        if student >= _TRAINED
        else ""
    )


def _at_its_own_size(case: Case) -> Finding | None:
    """Say so where the teacher is much better at a larger size of its own."""
    own, size = tuple(getattr(case.teacher, "image_size", case.image_size)), case.teacher_size
    if own == size or min(own) < min(size):
        return None
    there = coco_average_precision(case.truth, case.found_by(case.teacher, image_size=own))["AP"]
    here = case.teacher_scores["AP"]
    if there < max(_TIMES * here, here + _CLEAR):
        return None
    own_text = _text(own)
    return note(
        f"At its own size, {own_text}, the teacher has AP {there:.3f}.",
        f"Show it the images at its size, Distiller(..., teacher_image_size={own}), or train at "
        f"it, --image-size {own_text}.",
        own_size=list(own),
        AP_at_own_size=there,
    )


def _text(size: tuple[int, int]) -> str:
    return "x".join(map(str, size))


def _found(case: Case, results: list[dict]) -> np.ndarray:
    """Tell for each label whether it is found with some confidence."""
    found = as_detections([one for one in results if one["score"] >= _CONFIDENT], case.truth)
    matched = match_detections(case.truth, found).matched
    seen = np.zeros(len(case.truth.boxes), bool)
    seen[matched[matched >= 0]] = True
    return seen & ~case.truth.ignore
