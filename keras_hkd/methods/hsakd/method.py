"""HSAKD: distillation between auxiliary branches that predict class and rotation.

Its parts are the branches of `keras_hkd.classifiers.SelfSupervisedClassifier`, the terms
`keras_hkd.hierarchies.Branches` and `RotatedLogits`, and for detectors
`keras_hkd.hierarchies.CropRotations`. The loss is `LogitDistillation`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from keras_hkd.distillation.distiller import Distiller
from keras_hkd.distillation.learners import as_learner
from keras_hkd.distillation.teachers import weights_hash
from keras_hkd.errors import InvalidValueError
from keras_hkd.losses.logit_distillation import LogitDistillation
from keras_hkd.methods.hsakd.crop_rotations import CropRotations
from keras_hkd.methods.hsakd.rotated_logits import Branches, RotatedLogits
from keras_hkd.methods.hsakd.self_supervised import SelfSupervisedClassifier
from keras_hkd.methods.registry import method
from keras_hkd.training.fit import train_model
from keras_hkd.training.run_folder import RunFolder

if TYPE_CHECKING:
    from keras_hkd.hierarchies.hierarchy import Hierarchy
    from keras_hkd.learner import Learner

__all__ = ["hsakd", "hsakd_teacher"]

_TEACHER = "teacher.keras"


@method(prepare="prepared_teacher")
def hsakd(teacher: Any, student: Any, **options: Any) -> Distiller:
    """Make a Distiller with hierarchical self-supervised augmented distillation (HSAKD).

    For classifiers, over images at four quarter turns and t = 3:

        L = L_task(upright images) + sum over stages l of t^2 KL(q_l^T || q_l^S)
            + t^2 KL(p^T || p^S)

    q_l are the softened outputs of the branch of stage l, over pairs of class and rotation, p those
    of the classifiers themselves. The student's branches do not see labels. Divergences are summed
    over classes and averaged over images and rotations; branches are compared one to one at the
    stages that both networks have.

    The branches of the teacher must have been trained. With a trained classifier:

        teacher = hsakd_teacher(classifier, dataset, settings, "runs/hsakd/teacher")
        distiller = hsakd(teacher, student)
        train_model(distiller, dataset, settings, "runs/hsakd")

    `keras-hkd distill --method hsakd` takes a trained classifier and does all this. For detectors
    see `hsakd_in_detector`. The authors distil the backbone of a detector as a classifier instead:
    `keras_hkd.classifiers.save_backbone(distiller.student, path)`.

    Args:
        teacher: a `SelfSupervisedClassifier` with trained branches; or a detector.
        student: a classifier, or a functional model with logits, trained in place; or a detector.
        **options: for classifiers `branch_weight=1.0` and `logit_weight=1.0`, numbers or schedules;
            `temperature=3.0`; `student_loss_weight=1.0`; `branch_style="copied"` or `"light"`, for
            the student's branches. For detectors those of `hsakd_in_detector`.

    Returns:
        A `Distiller`; its `.student` is the plain classifier, without branches.

    Raises:
        ValueError: if the teacher has no branches, or the kinds or classes of the models differ.

    Example:

    >>> from keras_hkd.classifiers import SelfSupervisedClassifier, build
    >>> teacher, student = (build(n, class_names="ab") for n in ("cnn_small", "cnn_micro"))
    >>> distiller = hsakd(SelfSupervisedClassifier(teacher, mode="frozen"), student)
    >>> distiller.term_names, distiller.student is student
    (('branches', 'rotated_logits'), True)

    Reference:
        Yang et al., Hierarchical Self-supervised Augmented Knowledge Distillation, IJCAI 2021,
        https://arxiv.org/abs/2107.13715.
    """
    teacher, student = as_learner(teacher), as_learner(student)
    if teacher.kind != student.kind:
        raise InvalidValueError(
            "hsakd needs two classifiers or two detectors. Received: a "
            f"{teacher.kind} as teacher, a {student.kind} as student."
        )
    if student.kind == "detector":
        return hsakd_in_detector(teacher, student, **options)
    return _of_classifiers(teacher, student, **options)


def _of_classifiers(
    teacher: Any,
    student: Any,
    *,
    branch_weight: Any = 1.0,
    logit_weight: Any = 1.0,
    temperature: float = 3.0,
    student_loss_weight: float = 1.0,
    branch_style: str = "copied",
) -> Distiller:
    if not isinstance(teacher, SelfSupervisedClassifier):
        raise InvalidValueError(
            "hsakd needs a teacher whose branches are trained. Received: the plain classifier "
            f"'{teacher.name}'. Train its branches first: teacher = hsakd_teacher(teacher, "
            'dataset, settings, "runs/teacher"); `keras-hkd distill` does so by itself.'
        )
    levels = [level for level in teacher.levels if level in student.levels]
    if not levels:
        raise InvalidValueError(
            "hsakd compares branches stage by stage, and there is no common one: give a student "
            "with stages of the teacher. Received: the stages "
            f"{teacher.levels} of the teacher, {student.levels} of the student"
        )
    learner = SelfSupervisedClassifier(student, branch_style=branch_style, levels=levels)
    return Distiller(
        teacher,
        learner,
        rotation_terms(temperature),
        [branch_weight, logit_weight],
        student_loss_weight=student_loss_weight,
    )


def rotation_terms(temperature: float) -> list[Hierarchy]:
    """Make both terms of HSAKD, for the branches and for the classifiers themselves.

    Args:
        temperature: t, positive.

    Returns:
        A list of two hierarchies.
    """
    return [
        Branches(LogitDistillation(temperature=temperature)),
        RotatedLogits(LogitDistillation(temperature=temperature)),
    ]


def hsakd_teacher(
    teacher: Any,
    dataset: Any,
    settings: Any,
    run_folder: Any,
    *,
    resume: bool = False,
    **options: Any,
) -> Any:
    """Add branches to a classifier and train them.

    Args:
        teacher: a trained classifier; a teacher with branches, or a detector, is returned
            unchanged.
        dataset: the `ClassificationDataset` on which the branches are trained.
        settings: `keras_hkd.training.TrainingSettings`, for instance the student's.
        run_folder: folder for checkpoints, history and finally `teacher.keras`, which
            `keras_hkd.load_classifier` loads with its branches.
        resume: whether to resume the run in `run_folder`, if there is one.
        **options: options of `prepared_teacher`.

    Returns:
        A `SelfSupervisedClassifier` with the classifier.

    Raises:
        ValueError: if a mode or style is unknown, or images do not fit.
        DifferentRunError: if `run_folder` holds a run of another teacher or with other settings.
    """
    teacher, train = prepared_teacher(teacher, **options)
    if train is not None:
        train(dataset, settings, run_folder, resume=resume)
    return teacher


def prepared_teacher(
    teacher: Any, *, teacher_mode: str | None = None, teacher_branch_style: str | None = None
) -> tuple[Any, Callable[..., None] | None]:
    """Add branches to a classifier.

    Args:
        teacher: a trained classifier; a teacher with branches, or a detector, is returned
            unchanged.
        teacher_mode: `"frozen"` to train only the branches, so that the classifier and its
            BatchNorm statistics do not change; `"joint"` to train the classifier too, the paper's
            stronger Teacher*. None for `"frozen"`.
        teacher_branch_style: `"copied"` or `"light"`; see `SelfSupervisedClassifier`. None for
            `"copied"`.

    Returns:
        The teacher; and a function `train(dataset, settings, run_folder, resume=False)` that trains
        the branches, or None if there is nothing to train.

    Raises:
        ValueError: if a mode or style is unknown, or given for a teacher that gets no branches.
    """
    teacher = as_learner(teacher)
    if teacher.kind == "detector" or isinstance(teacher, SelfSupervisedClassifier):
        if teacher_mode is not None or teacher_branch_style is not None:
            raise InvalidValueError(
                "`teacher_mode` and `teacher_branch_style` say how a classifier gets its branches. "
                f"This teacher, a {type(teacher).__name__}, gets none: leave them out. Received: "
                f"teacher_mode={teacher_mode!r}, teacher_branch_style={teacher_branch_style!r}."
            )
        return teacher, None
    learner = SelfSupervisedClassifier(
        teacher, mode=teacher_mode or "frozen", branch_style=teacher_branch_style or "copied"
    )
    return learner, partial(_train_branches, learner)


def _train_branches(
    learner: Learner, dataset: Any, settings: Any, run_folder: Any, resume: bool = False
) -> None:
    inputs = {
        "teacher_mode": learner.mode,
        "teacher_branch_style": learner.branch_style,
        "classifier_hash": weights_hash(learner.deployed),
    }
    run = RunFolder(run_folder, inputs=inputs, model_files=[_TEACHER])
    before = learner.trainable
    for value in (False, True):  # Keras ignores a value that it has, even if parts differ
        learner.trainable = value
    train_model(learner, dataset, settings, run, resume=resume, title="teacher's branches")
    learner.trainable = before
    run.save_model(learner, _TEACHER)


def hsakd_in_detector(
    teacher: Any,
    student: Any,
    *,
    weight: Any = 0.1,
    temperature: float = 3.0,
    student_loss_weight: float = 1.0,
    **crop_options: Any,
) -> Distiller:
    """Make a Distiller of detectors whose backbones are compared on rotated crops.

    `L = L_task + weight * L_crops`; see `keras_hkd.hierarchies.CropRotations`. The teacher's
    branches are trained along, so any trained detector can be the teacher. Reconstruction.

    Args:
        teacher: a trained detector.
        student: the detector to train, of any family, with the same classes.
        weight: weight of the term, a number or a schedule. Keep it low, as rotations of people are
            easy to tell.
        temperature: temperature of the divergence between branches.
        student_loss_weight: weight of the detector's own loss.
        **crop_options: options of `CropRotations`.

    Returns:
        A `Distiller`, to be compiled and fitted; its `.student` has no branches.

    Raises:
        ValueError: if the detectors' classes differ, or an option is out of its range.

    Reference:
        as `hsakd`.
    """
    return Distiller(
        teacher,
        student,
        [CropRotations(LogitDistillation(temperature=temperature), **crop_options)],
        [weight],
        student_loss_weight=student_loss_weight,
    )
