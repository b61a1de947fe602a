"""Whether labels and teacher agree on where people are."""

from pathlib import Path

import numpy as np

from keras_hkd.doctor.case import Case
from keras_hkd.doctor.declared import check
from keras_hkd.doctor.finding import Finding, fault, ok, warning
from keras_hkd.metrics import as_detections
from keras_hkd.metrics.matching import match_detections
from keras_hkd.report import save_dataset_gallery

_LARGE = 0.2
"""Height of a person that a working teacher finds, as a share of the image's height."""
_UNLABELLED = (0.35, 0.6)
_FOUND = (0.5, 0.25)
_FEW = 10


@check(order=40, needs=("teacher",))
def labels_agree(case: Case) -> Finding | None:
    """Count confident detections without a label, and large people that are not found.

    A detection is confident that scores at least the median of those that match a label. So half
    of what the teacher rightly finds counts, whatever its scores are like.
    """
    if not case.teacher_sees:
        return None  # its detections say nothing about the labels
    truth = case.truth
    found = as_detections(case.teacher_found, truth)
    result = match_detections(truth, found)
    confident = found.scores >= np.median(found.scores[result.true_positive])
    unlabelled = confident & result.false_positive
    # A person counts as found where some detection says so, though not a confident one.
    usable = found.scores >= _usable_score(found.scores, result.true_positive)
    seen = np.zeros(len(truth.boxes), bool)
    seen[result.matched[usable & result.true_positive]] = True
    heights = truth.heights / truth.image_sizes[truth.image_index, 0]
    large = ~truth.ignore & (heights >= _LARGE)
    missed = large & ~seen
    share_unlabelled = float(unlabelled.sum() / confident.sum())
    share_found = float(seen[large].mean()) if large.any() else 1.0
    figures = {
        "share_of_confident_detections_without_label": share_unlabelled,
        "share_of_labels_found": float(seen[~truth.ignore].mean()),
        "share_of_large_labels_found": share_found,
        "num_confident_detections": int(confident.sum()),
        "num_large_labels": int(large.sum()),
    }
    worst = np.bincount(found.image_index[unlabelled], minlength=truth.num_images)
    worst += np.bincount(truth.image_index[missed], minlength=truth.num_images)
    threshold = float(found.scores[usable].min())
    text = (
        f"{1 - share_unlabelled:.0%} of the teacher's confident detections are labelled, and it "
        f"finds {share_found:.0%} of the labels that are a fifth of the image or more high."
    )
    unlabelled_grade = sum(share_unlabelled > limit for limit in _UNLABELLED)
    missed_grade = sum(share_found < limit for limit in _FOUND) if large.sum() >= _FEW else 0
    grade = max(unlabelled_grade if confident.sum() >= _FEW else 0, missed_grade)
    if not grade:
        return ok(text, _pictures(case, worst, threshold), **figures)
    make = fault if grade == 2 else warning
    advice = (
        "Are people without label in the pictures, or labels where nobody is? Label them, or mark "
        "regions to ignore."
    )
    return make(text, advice, _pictures(case, worst, threshold), **figures)


def _usable_score(scores: np.ndarray, right: np.ndarray) -> float:
    """Return the score from which on detections are as much right as can be (highest F1)."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    quality = hits / (np.arange(1, len(hits) + 1) + max(hits[-1], 1))
    return float(scores[order][quality.argmax()])


def _pictures(case: Case, worst: np.ndarray, threshold: float) -> tuple[Path, ...]:
    """Draw the images with the most disagreements beside what the teacher finds."""
    path = case.picture("labels_and_teacher.png")
    if path is None or not worst.any():
        return ()
    ids = [case.truth.image_ids[i] for i in np.argsort(-worst, kind="stable")[:6] if worst[i]]
    place = {one.image_id: index for index, one in enumerate(case.images)}
    chosen = case.images.select([place[image_id] for image_id in ids])
    columns = {"teacher": case.teacher_found}
    save_dataset_gallery(chosen, columns, path, num_images=len(chosen), min_confidence=threshold)
    return (path,)
