"""Warning for detections of which none is of a scored category."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from keras_hkd.messages import stack_level_of_caller
from keras_hkd.metrics.detections import Detections
from keras_hkd.metrics.ground_truth import GroundTruth


class OtherCategoriesWarning(UserWarning):
    """Warns that there are detections, but none of a category that is scored."""


def other_categories(
    truth: GroundTruth, found: Detections, wanted: Sequence[int] | None
) -> str | None:
    """Explain that no detection is of a category that is scored.

    Args:
        truth: the ground truth.
        found: the detections.
        wanted: ids of the categories that are scored; None for any category.

    Returns:
        The explanation, or None if some detections are of these categories or there are none.

    Example:

    >>> from keras_hkd.metrics import as_detections, as_ground_truth
    >>> truth = as_ground_truth([{"image_id": 1, "boxes": [[0, 0, 9, 9]]}])
    >>> found = [{"image_id": 1, "category_id": 0, "bbox": [0, 0, 9, 9], "score": 0.5}]
    >>> print(other_categories(truth, as_detections(found, truth), [1])[:48])
    None of the 1 detections is of the category that
    """
    if wanted is None or not len(found) or np.isin(found.category_ids, list(wanted)).any():
        return None
    ids, counts = np.unique(found.category_ids, return_counts=True)
    have = ", ".join(f"{i} ({count})" for i, count in zip(ids[:10], counts[:10], strict=True))
    names = [f"{i} ({truth.category_names.get(i, 'no name')})" for i in list(wanted)[:10]]
    return (
        f"None of the {len(found)} detections is of the category that is scored, "
        f"{', '.join(names)}: they are of the categories {have}. Write them with the ground "
        "truth's ids, choose another class (--class), or compare boxes whatever their category "
        "(--ignore-categories)."
    )


def warn_of_other_categories(
    truth: GroundTruth, found: Detections, wanted: Sequence[int] | None
) -> None:
    """Warn if none of the detections is of a category that is scored.

    Args:
        truth: the ground truth.
        found: the detections.
        wanted: ids of the categories that are scored; None for any category.
    """
    problem = other_categories(truth, found, wanted)
    if problem:
        warnings.warn(problem, OtherCategoriesWarning, stacklevel=stack_level_of_caller())
