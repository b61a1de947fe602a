"""Measures the difference between a cache and the live teacher."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from keras_hkd.boxes import pairwise_iou
from keras_hkd.data import Augmentation, StoredViews, stored_view_batches
from keras_hkd.data.batches.augmentation import draw_numbers
from keras_hkd.data.batches.label_table import letterbox_scales
from keras_hkd.hierarchies.shared_view import resize_view
from keras_hkd.teacher_cache import stored_detections
from keras_hkd.teacher_cache.contents import MAPS
from keras_hkd.tensors import Tensor

if TYPE_CHECKING:
    from keras_hkd.data import Dataset
    from keras_hkd.teacher_cache.building import Recipe
    from keras_hkd.teacher_cache.cache import TeacherCache
    from keras_hkd.teacher_cache.collector import Collector

LEAST_SCORE, LEAST_OVERLAP = 0.3, 0.5


def exact_differences(
    cache: TeacherCache, teacher: Any, rows: np.ndarray, images: np.ndarray
) -> dict:
    """Compare the stored outputs with those of the live teacher.

    Args:
        cache: a `TeacherCache` in mode exact.
        teacher: the live teacher.
        rows: numbers of the rows.
        images: `(b, height, width, 3)` of these rows.

    Returns:
        dict from the name of an output to the largest difference, as a fraction of the largest
        value of the live output. For maps that are pooled or projected it also has
        `unexplained_variance`, the share of their variance around the channels' means that is lost,
        averaged over levels; of `pyramid` and `class_tower` the larger.
    """
    values = cache.row_format.unpack([cache.shards.row(number) for number in rows])
    found = stored_detections.decode(values, cache.image_size)
    others = {name: v for name, v in values.items() if not name.startswith("detections/")}
    stored = cache.outputs({"detections": found, **others})
    seen = cache.teacher_image_size or tuple(images.shape[1:3])
    live = teacher(resize_view(keras.ops.convert_to_tensor(images), seen), training=False)
    differences, unexplained = {}, {}
    for name in stored:
        if name == "detections":
            continue
        pairs = zip(keras.tree.flatten(stored[name]), _kept(live[name], stored[name]), strict=True)
        gaps = [_gap(np.asarray(a), np.asarray(b, np.float32)) for a, b in pairs]
        differences[name] = max(gap for gap, _ in gaps)
        if name in MAPS and cache.features != type(cache.features)():
            unexplained[name] = float(np.mean([rest for _, rest in gaps]))
    if unexplained:
        differences["unexplained_variance"] = max(unexplained.values())
    return differences


def replay_differences(
    cache: TeacherCache, collector: Collector, dataset: Dataset, rows: np.ndarray, recipe: Recipe
) -> dict:
    """Compare detections moved to augmented views with those of the live teacher in these views.

    Args:
        cache: a `TeacherCache` in mode replay.
        collector: the live teacher's `Collector`.
        dataset: a few of the images.
        rows: their numbers in the cache.
        recipe: the options of the build.

    Returns:
        `found_again`, the share of the live detections with a score of at least 0.3 that have a
        replayed one of IoU 0.5; `confirmed`, the share of the replayed ones that have a live one;
        `mean_iou` and `mean_score_difference` of the pairs.
    """
    size, augmentation, views = cache.image_size, Augmentation(), StoredViews(1, recipe.seed)
    images = stored_view_batches(
        dataset,
        range(len(dataset)),
        image_size=size,
        batch_size=recipe.batch_size,
        views=views,
        augmentation=augmentation,
        cache=recipe.cache_images,
    )
    batches = [collector.rows(np.asarray(batch)) for batch in images]
    live = {
        name: tf.constant(np.concatenate([one[name] for one in batches])[: len(dataset)])
        for name in batches[0]
    }
    live = stored_detections.decode(live, size)
    values = cache.row_format.unpack([cache.shards.row(number) for number in rows])
    sizes = np.array([(image.height, image.width) for image in dataset])
    contents = tf.constant(sizes * letterbox_scales(dataset, size)[:, None], tf.float32)
    draws = draw_numbers(views.seed, 0, len(dataset))
    found = stored_detections.decode(values, size)
    moved = stored_detections.replay(found, augmentation, draws, contents, size)
    return compared(live, moved)


def compared(live: Any, moved: Any) -> dict:
    """Compare two sets of detections for the same images.

    Args:
        live: dict of `boxes (b, n, 4)`, `classes (b, n)` and `confidence (b, n)`.
        moved: the same for the replayed detections.

    Returns:
        See `replay_differences`.
    """
    counts, overlaps, gaps = np.zeros(4), [], []
    for one, other in zip(_rows(live), _rows(moved), strict=True):
        for pair, place in (((one, other), 0), ((other, one), 2)):
            (boxes, scores), (boxes_there, scores_there) = pair
            strong = scores >= LEAST_SCORE
            counts[place + 1] += strong.sum()
            if not len(boxes_there):
                continue
            iou = pairwise_iou(boxes[strong], boxes_there)
            best = iou.max(axis=1, initial=0.0)
            counts[place] += (best >= LEAST_OVERLAP).sum()
            if place == 0 and strong.any():
                near = best >= LEAST_OVERLAP
                overlaps += best[near].tolist()
                gaps += np.abs(scores[strong] - scores_there[iou.argmax(axis=1)])[near].tolist()
    return {
        "found_again": _share(counts[0], counts[1]),
        "confirmed": _share(counts[2], counts[3]),
        "mean_iou": float(np.mean(overlaps)) if overlaps else None,
        "mean_score_difference": float(np.mean(gaps)) if gaps else None,
        "num_live_detections": int(counts[1]),
    }


def _rows(found: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    boxes, classes, scores = (np.asarray(found[k]) for k in ("boxes", "classes", "confidence"))
    for b, c, s in zip(boxes, classes, scores, strict=True):
        yield b[c >= 0].astype(float), s[c >= 0]


def _share(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None


def _kept(live: Any, stored: Any) -> list[Tensor]:
    if isinstance(stored, dict):
        live = {level: live[level] for level in stored}
    return keras.tree.flatten(live)


def _gap(stored: Any, live: Any) -> tuple[float, float]:
    scale = max(np.abs(live).max(), 1e-9)
    channel_means = live.mean(axis=tuple(range(live.ndim - 1)))
    variance = max(np.mean((live - channel_means) ** 2), 1e-12)
    return float(np.abs(stored - live).max() / scale), float(
        np.mean((stored - live) ** 2) / variance
    )
