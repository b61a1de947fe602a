"""ADL and SAD: class scores distilled where they are hard, on labelled and unlabelled images.

New here is the loss, `keras_hkd.losses.AdaptiveDistillation`, and for SAD the second stream of
images, `keras_hkd.training.semi_supervised`. Both methods are the Distiller with that one term.
"""

from typing import Any

from keras_hkd.distillation.distiller import Distiller
from keras_hkd.hierarchies.class_logits import ClassLogits
from keras_hkd.losses.adaptive_distillation import AdaptiveDistillation
from keras_hkd.methods.method_options import check_options
from keras_hkd.methods.registry import method

__all__ = ["adl", "sad"]


@method(several_teachers=True)
def adl(
    teacher: Any,
    student: Any,
    *,
    weight: Any = 1.0,
    student_loss_weight: float = 1.0,
    **loss_options: Any,
) -> Distiller:
    """A Distiller with adaptive distillation of the class logits.

    `L = L_class + L_box + lambda L_ADL`, summed over all anchors that are not ignored; boxes are
    not distilled. Anchors in the ignore band of the student's assignment, and those in ignore
    regions, have exactly zero gradient.

    Args:
        teacher: a trained detector.
        student: the detector to train; where its anchors are not the teacher's, the teacher's
            detections are matched to them.
        weight: lambda, a number or a schedule.
        student_loss_weight: weight of the student's own loss.
        **loss_options: of `keras_hkd.losses.AdaptiveDistillation`, whose defaults are those of the
            released code.

    Returns:
        A `Distiller`, to be compiled and fitted.

    Raises:
        TypeError: an unknown option.
        ValueError: a teacher without the student's classes, or an option out of its range.

    Example:

    >>> from keras_hkd.detectors import build
    >>> distiller = adl(build("yolo_v8_mobilenet_v2_0.35"), build("yolo_v8_micro"), gamma=1.5)
    >>> distiller.term_names
    ('class_logits',)

    Reference:
        Tang et al., Learning Efficient Detector with Semi-supervised Adaptive Distillation, BMVC
        2019, https://arxiv.org/abs/1901.00366.
    """
    own = ("weight", "student_loss_weight")
    check_options("adl", loss_options, AdaptiveDistillation, own=own)
    return Distiller(
        teacher,
        student,
        [ClassLogits(AdaptiveDistillation(**loss_options), at="all")],
        [weight],
        student_loss_weight=student_loss_weight,
    )


@method(unlabelled=True)
def sad(teacher: Any, student: Any, **options: Any) -> Distiller:
    """ADL on two streams: labelled images, and labelled together with pseudo-labelled ones.

    The step is that of `adl`. What makes it SAD is the data: the teacher labels the images that
    have no labels once, and training takes a batch from either stream in turn, with all losses on
    both, the student's own on pseudo boxes too.

    What is known and what is reconstructed: the alternation, the two streams, the losses, and that
    images without a pseudo box are left out are the authors' code; how they chose the score from
    which on a detection is a pseudo box is not published. Here as many boxes per image are kept as
    the labelled images have, as in Data Distillation.

    Args:
        teacher: a trained detector.
        student: the detector to train.
        **options: of `adl`.

    Returns:
        A `Distiller`, to be trained on what `keras_hkd.training.semi_supervised` gives.

    Raises:
        ValueError: as `adl`.

    In three lines, with `labelled` and `unlabelled` of `keras_hkd.data.load_dataset` and
    `load_unlabelled`:

        distiller = sad(teacher, student)
        dataset = semi_supervised(teacher, labelled, unlabelled, "runs/sad/pseudo_labels.json")
        train_model(distiller, dataset, settings, "runs/sad")

    Example:

    >>> from keras_hkd.detectors import build
    >>> sad(build("yolo_v8_micro", seed=1), build("yolo_v8_micro", seed=2)).term_names
    ('class_logits',)

    Reference:
        as `adl`. Threshold: Radosavovic et al., Data Distillation, CVPR 2018,
        https://arxiv.org/abs/1712.04440.
    """
    return adl(teacher, student, **options)
