"""Whether pictures hold what models expect: RGB in [0, 255]."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_hkd.batch_watch import BatchWarning
from keras_hkd.doctor.case import Case
from keras_hkd.doctor.declared import check
from keras_hkd.doctor.finding import Finding, fault, note, ok, warning
from keras_hkd.metrics import as_detections, as_ground_truth, coco_average_precision
from keras_hkd.metrics.matching import match_detections

_NUM_IMAGES = 32
_TIMES, _CLEAR = 1.25, 0.05
_DEVIATIONS = 3.0
_MEAN = np.array([123.675, 116.28, 103.53], np.float32)
_DEVIATION = np.array([58.395, 57.12, 57.375], np.float32)

READINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "blue, green, red in [0, 255]": lambda images: images[..., ::-1],
    "red, green, blue in [0, 1]": lambda images: images / 255.0,
    "red, green, blue in [-1, 1]": lambda images: images / 127.5 - 1.0,
    "the mean of ImageNet subtracted": lambda images: images - _MEAN,
    "the mean of ImageNet subtracted, divided by its deviation": lambda images: (
        (images - _MEAN) / _DEVIATION
    ),
    "255 times the pixels": lambda images: images * 255.0,
}
"""What a network might expect in the place of RGB in [0, 255] -> how that is made of it."""


@check(order=15, cheap=True)
def pictures(case: Case) -> Finding:
    """Look at the range and the mean of some pictures as they were decoded."""
    indices = np.linspace(0, len(case.dataset) - 1, min(8, len(case.dataset))).round().astype(int)
    loaded = [case.dataset.load_image(int(index)) for index in indices]
    means = [float(np.mean([one[..., i].mean() for one in loaded])) for i in range(3)]
    highest = max(int(one.max()) for one in loaded)
    figures = {"highest": highest, "mean_rgb": [round(mean, 1) for mean in means]}
    shown = f"mean {', '.join(f'{mean:.0f}' for mean in means)} (RGB), highest {highest}"
    if highest <= 2 or max(means) < 4:
        return fault(
            f"The pictures are black or nearly so: {shown}.",
            "Were pixels of [0, 1] stored as whole numbers? Store them as 0 to 255.",
            **figures,
        )
    if min(means) > 250:
        return fault(
            f"The pictures are white or nearly so: {shown}.", "Look at the files.", **figures
        )
    if all(np.array_equal(one[..., 0], one[..., 2]) for one in loaded):
        return note(f"The pictures are grey: {shown}.", **figures)
    if means[2] > 1.35 * means[0]:
        return warning(
            f"The pictures are very blue: {shown}.",
            "Were red and blue exchanged when they were written (OpenCV writes BGR)?",
            **figures,
        )
    return ok(f"Pixels: {shown}.", **figures)


class _Shown:
    """A detector that is shown other pixels."""

    def __init__(self, detector: Any, reading: Callable[[np.ndarray], np.ndarray]) -> None:
        self.detector, self.reading = detector, reading
        self.class_names = detector.class_names
        self.antialias = getattr(detector, "antialias", True)

    def predict_on_batch(self, images: Any) -> Mapping[str, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BatchWarning)  # the pixels are wrong on purpose
            return self.detector.predict_on_batch(self.reading(np.asarray(images, np.float32)))


@check(order=35, needs=("teacher",))
def pixels_of_the_models(case: Case) -> list[Finding]:
    """Show the models the pixels in other forms: none should suit them better.

    A student that is not trained yet says nothing of its pixels.
    """
    images = case.images.subset(_NUM_IMAGES)
    models = {"teacher": case.teacher}
    if case.student_scores["AP50"] >= 0.1:
        models["student"] = case.student
    return [_asked(case, role, model, images) for role, model in models.items()]


def _asked(case: Case, role: str, model: Any, images: Any) -> Finding:
    truth = as_ground_truth(images)
    given, scores = _quality(case, model, images, truth)
    others = {
        name: _quality(case, _Shown(model, reading), images, truth)
        for name, reading in READINGS.items()
    }
    best = max(others, key=lambda name: others[name][0])
    highest, best_scores = others[best]
    figures = {"AP50": given, **{f"AP50: {name}": one for name, (one, _) in others.items()}}
    text = f"AP50 {given:.3f} with red, green, blue in [0, 255], and {highest:.3f} with {best}"
    advice = (
        "The input of a model is RGB in [0, 255], and the conversion is inside: give `scale` and "
        "`offset` of as_detector, or put a layer in front."
    )
    if highest > max(_TIMES * given, given + _CLEAR):
        return fault(f"The {role} was trained on other pixels: {text}.", advice, **figures)
    if highest > given and _is_higher(best_scores - scores):
        return warning(
            f"The {role} may have been trained on other pixels: {text}, and people score higher "
            "there.",
            advice,
            **figures,
        )
    return ok(f"The {role} takes its pixels as it should: {text}.", **figures)


def _quality(case: Case, model: Any, images: Any, truth: Any) -> tuple[float, np.ndarray]:
    """Compute AP50, and for each label the score at which it is found, 0 where it is not."""
    size = case.teacher_size if model is case.teacher else None
    found = as_detections(case.found_by(model, images, size), truth)
    matched = match_detections(truth, found).matched
    scores = np.zeros(len(truth.boxes))
    scores[matched[matched >= 0]] = found.scores[matched >= 0]
    return coco_average_precision(truth, found)["AP50"], scores


def _is_higher(differences: np.ndarray) -> bool:
    """Tell whether paired differences are above 0 beyond chance."""
    error = differences.std() / np.sqrt(max(len(differences), 1))
    return bool(differences.mean() > _DEVIATIONS * error)
