"""ADL and SAD: adaptive distillation of class scores, on labelled and on unlabelled images.

Both methods are a Distiller with one term, whose loss is
`keras_hkd.losses.AdaptiveDistillation`. SAD adds unlabelled images, see
`keras_hkd.training.semi_supervised`.
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
    """Make a Distiller with adaptive distillation of the class logits (ADL).

    `L = L_class + L_box + lambda L_ADL`, summed over all anchors that are not ignored; boxes are
    not distilled. Anchors that the student's assignment ignores, and those in ignore regions, get
    no gradient.

    Args:
        teacher: a trained detector.
        student: the detector to train; if its anchors differ from the teacher's, the teacher's
            detections are matched to them.
        weight: lambda, a number or a schedule.
        student_loss_weight: weight of the student's own loss.
        **loss_options: options of `keras_hkd.losses.AdaptiveDistillation`, with the defaults of the
            released code.

    Returns:
        A `Distiller`, to be compiled and fitted.

    Raises:
        TypeError: if an option is unknown.
        ValueError: if the teacher lacks the student's classes, or an option is out of its range.

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
    """Make a Distiller for semi-supervised adaptive distillation (SAD).

    The loss is that of `adl`; the data differ. The teacher labels the unlabelled images once, and
    batches alternate between two streams: labelled images, and labelled together with
    pseudo-labelled ones. All losses, including the student's own on pseudo boxes, apply to both.

    Published or reconstructed: the alternation, the two streams, the losses, and that images
    without a pseudo box are left out follow the authors' code. The score threshold of pseudo boxes
    is not published: here as many boxes per image are kept as the labelled images have on average,
    as in Data Distillation.

    Args:
        teacher: a trained detector.
        student: the detector to train.
        **options: options of `adl`.

    Returns:
        A `Distiller`, to be trained on a dataset of `keras_hkd.training.semi_supervised`.

    Raises:
        ValueError: see `adl`.

    With `labelled` of `keras_hkd.data.load_dataset` and `unlabelled` of `load_unlabelled`:

        distiller = sad(teacher, student)
        dataset = semi_supervised(teacher, labelled, unlabelled, "runs/sad/pseudo_labels.json")
        train_model(distiller, dataset, settings, "runs/sad")

    Example:

    >>> from keras_hkd.detectors import build
    >>> sad(build("yolo_v8_micro", seed=1), build("yolo_v8_micro", seed=2)).term_names
    ('class_logits',)

    Reference:
        See `adl`. Threshold: Radosavovic et al., Data Distillation, CVPR 2018,
        https://arxiv.org/abs/1712.04440.
    """
    return adl(teacher, student, **options)
