"""Whether people are large enough for the student at the size of the training."""

import numpy as np

from keras_hkd.data.batches.letterbox import fit_scale
from keras_hkd.doctor.case import Case
from keras_hkd.doctor.declared import check
from keras_hkd.doctor.finding import Finding, fault, ok, warning

_WARN, _WRONG = 0.25, 0.5
_FACTORS = (1.5, 2.0, 3.0, 4.0)


@check(order=50, cheap=True)
def people_size(case: Case) -> Finding | None:
    """Count the people that are smaller than one cell of the student's finest level."""
    if not getattr(case.student, "levels", ()):
        return None
    stride = min(case.student.strides)
    sides = [np.zeros(0)]
    for one in case.dataset:
        scale = fit_scale(np.array([one.height, one.width]), np.array(case.image_size))
        width, height = (one.boxes[~one.ignore, 2:] - one.boxes[~one.ignore, :2]).T
        sides.append(np.sqrt(np.maximum(width * height, 0.0)) * scale)
    side = np.concatenate(sides)
    if not len(side):
        return None
    share, median = float((side < stride).mean()), float(np.median(side))
    figures = {"share": share, "median_side_px": median, "finest_stride_px": stride}
    text = (
        f"{share:.0%} of the people are smaller at {case.size_text} than a cell of the student's "
        f"finest level ({stride} px); the median is {median:.0f} px (root of the area)."
    )
    if share <= _WARN:
        return ok(text, **figures)
    enough = [f for f in _FACTORS if (side * f < stride).mean() <= _WARN / 2]
    advice = "Take a student with a finer level, or cut the images into tiles."
    if enough:
        size = "x".join(str(int(np.ceil(enough[0] * s / 32)) * 32) for s in case.image_size)
        advice = f"Train at --image-size {size}. {advice}"
    return (fault if share > _WRONG else warning)(text, advice, **figures)
