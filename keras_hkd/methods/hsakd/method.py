"""HSAKD: branches at every stage that name class and rotation, and teach each other one to one.

New here are the branches, `keras_hkd.classifiers.SelfSupervisedClassifier`, the two terms that read
them, `keras_hkd.hierarchies.Branches` and `RotatedLogits`, and for detectors
`keras_hkd.hierarchies.CropRotations`. The loss is the common `LogitDistillation`.
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


@method(prepare="prepared_teacher")
def hsakd(teacher: Any, student: Any, **options: Any) -> Distiller:
    """A Distiller with hierarchical self-supervised augmented knowledge distillation.

    For classifiers, over images at four quarter turns and t = 3:

        L = L_task(upright images) + sum over stages l of t^2 KL(q_l^T || q_l^S)
            + t^2 KL(p^T || p^S)

    q_l are the softened outputs of the branch of stage l, over pairs of class and turn, p those of
    the classifiers themselves. The student's branches get no labels. Divergences are summed over
    classes and averaged over images and turns; branches are compared one to one at the stages that
    both networks have.

    The teacher is to have trained branches. In three lines, with a trained classifier:

        teacher = hsakd_teacher(classifier, dataset, settings, "runs/hsakd/teacher")
        distiller = hsakd(teacher, student)
        train_model(distiller, dataset, settings, "runs/hsakd")

    `keras-hkd distill --method hsakd` takes a trained classifier and does all three. For detectors
    see `hsakd_in_detector`. The authors' way to a detector is to distil its backbone as a
    classifier: `keras_hkd.classifiers.save_backbone(distiller.student, path)`.

    Args:
        teacher: a `SelfSupervisedClassifier` with trained branches; or a detector.
        student: a classifier, or a functional model with logits, trained in place; or a detector.
        **options: for classifiers `branch_weight=1.0` and `logit_weight=1.0`, numbers or schedules;
            `temperature=3.0`; `student_loss_weight=1.0`; `branch_style="copied"` or `"light"`, of
            the student's branches. For detectors those of `hsakd_in_detector`.

    Returns:
        A `Distiller`; its `.student` is the plain classifier, without branches.

    Raises:
        ValueError: a teacher without branches; models of two kinds, or of different classes.

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
            "hsakd compares branches stage by stage, and there is no common one: the teacher has "
            f"{teacher.levels}, the student {student.levels}."
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
    """Both terms of HSAKD, of the branches and of the classifiers themselves.

    Args:
        temperature: t, positive.
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
    """A teacher with trained branches, from a classifier.

    Args:
        teacher: a trained classifier; a teacher with branches, or a detector, comes back as it is.
        dataset: the `ClassificationDataset` that the branches learn from.
        settings: `keras_hkd.training.TrainingSettings`; the student's will do.
        run_folder: where checkpoints, history and in the end `teacher.keras` go, which
            `keras_hkd.load_classifier` reads with its branches.
        resume: go on with the run in `run_folder`, if there is one.
        **options: of `prepared_teacher`.

    Returns:
        A `SelfSupervisedClassifier` over the classifier that was given.

    Raises:
        ValueError: an unknown mode or style, or images that do not fit.
        DifferentRunError: `run_folder` holds a run of another teacher or with other settings.
    """
    teacher, train = prepared_teacher(teacher, **options)
    if train is not None:
        train(dataset, settings, run_folder, resume=resume)
    return teacher


def prepared_teacher(
    teacher: Any, *, teacher_mode: str | None = None, teacher_branch_style: str | None = None
) -> tuple[Any, Callable[..., None] | None]:
    """A teacher with branches, and what trains them.

    Args:
        teacher: a trained classifier; a teacher with branches, or a detector, comes back as it is.
        teacher_mode: `"frozen"` trains the branches alone and leaves the classifier as it is, its
            BatchNorm statistics too; `"joint"` trains it on with its branches, the paper's stronger
            Teacher*. None for `"frozen"`.
        teacher_branch_style: `"copied"` or `"light"`; see `SelfSupervisedClassifier`. None for
            `"copied"`.

    Returns:
        The teacher; and `train(dataset, settings, run_folder, resume=False)`, or None where nothing
        is left to train.

    Raises:
        ValueError: an unknown mode or style; either of them where no branches are to be trained.
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
    run = RunFolder(run_folder, inputs=inputs)
    before = learner.trainable
    for value in (False, True):  # Keras takes no value that it has for new, whatever parts have
        learner.trainable = value
    train_model(learner, dataset, settings, run, resume=resume, title="teacher's branches")
    learner.trainable = before
    run.save_model(learner, "teacher.keras")


def hsakd_in_detector(
    teacher: Any,
    student: Any,
    *,
    weight: Any = 0.1,
    temperature: float = 3.0,
    student_loss_weight: float = 1.0,
    **crop_options: Any,
) -> Distiller:
    """A Distiller of detectors whose backbones are compared on crops at four quarter turns.

    `L = L_task + weight * L_crops`; see `keras_hkd.hierarchies.CropRotations`. The teacher's
    branches learn along, so any trained detector will do. Reconstruction.

    Args:
        teacher: a trained detector.
        student: the detector to train, of any family, with the same classes.
        weight: a number or a schedule. Low: turned people are easy to tell from upright ones.
        temperature: of the divergence between branches.
        student_loss_weight: weight of the detector's own loss.
        **crop_options: of `CropRotations`.

    Returns:
        A `Distiller`, to be compiled and fitted; its `.student` has no branches.

    Raises:
        ValueError: detectors of different classes, or an option out of its range.

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
