"""HKD: hierarchical knowledge distillation of pyramid, region and logit features."""

from collections.abc import Sequence
from typing import Any

from keras_hkd.distillation.distiller import Distiller
from keras_hkd.errors import InvalidValueError
from keras_hkd.hierarchies.boxes import Boxes
from keras_hkd.hierarchies.class_logits import ClassLogits
from keras_hkd.hierarchies.class_tower import ClassTower
from keras_hkd.hierarchies.pyramid import Pyramid
from keras_hkd.hierarchies.region import Region
from keras_hkd.losses.feature_imitation import FeatureImitation
from keras_hkd.losses.giou import GIoU
from keras_hkd.methods.method_options import check_options
from keras_hkd.methods.registry import method

__all__ = ["hkd"]

LOGIT_SOURCES = ("tower", "logits", None)
WEIGHTS = ("balanced", "published")
PUBLISHED = {"pyramid_weight": 0.5, "region_weight": 30.0, "logit_weight": 30.0}
OWN_OPTIONS = (
    *("weights", "shares"),
    *("pyramid_weight", "region_weight", "logit_weight", "logit_source", "box_weight"),
    *("levels", "student_loss_weight"),
)


@method(several_teachers=True)
def hkd(
    teacher: Any,
    student: Any,
    *,
    weights: str = "balanced",
    shares: Sequence[float] | None = None,
    pyramid_weight: Any = None,
    region_weight: Any = None,
    logit_weight: Any = None,
    logit_source: str = "tower",
    box_weight: Any = 0.0,
    levels: Sequence[str] | None = None,
    student_loss_weight: float = 1.0,
    **region_options: Any,
) -> Distiller:
    """Make a Distiller with the three terms of hierarchical knowledge distillation (HKD).

    `L = L_det + lambda_P L_pyramid + lambda_R L_region + lambda_L L_logit`, each a mean squared
    error between the teacher's tensor and the student's, projected if widths differ.

    Published or reconstructed: the three taps with mean squared error are the paper's. Its detector
    has two stages; the mapping to one-stage detectors is a reconstruction. The weights
    0.5 / 30 / 30 come from an independent re-implementation for another detector; on ours they take
    82 % of the gradient and do harm. By default, therefore, the terms share half of the gradient
    equally, measured before the first step.

    Args:
        teacher: a trained detector.
        student: the detector to train.
        weights: "balanced", or "published" for 0.5, 30 and 30.
        shares: a share of the gradient for each balanced term; equal ones by default.
        pyramid_weight: lambda_P, a number or a schedule. If a weight is given, no term is balanced,
            and the others have their published weights.
        region_weight: lambda_R.
        logit_weight: lambda_L.
        logit_source: `"tower"`, the last hidden map of the class head at positive cells, as in the
            authors' code; `"logits"`, the class logits there; None for no logit term.
        box_weight: weight of a fourth term, not in the paper: `GIoU` between both detectors' boxes
            at positive cells, weighted by the teacher's scores; 0 for none.
        levels: pyramid levels; all common ones by default.
        student_loss_weight: weight of the student's own loss.
        **region_options: options of `keras_hkd.hierarchies.Region`.

    Returns:
        A `Distiller`, to be compiled and fitted.

    Raises:
        TypeError: if an option is unknown.
        ValueError: if `weights` or `logit_source` is unknown, or a term cannot compare the pair.

    Example:

    >>> from keras_hkd.detectors import build
    >>> distiller = hkd(build("yolo_v8_mobilenet_v2_0.35"), build("yolo_v8_micro"))
    >>> distiller.term_names
    ('pyramid', 'region', 'class_tower')

    Reference:
        Chen et al., Learning Lightweight Pedestrian Detector with Hierarchical Knowledge
        Distillation, ICIP 2019, https://arxiv.org/abs/1909.09325.
    """
    if logit_source not in LOGIT_SOURCES:
        raise InvalidValueError(
            f"`logit_source` must be one of {LOGIT_SOURCES}. "
            f"Received: logit_source={logit_source!r}"
        )
    if weights not in WEIGHTS:
        raise InvalidValueError(f"`weights` must be one of {WEIGHTS}. Received: {weights!r}")
    given = {
        "pyramid_weight": pyramid_weight,
        "region_weight": region_weight,
        "logit_weight": logit_weight,
    }
    given = {name: weight for name, weight in given.items() if weight is not None}
    balanced = weights == "balanced" and not given and box_weight == 0
    numbers = PUBLISHED | given
    check_options("hkd", region_options, Region, own=OWN_OPTIONS, leave_out=("levels", "name"))
    terms = [
        (Pyramid(FeatureImitation(), levels=levels), numbers["pyramid_weight"]),
        (Region(FeatureImitation(), levels=levels, **region_options), numbers["region_weight"]),
    ]
    if logit_source == "tower":
        terms.append((ClassTower(FeatureImitation()), numbers["logit_weight"]))
    elif logit_source == "logits":
        terms.append((ClassLogits(FeatureImitation(), at="positives"), numbers["logit_weight"]))
    if box_weight != 0:
        terms.append((Boxes(GIoU()), box_weight))
    hierarchies, of_terms = zip(*terms, strict=True)
    return Distiller(
        teacher,
        student,
        list(hierarchies),
        "balanced" if balanced else list(of_terms),
        student_loss_weight=student_loss_weight,
        shares=shares,
    )
