"""LD: localization distillation, of the teacher's distributions of box edges.

The method is a Distiller with one term, whose loss is
`keras_hkd.losses.LocalizationDistillation`, and optionally one of feature maps.
"""

from typing import Any

from keras_hkd.distillation.distiller import Distiller
from keras_hkd.hierarchies.boxes import Boxes
from keras_hkd.hierarchies.pyramid import Pyramid
from keras_hkd.losses.localization_distillation import LocalizationDistillation
from keras_hkd.losses.pearson_correlation import PearsonCorrelation
from keras_hkd.methods.method_options import check_options
from keras_hkd.methods.registry import method

__all__ = ["ld"]


@method(several_teachers=True)
def ld(
    teacher: Any,
    student: Any,
    *,
    weight: Any = 20.0,
    pyramid_weight: Any = 0.0,
    student_loss_weight: float = 1.0,
    **loss_options: Any,
) -> Distiller:
    """Make a Distiller with localization distillation of box edges (LD).

    `L = student_loss_weight * L_det + weight * L_LD`, L_LD at positive anchors and at those near
    people; class scores are not distilled.

    Published or reconstructed: the loss is the authors'. Their weight is 0.25, for other heads at
    800 x 1333 pixels. For a YOLOV8 pair at 192 pixels that is a share of 0.005 of the student's
    first gradient; 20 is a share of about 0.3. See `keras_hkd.distillation.gradient_shares`.

    Args:
        teacher: a trained detector. A YOLOV8 gives distributions; the decoded boxes of other
            detectors are matched to the student's anchors, without the teacher's uncertainty.
        student: the detector to train, a YOLOV8.
        weight: weight of the term, a number or a schedule.
        pyramid_weight: weight of a second term, not in the paper: `PearsonCorrelation` of pyramid
            maps (PKD, whose authors use 6); 0 for none.
        student_loss_weight: weight of the student's own loss.
        **loss_options: options of `keras_hkd.losses.LocalizationDistillation`.

    Returns:
        A `Distiller`, to be compiled and fitted.

    Raises:
        TypeError: if an option is unknown.
        ValueError: if the student predicts numbers instead of distributions, the teacher lacks its
            classes, or an option is out of its range.

    Example:

    >>> from keras_hkd.detectors import build
    >>> distiller = ld(build("yolo_v8_mobilenet_v2_0.35"), build("yolo_v8_micro"))
    >>> distiller.term_names
    ('boxes',)

    Reference:
        Zheng et al., Localization Distillation for Dense Object Detection, CVPR 2022,
        https://arxiv.org/abs/2102.12252.
    """
    own = ("weight", "pyramid_weight", "student_loss_weight")
    check_options("ld", loss_options, LocalizationDistillation, own=own)
    hierarchies, weights = [Boxes(LocalizationDistillation(**loss_options))], [weight]
    if pyramid_weight != 0:
        hierarchies.append(Pyramid(PearsonCorrelation()))
        weights.append(pyramid_weight)
    return Distiller(
        teacher, student, hierarchies, weights, student_loss_weight=student_loss_weight
    )
