"""A detector on images of any size: detections in pixels of the original images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_hkd.boxes import clip, convert
from keras_hkd.data.batches.letterbox import Letterbox
from keras_hkd.errors import InvalidValueError


def predict_images(
    detector, images: Sequence[np.ndarray], image_size=None, batch_size=16, score_threshold=None
) -> list[dict[str, np.ndarray]]:
    """Detect in images that are in memory.

    Args:
        detector: a `keras_hkd.detectors.Detector`, or anything whose `predict_on_batch(images)`
            gives `boxes (b, n, 4)` xyxy pixels of the images given, `classes (b, n)`,
            `confidence (b, n)` and `num_detections (b,)`.
        images: uint8 `(height, width, 3)` RGB each, of any sizes.
        image_size: `(height, width)` in pixels to letterbox to; the detector's own if None.
        batch_size: images at a time; smaller batches are filled up, so keep it the same between
            calls.
        score_threshold: detections that score less are left out; None keeps all.

    Returns:
        for each image a dict of `boxes (n, 4)` xyxy pixels of that image, `classes (n,)` and
        `confidence (n,)`, best first.

    Raises:
        ValueError: no image size, or an image is of another form.
    """
    size = input_size(detector, image_size)
    results = []
    for start in range(0, len(images), batch_size):
        batch = [np.asarray(image) for image in images[start : start + batch_size]]
        boxed = [
            Letterbox.fit(image.shape[:2], size).resize(image, smooths(detector)) for image in batch
        ]
        found = predict_padded(detector, np.stack(boxed).astype(np.float32), batch_size)
        results += [
            of_original(found, row, image.shape[:2], size, score_threshold)
            for row, image in enumerate(batch)
        ]
    return results


def coco_results(
    found: dict[str, np.ndarray], image_id, categories: Sequence[int | str | None]
) -> list[dict]:
    """Detections of one image in the form of COCO results.

    Args:
        found: what `predict_images` gives for an image.
        image_id: id of the image.
        categories: category id of each class, None to leave a class out.

    Example:
        >>> found = {"boxes": np.array([[1.0, 2.0, 4.0, 8.0]]), "classes": np.array([0]),
        ...          "confidence": np.array([0.5])}
        >>> coco_results(found, 7, [1])
        [{'image_id': 7, 'category_id': 1, 'bbox': [1.0, 2.0, 3.0, 6.0], 'score': 0.5}]
    """
    columns = (
        convert(found["boxes"], "xyxy", "xywh").tolist(),
        found["classes"].astype(int).tolist(),
        found["confidence"].tolist(),
    )
    return [
        {"image_id": image_id, "category_id": categories[c], "bbox": box, "score": score}
        for box, c, score in zip(*columns, strict=True)
        if 0 <= c < len(categories) and categories[c] is not None
    ]


def smooths(detector) -> bool:
    """Whether images are smoothed when they shrink to a detector's size; see `Detector`."""
    return bool(getattr(detector, "antialias", True))


def input_size(detector, image_size=None) -> tuple[int, int]:
    """`(height, width)` in pixels that a detector is to see.

    Args:
        detector: with or without an `image_size` of its own.
        image_size: the size wanted; the detector's own if None.

    Raises:
        ValueError: neither is known.
    """
    size = image_size or getattr(detector, "image_size", None)
    if size is None:
        raise InvalidValueError(
            f"{type(detector).__name__} has no `image_size`: pass image_size=(height, width)."
        )
    height, width = size
    return int(height), int(width)


def predict_padded(detector, images, batch_size) -> dict[str, np.ndarray]:
    """Detections of a batch brought to full size, so that one compiled graph serves all batches."""
    missing = batch_size - len(images)
    if missing:
        images = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)])
    return {name: np.asarray(value) for name, value in detector.predict_on_batch(images).items()}


def of_original(found, row, source_size, size, score_threshold) -> dict[str, np.ndarray]:
    """One image's detections in its own pixels, without padding and boxes that lie in it."""
    count = int(found["num_detections"][row])
    one = {name: found[name][row][:count] for name in ("boxes", "classes", "confidence")}
    boxes = clip(Letterbox.fit(source_size, size).invert(one["boxes"]), source_size)
    one["boxes"] = boxes
    keep = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    if score_threshold is not None:
        keep &= one["confidence"] >= score_threshold
    return {name: column[keep] for name, column in one.items()}
