"""Keys of caches: what a cache was made from, and the check that it fits."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from keras_hkd.errors import InvalidValueError

EXACT, REPLAY = "exact", "replay"
"""The modes: outputs for exactly the images of training, or detections moved with these images."""

MEANINGS = {
    "teacher_hash": "the teacher's hash",
    "data_hash": "the images and their labels",
    "class_names": "the teacher's class names",
    "image_size": "the size of the images",
    "teacher_image_size": "the size that the teacher sees",
    "mode": "the mode",
    "views": "the stored views",
    "augmentation": "the augmentation",
    "rows": "what is stored",
    "features": "how features are stored",
}


class CacheError(InvalidValueError):
    """Raised for a cache of another teacher or pipeline, or one that is incomplete."""


def digest_of(key: Mapping) -> str:
    """Compute the SHA-256 of a key, independent of the order of its entries.

    Args:
        key: plain values.

    Returns:
        Hexadecimal digits.

    Example:

    >>> digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def require_key(saved: Mapping, asked: Mapping, folder: str | os.PathLike) -> None:
    """Check that a cache has a certain key.

    Args:
        saved: key of the cache.
        asked: the expected key; missing entries are not compared.
        folder: folder of the cache, for the message.

    Raises:
        CacheError: if not; the message lists all that differs, with both values.

    Example:

    >>> require_key({"image_size": [64, 64]}, {"image_size": [96, 96]}, "cache")
    Traceback (most recent call last):
    keras_hkd.teacher_cache.cache_key.CacheError: The teacher cache cache was made with another
    pipeline: the size of the images was [64, 64] and is now [96, 96]. Build one for this pair
    in another folder, or give what this one was made with.
    """
    found = [
        f"{MEANINGS.get(name, name)} was {_short(saved.get(name))} and is now {_short(value)}"
        for name, value in asked.items()
        if saved.get(name) != value
    ]
    if found:
        other_teacher = any(text.startswith(MEANINGS["teacher_hash"]) for text in found)
        what = "teacher" if other_teacher else "pipeline"
        raise CacheError(
            f"The teacher cache {folder} was made with another {what}: {'; '.join(found)}. Build "
            "one for this pair in another folder, or give what this one was made with."
        )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:60]}... ({digest_of({'value': value})[:8]})"
