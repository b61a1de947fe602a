"""The files of a cache beside its shards: its facts, the stand-in for the teacher, the bases."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_hkd.atomic_write import DAMAGE, replacing
from keras_hkd.data.batches.augmentation import NO_AUGMENTATION, Augmentation
from keras_hkd.json_files import write_json
from keras_hkd.teacher_cache.cache_key import CacheError, digest_of

FACTS, TEACHER, BASES = "cache.json", "teacher.json", "bases.npz"
MEND = (
    "Build it again with the same arguments (`keras-hkd cache`, or TeacherCache.build): only what "
    "is missing is computed."
)


def write(folder: Path, facts: dict, bases: dict, teacher: Any) -> None:
    """Write all three files atomically, `cache.json` last.

    Args:
        folder: folder of the cache.
        facts: `key`, `num_images`, `shard_rows`, `map_shapes`, `pictures` (see the module of that
            name) and, once it is known, `report`.
        bases: means and components of projected maps.
        teacher: stand-in for the teacher; its configuration is written, without weights.
    """
    if bases:
        columns = {f"{name}|mean": mean for name, (mean, _) in bases.items()}
        columns |= {f"{name}|axes": axes for name, (_, axes) in bases.items()}
        with replacing(folder / BASES) as partial:
            np.savez(partial, **columns)
    config = keras.saving.serialize_keras_object(teacher)
    write_json(folder / TEACHER, config, indent=None)
    write_json(folder / FACTS, {**facts, "bases": bases_digest(bases)})


def read(folder: Path) -> tuple:
    """Read the constructor's arguments of a `TeacherCache`.

    Args:
        folder: folder of the cache.

    Returns:
        The folder, the facts, the bases and the stand-in for the teacher.

    Raises:
        CacheError: if there is no cache, or one of its files is damaged.
    """
    facts = read_facts(folder)
    bases = read_bases(folder / BASES)
    if bases_digest(bases) != facts["bases"]:
        raise CacheError(f"The teacher cache {folder} is damaged: {BASES}. {MEND}")
    try:
        config = json.loads((folder / TEACHER).read_text(encoding="utf-8"))
        teacher = keras.saving.deserialize_keras_object(config)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CacheError(f"The teacher cache {folder} is damaged: {TEACHER}. {MEND}") from error
    return folder, facts, bases, teacher


def read_facts(folder: Path) -> dict:
    """Read `cache.json`.

    Args:
        folder: folder of the cache.

    Raises:
        CacheError: if there is none, or it is damaged.
    """
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        return {**facts, "key": dict(facts["key"]), "bases": facts["bases"]}
    except FileNotFoundError:
        raise CacheError(f"{folder} holds no teacher cache: there is no {FACTS}.") from None
    except (ValueError, TypeError, KeyError) as error:
        raise CacheError(
            f"The teacher cache {folder} is damaged: {FACTS} cannot be read. Delete the folder and "
            "build the cache again."
        ) from error


def augmentation_facts(augmentation: Augmentation | None) -> dict | None:
    """Convert an augmentation to plain values; None stands for letterboxing only."""
    if augmentation is None or augmentation == NO_AUGMENTATION:
        return None
    # What mixes images is refused; without it, caches from before there was such a thing hold.
    facts = {
        field.name: getattr(augmentation, field.name)
        for field in dataclasses.fields(augmentation)
        if not field.metadata.get("mixes")
    }
    return {k: list(v) if isinstance(v, tuple) else v for k, v in facts.items()}


def augmentation_of(facts: dict) -> Augmentation:
    """Build an augmentation from what `augmentation_facts` returned."""
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in facts.items()}
    return Augmentation(**values)


def read_bases(path: Path) -> dict:
    """Read the bases from a file; empty if there is none or it is damaged."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            names = sorted({name.rpartition("|")[0] for name in arrays})
            return {name: (arrays[f"{name}|mean"], arrays[f"{name}|axes"]) for name in names}
    except DAMAGE:
        return {}


def bases_digest(bases: dict) -> str:
    """Compute the checksum of the bases."""
    return digest_of({name: [a.tolist() for a in arrays] for name, arrays in bases.items()})


def require_single_views(augmentation: Any, folder: str | os.PathLike) -> None:
    """Refuse pictures that are put together from several images, and batches of several sizes.

    Args:
        augmentation: an `Augmentation`, or None.
        folder: folder of the cache, for the message.

    Raises:
        CacheError: the augmentation mixes.
    """
    if augmentation is not None and augmentation.mixes:
        raise CacheError(
            f"The teacher cache {folder} holds what the teacher says about single images at one "
            "size: it cannot be used with mosaic, mixup, copy_paste or sizes. Leave them out, or "
            f"distil from the teacher itself. Received: {augmentation.mixing}"
        )
