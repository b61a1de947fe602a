"""A detector on a dataset: its detections as COCO results."""

from __future__ import annotations

import numpy as np

from keras_hkd.inference.prediction import (
    coco_results,
    input_size,
    of_original,
    predict_padded,
    smooths,
)
from keras_hkd.progress import image_progress


def predict_dataset(
    detector, dataset, image_size=None, batch_size=16, progress=True, score_threshold=None
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
        list of dicts of `image_id`, `category_id` (index into the dataset's `class_names` + 1),
        `bbox` (left, top, width, height in pixels) and `score`, image by image, best first.
        Classes that the dataset does not name are left out.

    Raises:
        ValueError: no image size, or detector and dataset have no class in common.
    """
    from keras_hkd.data.batches.pipeline import prediction_batches  # loads TensorFlow

    size = input_size(detector, image_size)
    categories = category_ids(getattr(detector, "class_names", None), dataset.class_names)
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


def category_ids(detector_classes, dataset_classes) -> list[int]:
    """COCO category id for each class of the detector: its place in the dataset + 1; 0 for none.

    Classes go by name. A detector and a dataset of one class each fit whatever their names.

    Args:
        detector_classes: names, or None for those of the dataset.
        dataset_classes: names.

    Raises:
        ValueError: no class in common.

    Example:
        >>> category_ids(("car", "person"), ("person",))
        [0, 1]
    """
    names = list(dataset_classes)
    if detector_classes is None or len(detector_classes) == len(names) == 1:
        return list(range(1, len(names) + 1))
    ids = [names.index(name) + 1 if name in names else 0 for name in detector_classes]
    if not any(ids):
        raise ValueError(
            f"The detector's classes {_short(detector_classes)} and the dataset's {_short(names)} "
            "have none in common: name the detector's classes as the dataset does "
            "(`class_names`), or read the dataset with other `class_names`."
        )
    return ids


def _short(names) -> str:
    names = [str(name) for name in names]
    return ", ".join(names[:5]) + (f", ... ({len(names)} in all)" if len(names) > 5 else "")
