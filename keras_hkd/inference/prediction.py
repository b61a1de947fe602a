"""Runs a detector on images of any size; its detections are in pixels of the original images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from keras_hkd.boxes import clip, convert
from keras_hkd.data.batches.letterbox import Letterbox
from keras_hkd.errors import InvalidValueError


class Predictor(Protocol):
    """What detects: a Keras `Detector`, a `TFLiteDetector`, or any object with this method.

    It may also have `image_size`, `(height, width)` in pixels; `class_names`; `antialias`, whether
    images are smoothed where they shrink; `score_threshold`.
    """

    def predict_on_batch(self, images: Any) -> Mapping[str, Any]:
        """Detect in a batch of images.

        Args:
            images: float32 `(b, height, width, 3)` RGB in [0, 255].

        Returns:
            dict of `boxes (b, n, 4)` xyxy pixels of the images given, `classes (b, n)`,
            `confidence (b, n)` and `num_detections (b,)`, best first, padded with -1.
        """
        ...


def predict_images(
    detector: Predictor,
    images: Sequence[np.ndarray],
    image_size: tuple[int, int] | None = None,
    batch_size: int = 16,
    score_threshold: float | None = None,
) -> list[dict[str, np.ndarray]]:
    """Detect objects in images that are in memory.

    Args:
        detector: a `keras_hkd.detectors.Detector`, a `TFLiteDetector` or another `Predictor`.
        images: uint8 `(height, width, 3)` RGB each, of any sizes.
        image_size: `(height, width)` in pixels to letterbox to; the detector's own if None.
        batch_size: images at a time; smaller batches are filled up, so keep it the same between
            calls.
        score_threshold: detections that score less are left out; None keeps all.

    Returns:
        For each image a dict of `boxes (n, 4)` xyxy pixels of that image, `classes (n,)` and
        `confidence (n,)`, best first.

    Raises:
        ValueError: no image size is known, or an image has another shape.
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
    found: dict[str, np.ndarray], image_id: int | str, categories: Sequence[int | str | None]
) -> list[dict]:
    """Convert the detections of one image to COCO results.

    Args:
        found: what `predict_images` gives for an image.
        image_id: id of the image.
        categories: category id of each class, None to leave a class out.

    Returns:
        One dict for each detection, boxes as `[x, y, width, height]` in pixels.

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


def smooths(detector: object) -> bool:
    """Tell whether images are smoothed when they shrink to a detector's size; see `Detector`."""
    return bool(getattr(detector, "antialias", True))


def input_size(detector: Predictor, image_size: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return the size of the images that a detector is given.

    Args:
        detector: a detector; it may have an `image_size`.
        image_size: the size wanted; the detector's own if None.

    Returns:
        `(height, width)` in pixels.

    Raises:
        ValueError: neither is known.
    """
    size = image_size or getattr(detector, "image_size", None)
    if size is None:
        raise InvalidValueError(
            f"{type(detector).__name__} has no `image_size`: pass image_size=(height, width). "
            "Received: image_size=None"
        )
    height, width = size
    return int(height), int(width)


def predict_padded(
    detector: Predictor, images: np.ndarray, batch_size: int
) -> dict[str, np.ndarray]:
    """Detect in a batch that is padded to its full size, so that one graph serves all."""
    missing = batch_size - len(images)
    if missing:
        images = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)])
    return {name: np.asarray(value) for name, value in detector.predict_on_batch(images).items()}


def of_original(
    found: Mapping[str, np.ndarray],
    row: int,
    source_size: tuple[int, int],
    size: tuple[int, int],
    score_threshold: float | None,
) -> dict[str, np.ndarray]:
    """Convert the detections of one image to its own pixels; leave out boxes in the padding."""
    count = int(found["num_detections"][row])
    one = {name: found[name][row][:count] for name in ("boxes", "classes", "confidence")}
    boxes = clip(Letterbox.fit(source_size, size).invert(one["boxes"]), source_size)
    one["boxes"] = boxes
    keep = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    if score_threshold is not None:
        keep &= one["confidence"] >= score_threshold
    return {name: column[keep] for name, column in one.items()}
