"""Whether the maps of teacher and student lie over the picture, and so over each other."""

from typing import Any

import numpy as np
from keras import ops

from keras_hkd.doctor.case import Case
from keras_hkd.doctor.declared import check
from keras_hkd.doctor.finding import Finding, fault, note, ok

_PLACES = ((0.2, 0.62), (0.72, 0.3), (0.4, 0.12))
"""Upper left corners of the patches, as shares of height and width; none mirrors another."""
_SIDE = 0.2
_LEAST_CELLS = 4


@check(order=60, needs=("teacher",))
def maps(case: Case) -> Finding | None:
    """Repaint a patch of a picture, and look where the maps change.

    A map that lies over the picture changes where the patch is; one that is turned, mirrored or of
    another picture changes elsewhere. That holds for random weights, too.
    """
    if not (getattr(case.student, "levels", ()) and getattr(case.teacher, "levels", ())):
        return None
    shared = [level for level in case.student.levels if level in case.teacher.levels]
    if not shared:
        return note(
            f"Teacher ({', '.join(case.teacher.levels)}) and student "
            f"({', '.join(case.student.levels)}) have no level in common; no map is compared."
        )
    views = _views(case.batches[0][0][0])
    figures, wrong, shapes = {}, [], []
    for role, model in (("teacher", case.teacher), ("student", case.student)):
        pyramid = model(ops.convert_to_tensor(views), training=False)["pyramid"]
        changes = {level: _changed_at_patch(pyramid[level]) for level in shared}
        figures[role] = {level: value for level, value in changes.items() if value is not None}
        wrong += [f"{level} of the {role}" for level, v in figures[role].items() if v < 1]
        shapes.append({level: tuple(pyramid[level].shape[1:3]) for level in shared})
    other = [f"{level} ({shapes[0][level]} and {shapes[1][level]} cells)" for level in shared
             if shapes[0][level] != shapes[1][level]]  # fmt: skip
    if wrong or other:
        return fault(
            "Maps do not line up: "
            + "; ".join([f"{name} does not lie over the picture" for name in wrong] + other)
            + ".",
            "Compare what the model calls by that level with the picture: rows before columns, no "
            "flip, the stride that the name says. In Python: Detector.stride, build_network.",
            change_within_patch_over_outside=figures,
        )
    least = min((v for found in figures.values() for v in found.values()), default=float("nan"))
    return ok(
        f"The maps {', '.join(shared)} of both lie over the picture: where a patch is repainted "
        f"they change at least {least:.1f} times as much as elsewhere.",
        change_within_patch_over_outside=figures,
    )


def _views(image: np.ndarray) -> np.ndarray:
    """Return the picture, and the same with each patch repainted."""
    height, width = image.shape[:2]
    views = [image]
    for top, left in _PLACES:
        view = image.copy()
        rows = slice(int(top * height), int((top + _SIDE) * height))
        columns = slice(int(left * width), int((left + _SIDE) * width))
        view[rows, columns] = 255.0 - view[rows, columns][::-1, ::-1]
        views.append(view)
    return np.stack(views)


def _changed_at_patch(features: Any) -> float | None:
    """Compute the mean change in the cells of a patch over that elsewhere; None for few cells."""
    values = ops.convert_to_numpy(ops.cast(features, "float32"))
    rows, columns = values.shape[1:3]
    if min(rows, columns) < _LEAST_CELLS:
        return None
    ratios = []
    for (top, left), view in zip(_PLACES, values[1:], strict=True):
        change = np.abs(view - values[0]).mean(axis=-1)
        inside = np.zeros((rows, columns), bool)
        inside[
            int(top * rows) : int(np.ceil((top + _SIDE) * rows)),
            int(left * columns) : int(np.ceil((left + _SIDE) * columns)),
        ] = True
        ratios.append(change[inside].mean() / max(change[~inside].mean(), 1e-12))
    return float(np.median(ratios))
