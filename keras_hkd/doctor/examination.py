"""Runs the checks on a pair and its images."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_hkd.distillation.learners import as_learner
from keras_hkd.doctor.case import Case
from keras_hkd.doctor.declared import Check, chosen
from keras_hkd.doctor.diagnosis import Diagnosis
from keras_hkd.doctor.finding import Finding, fault
from keras_hkd.errors import InvalidTypeError, UserError
from keras_hkd.logs import silenced
from keras_hkd.progress import image_progress
from keras_hkd.training.settings import TrainingSettings

if TYPE_CHECKING:
    from keras_hkd.data import Dataset

_QUICKLY_COMPARED = 5000
"""So many pictures are compared in some seconds."""


def doctor(
    teacher: Any,
    student: Any,
    data: Dataset,
    *,
    test: Dataset | None = None,
    distiller: Any = None,
    teacher_cache: Any = None,
    settings: TrainingSettings | None = None,
    num_images: int = 64,
    out: str | os.PathLike | None = None,
    checks: Sequence[str] | None = None,
    progress: bool = True,
) -> Diagnosis:
    """Check a pair of detectors and their images before a training, in a few minutes.

    Nothing is trained: no weight of either model changes. Models run on images that lie evenly over
    `data`; labels, sizes and duplicates are looked at in all of them.

    Args:
        teacher: the trained detector, as `Distiller` takes it.
        student: the detector that is to be trained.
        data: the labelled training images.
        test: the images that the student will be measured on, to look for those that are in `data`
            too.
        distiller: the `Distiller` that will train, compiled or not; if None
            `Distiller(teacher, student)`.
        teacher_cache: a `TeacherCache` that is to take the teacher's place.
        settings: how training will be; 24 epochs at the student's size if None.
        num_images: how many images the models run on.
        out: folder for `doctor.txt`, `doctor.json` and pictures; nothing is written if None.
        checks: names of checks to run, of the table `CHECKS` of this package; all if None.
        progress: show a progress bar on the error stream if it is a terminal.

    Returns:
        A `Diagnosis`; print it to read it.

    Raises:
        TypeError: a model is no detector.
        ValueError: there is no image, or no check of a name.

    Example:

    >>> from keras_hkd.data import synthetic_dataset
    >>> from keras_hkd.detectors import build
    >>> images = synthetic_dataset(4, (64, 64), seed=0)
    >>> teacher, student = (build("yolo_v8_micro", image_size=(64, 64), seed=n) for n in (1, 2))
    >>> print(doctor(teacher, student, images, checks=["class_names"], progress=False))
    ok       Data, student and teacher agree on the classes: person.
    1 ok.
    """
    student = as_learner(student).deployed
    teacher = None if teacher is None else as_learner(teacher)
    for role, model in (("teacher", teacher), ("student", student)):
        if model is not None and model.kind != "detector":
            raise InvalidTypeError(
                "The doctor examines detectors. Received: as "
                f"{role} a {type(model).__name__}, a {model.kind}"
            )
    if settings is None:
        batch_size = min(TrainingSettings(epochs=1).batch_size, len(data))
        size = tuple(student.image_size)
        settings = TrainingSettings(epochs=24, batch_size=batch_size, image_size=size)
    case = Case(
        teacher=teacher,
        student=student,
        dataset=data,
        settings=settings,
        test=test,
        teacher_cache=teacher_cache,
        given_distiller=distiller,
        num_images=num_images,
        out=None if out is None else Path(out),
    )
    diagnosis = examine(case, chosen(checks), progress)
    if out is not None:
        diagnosis.save(out)
    return diagnosis


def first_look(
    teacher: Any,
    student: Any,
    data: Dataset,
    settings: TrainingSettings,
    test: Dataset | None = None,
) -> tuple[Finding, ...]:
    """Run the cheap checks, as `keras-hkd distill` does before it trains.

    Args:
        teacher: the teacher, or None where it does not run.
        student: the student.
        data: the training images.
        settings: how training will be.
        test: the images to measure on; where all are few, those among `data` are looked for.

    Returns:
        The findings.
    """
    case = Case(teacher=teacher, student=student, dataset=data, settings=settings, test=test)
    few = len(data) + len(test or ()) <= _QUICKLY_COMPARED
    cheap = {
        name: one for name, one in chosen().items() if one.cheap or (few and one.needs == ("test",))
    }
    return examine(case, cheap, progress=False).findings


def examine(case: Case, checks: dict[str, Check], progress: bool = True) -> Diagnosis:
    """Run checks on a case.

    What a user can mend, such as models that cannot be paired, is a finding: a fault with the
    message of the error, told once.

    Args:
        case: the pair and its images.
        checks: the checks by name, in order.
        progress: show a progress bar on the error stream if it is a terminal.
    """
    findings: list[Finding] = []
    not_applied = []
    progress_bar = image_progress("Examining", len(checks), progress, unit="checks")
    # TensorFlow would tell that it traces models often, which they are here on purpose.
    with silenced("tensorflow"), progress_bar as advance:
        for name, one in checks.items():
            found = _run(one, case)
            told = {earlier.text for earlier in findings if earlier.is_alarm}
            findings += [
                dataclasses.replace(each, check=name) for each in found if each.text not in told
            ]
            not_applied += [] if found else [name]
            advance(1)
    return Diagnosis(tuple(findings), tuple(not_applied))


def _run(check: Check, case: Case) -> list[Finding]:
    if any(getattr(case, need) is None for need in check.needs):
        return []
    try:
        found = check.load()(case)
    except UserError as error:
        found = fault(str(error), "Mend what the message says, and ask the doctor again.")
    if found is None:
        return []
    return list(found) if isinstance(found, Iterable) else [found]
