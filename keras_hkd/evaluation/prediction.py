"""Runs a detector on a dataset; its detections are COCO results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from keras_hkd.data.classes import canonical
from keras_hkd.data.dataset import Dataset
from keras_hkd.errors import InvalidValueError
from keras_hkd.inference.prediction import (
    Predictor,
    coco_results,
    input_size,
    of_original,
    predict_padded,
    smooths,
)
from keras_hkd.progress import image_progress


def predict_dataset(
    detector: Predictor,
    dataset: Dataset,
    image_size: tuple[int, int] | None = None,
    batch_size: int = 16,
    progress: bool = True,
    score_threshold: float | None = None,
) -> list[dict]:
    """Detect in every image of a dataset, as COCO results.

    Images are letterboxed to `image_size`; boxes are brought back to the original image and cut at
    its edge.

    Args:
        detector: a `keras_hkd.detectors.Detector`, or anything whose `predict_on_batch(images)`
            gives `boxes (b, n, 4)` xyxy pixels of the images given, `classes (b, n)`,
            `confidence (b, n)` and `num_detections (b,)`.
        dataset: a `keras_hkd.data.Dataset`.
        image_size: `(height, width)` in pixels; the detector's own if None.
        batch_size: images at a time.
        progress: show a progress bar on the error stream if it is a terminal.
        score_threshold: detections that score less are left out; None keeps all.

    Returns:
        list of dicts of `image_id`, `category_id` (the dataset's own id of the class),
        `bbox` (left, top, width, height in pixels) and `score`, image by image, best first.
        Classes that the dataset does not name are left out.

    Raises:
        ValueError: no image size, or detector and dataset have no class in common.
    """
    from keras_hkd.data.batches.pipeline import prediction_batches  # loads TensorFlow

    size = input_size(detector, image_size)
    names = getattr(detector, "class_names", None)
    ids = [of_class[0] for of_class in dataset.category_ids]
    categories = category_ids(names, dataset.class_names, ids)
    batch_size = max(1, min(batch_size, len(dataset)))
    annotations = iter(dataset)
    results = []
    with image_progress("Detecting", len(dataset), progress) as advance:
        for images in prediction_batches(
            dataset, image_size=size, batch_size=batch_size, antialias=smooths(detector)
        ):
            found = predict_padded(detector, np.asarray(images), batch_size)
            for row in range(len(images)):
                annotation = next(annotations)
                source_size = (annotation.height, annotation.width)
                one = of_original(found, row, source_size, size, score_threshold)
                results += coco_results(one, annotation.image_id, categories)
            advance(len(images))
    return results


def category_ids(
    detector_classes: Sequence[str] | None,
    dataset_classes: Sequence[str],
    ids: Sequence[int | str] | None = None,
) -> list[int | str | None]:
    """Match the classes of a detector with the category ids of a dataset.

    Classes go by name, all words for people being one. A detector and a dataset of one class each
    fit whatever their names.

    Args:
        detector_classes: names, or None for those of the dataset.
        dataset_classes: names.
        ids: the dataset's id of each of its classes; by default the positions + 1.

    Raises:
        ValueError: no class in common.

    Example:

    >>> category_ids(("car", "pedestrian"), ("person",))
    [None, 1]
    """
    names = [canonical(name) for name in dataset_classes]
    ids = list(range(1, len(names) + 1)) if ids is None else list(ids)
    if detector_classes is None or len(detector_classes) == len(names) == 1:
        return [*ids]
    known = dict(zip(names, ids, strict=True))
    found = [known.get(canonical(name)) for name in detector_classes]
    if all(one is None for one in found):
        raise InvalidValueError(
            f"The detector's classes {_short(detector_classes)} and the dataset's "
            f"{_short(dataset_classes)} have none in common: name the detector's classes as the "
            "dataset does (`class_names`), or say which of the dataset's classes is which "
            "(--class person=NAME, `class_names` of `load_dataset`)."
        )
    return found


def _short(names: Iterable[object]) -> str:
    words = [str(name) for name in names]
    return ", ".join(words[:5]) + (f", ... ({len(words)} in all)" if len(words) > 5 else "")
