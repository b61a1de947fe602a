"""Builds teacher caches shard by shard."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import keras
import numpy as np

from keras_hkd.atomic_write import remove_partial_files
from keras_hkd.checks import whole
from keras_hkd.data import Augmentation, Dataset, StoredViews, stored_view_batches
from keras_hkd.distillation.learners import as_learner
from keras_hkd.distillation.teachers import weights_hash
from keras_hkd.errors import InvalidTypeError, InvalidValueError
from keras_hkd.folder_lock import folder_lock
from keras_hkd.hierarchies.alignment import shared_classes
from keras_hkd.progress import image_progress
from keras_hkd.teacher_cache import manifest
from keras_hkd.teacher_cache.cache_key import EXACT, REPLAY, CacheError, require_key
from keras_hkd.teacher_cache.collector import Collector, fit_bases, maps_of
from keras_hkd.teacher_cache.contents import Contents
from keras_hkd.teacher_cache.detections_teacher import DetectionsTeacher
from keras_hkd.teacher_cache.differences import exact_differences, replay_differences
from keras_hkd.teacher_cache.features import FeatureStore
from keras_hkd.teacher_cache.pictures import checksums, require_same_pictures
from keras_hkd.teacher_cache.shards import Shards, rows_per_shard

if TYPE_CHECKING:
    from keras_hkd.parts import Shard
    from keras_hkd.teacher_cache.row_format import RowFormat

SAMPLE_IMAGES = 64
"""Number of images on which components are fitted and differences are measured."""


@dataclasses.dataclass(kw_only=True)
class Recipe:
    """The checked options of `TeacherCache.build`.

    Raises:
        ValueError: if an option is out of range, or options exclude each other.
    """

    image_size: tuple[int, int] | None = None
    hierarchies: object = None
    outputs: tuple[str, ...] | None = None
    mode: str = EXACT
    views: int = 0
    seed: int = 0
    augmentation: Augmentation | None = None
    teacher_image_size: tuple[int, int] | None = None
    num_detections: int = 100
    features: FeatureStore = dataclasses.field(default_factory=FeatureStore)
    batch_size: int = 16
    cache_images: str | bool = "auto"
    progress: bool = True
    shard_rows: int | None = None
    shard: Shard | None = None

    def __post_init__(self) -> None:
        if self.mode not in (EXACT, REPLAY):
            raise InvalidValueError(
                f"`mode` must be {EXACT!r} or {REPLAY!r}. Received: {self.mode!r}"
            )
        for name in ("num_detections", "batch_size", "shard_rows"):
            if getattr(self, name) is not None:
                whole(name, getattr(self, name), low=1)
        if self.mode == REPLAY and self.views:
            raise InvalidValueError(
                "Replay stores the images as they are and moves the boxes with any view: leave "
                f"out `views`. Received: mode='replay', views={self.views}"
            )
        if self.augmentation is not None and self.augmentation.mixes:
            raise InvalidValueError(
                "A teacher cache holds views of single images at one size: build it without "
                f"mosaic, mixup, copy_paste and sizes. Received: {self.augmentation.mixing}"
            )
        if self.augmentation is not None and not self.views:
            raise InvalidValueError(
                "`augmentation` says how stored views vary, so it needs views=1 or more. "
                f"Received: views={self.views}"
            )
        if self.hierarchies is not None and self.outputs is not None:
            raise InvalidValueError(
                "Give `hierarchies` or `outputs`, not both. "
                f"Received: hierarchies and outputs={self.outputs}"
            )
        self.stored_views = StoredViews(self.views, self.seed) if self.views else None
        if self.views and self.augmentation is None:
            self.augmentation = Augmentation()

    def contents(self) -> Contents:
        """Return what is stored."""
        if self.mode == EXACT:
            if self.hierarchies is not None:
                return Contents.of(self.hierarchies)
            return Contents() if self.outputs is None else Contents(tuple(self.outputs))
        asked = Contents(tuple(self.outputs or ()))
        if asked.outputs:
            raise InvalidValueError(
                "Replay holds detections only: maps and dense predictions of an image cannot be "
                f"moved to its augmented views. Received: outputs={asked.outputs}"
            )
        return asked

    def images(self, dataset: Dataset, rows: Sequence[int] | np.ndarray) -> Any:
        """Make batches of the images of some rows."""
        return stored_view_batches(
            dataset,
            rows,
            image_size=self.image_size,
            batch_size=self.batch_size,
            views=self.stored_views,
            augmentation=self.augmentation,
            cache=self.cache_images,
        )


def build(cls: Any, teacher: Any, dataset: Dataset, folder: Path, recipe: Recipe) -> Any:
    """Build or complete the cache in a folder; see `TeacherCache.build`.

    Args:
        cls: `TeacherCache`.
        teacher: a detector.
        dataset: the training images.
        folder: folder of the cache.
        recipe: a `Recipe`.

    Returns:
        The cache.
    """
    teacher = _as_detector(teacher, dataset)
    size = recipe.image_size or teacher.image_size
    recipe.image_size = (int(size[0]), int(size[1]))
    contents = recipe.contents()
    key = _key(teacher, dataset, recipe)
    with completing(folder, key, dataset) as saved:
        begun = _begin(cls, teacher, dataset, folder, recipe, contents, key, saved)
        if recipe.shard is None:
            return _complete(*begun, teacher, dataset, recipe)
    # Other processes fill their shares at the same time: each file is written by one alone.
    cache, collector = begun[:2]
    share = recipe.shard.of(cache.shards.count)
    missing = [number for number in share if not cache.shards.is_whole(number)]
    _fill(cache.shards, missing, collector, cache.row_format, dataset, recipe)
    return cache


def _begin(
    cls: Any,
    teacher: Any,
    dataset: Dataset,
    folder: Path,
    recipe: Recipe,
    contents: Contents,
    key: dict[str, Any],
    saved: dict[str, Any] | None,
) -> tuple[Any, Collector, _Manifest]:
    """Write the manifest of a cache; give the cache, not yet filled, and what fills it."""
    num_rows = len(dataset) * max(1, recipe.views)
    sample = np.unique(np.linspace(0, num_rows - 1, min(SAMPLE_IMAGES, num_rows)).astype(int))
    bases = manifest.read_bases(folder / manifest.BASES) if saved else {}
    if saved is None or manifest.bases_digest(bases) != saved["bases"]:
        images = recipe.images(dataset, sample) if recipe.features.channels else ()
        seen = recipe.teacher_image_size
        bases = fit_bases(teacher, contents, recipe.features, images, seen)
    collector = Collector(
        teacher,
        contents,
        recipe.features,
        bases,
        recipe.num_detections,
        recipe.teacher_image_size,
        _class_indices(teacher, dataset),
    )
    image_size = cast(tuple[int, int], recipe.image_size)  # `build` has set it
    blank = np.zeros((recipe.batch_size, *image_size, 3), np.float32)
    row_format = collector.row_format(collector.rows(blank))
    key["rows"] = row_format.to_json()
    require_same_cache(folder, key)
    facts = {
        "key": key,
        "num_images": len(dataset),
        "shard_rows": _shard_rows(saved, recipe, num_rows, row_format.row_bytes),
        "map_shapes": _map_shapes(teacher, contents, recipe),
        "report": None if saved is None else saved.get("report"),
        "pictures": checksums(dataset) if saved is None else saved.get("pictures"),
    }
    standing = teacher if contents.outputs else _detections_alone(teacher, image_size)
    if recipe.shard is None or saved is None:
        begin(folder, facts, bases, standing)
    return cls(*manifest.read(folder)), collector, _Manifest(facts, bases, standing, sample)


class _Manifest(NamedTuple):
    """What is written beside the shards of a cache, and the rows that its report looks at."""

    facts: dict[str, Any]
    bases: dict[str, Any]
    teacher: Any
    sample: np.ndarray


def _complete(
    cache: Any,
    collector: Collector,
    begun: _Manifest,
    teacher: Any,
    dataset: Dataset,
    recipe: Recipe,
) -> Any:
    """Compute the shards that are missing, and the report."""
    missing = cache.shards.missing()
    _fill(cache.shards, missing, collector, cache.row_format, dataset, recipe)
    if missing or cache.report is None:
        cache.report = _report(cache, teacher, collector, dataset, recipe, begun.sample)
        facts = {**begun.facts, "report": cache.report}
        manifest.write(cache.folder, facts, begun.bases, begun.teacher)
    return cache


def require_same_cache(folder: Path, key: dict, dataset: Dataset | None = None) -> dict | None:
    """Check that a folder holds a certain cache, or none.

    Args:
        folder: folder of the cache.
        key: key of the cache; entries that are missing are not compared.
        dataset: the images, whose files are compared too; None if they need not be.

    Returns:
        The facts of the cache, or None if there is none.

    Raises:
        CacheError: if the folder holds another cache or other files.
    """
    if not (folder / manifest.FACTS).exists():
        # Files of a build that was killed before it wrote its facts.
        begun = {manifest.TEACHER, manifest.BASES}
        if folder.is_dir() and {path.name for path in folder.glob("[!.]*")} - begun:
            raise CacheError(
                f"A teacher cache needs a folder of its own. Received: {folder}, which is not "
                "empty and holds no teacher cache."
            )
        return None
    facts = manifest.read_facts(folder)
    require_key(facts["key"], key, folder)
    if dataset is not None:
        require_same_pictures(facts.get("pictures"), dataset, folder)
    return facts


@contextlib.contextmanager
def completing(folder: Path, key: dict, dataset: Dataset) -> Iterator[dict[str, Any] | None]:
    """Lock the folder of a cache against other processes; give `require_same_cache`.

    A second build of the same cache waits for the first and finds it complete.

    Args:
        folder: folder of the cache.
        key: see `require_same_cache`.
        dataset: the images.

    Raises:
        CacheError: see `require_same_cache`.
    """
    require_same_cache(folder, key)  # before the lock, which writes a file
    with folder_lock(folder, wait=True):
        yield require_same_cache(folder, key, dataset)


def begin(folder: Path, facts: dict, bases: dict, teacher: Any) -> None:
    """Write the manifest of a cache before its shards, and remove half-written files.

    Args:
        folder: folder of the cache.
        facts: see `manifest.write`.
        bases: see `manifest.write`.
        teacher: stand-in for the teacher.
    """
    remove_partial_files(folder)
    manifest.write(folder, facts, bases, teacher)


def _as_detector(teacher: Any, dataset: Dataset) -> Any:
    teacher = as_learner(teacher)
    if teacher.kind != "detector" or not isinstance(dataset, Dataset):
        raise InvalidTypeError(
            "A teacher cache serves detectors and datasets of boxes. Received: a "
            f"{teacher.kind} and a {type(dataset).__name__}."
        )
    if not len(dataset):
        raise InvalidValueError("A teacher cache needs at least one image. Received: 0 images")
    return teacher


def _class_indices(teacher: Any, dataset: Dataset) -> tuple[int, ...] | None:
    """Return the indices of the teacher's classes that the images have, or None for all."""
    try:
        return shared_classes(teacher, dataset)
    except ValueError:
        return None  # hierarchies that compare classes refuse the pair; others do not need them


def _key(teacher: Any, dataset: Dataset, recipe: Recipe) -> dict:
    seen = recipe.teacher_image_size
    views = recipe.stored_views
    return {
        "format": 1,
        "teacher_hash": weights_hash(teacher),
        "class_names": list(teacher.class_names),
        "data_hash": dataset.content_hash,
        "image_size": list(cast(tuple[int, int], recipe.image_size)),
        "teacher_image_size": None if seen is None else [int(side) for side in seen],
        "mode": recipe.mode,
        "views": None if views is None else dataclasses.asdict(views),
        "augmentation": manifest.augmentation_facts(recipe.augmentation),
        "features": dataclasses.asdict(recipe.features),
    }


def _shard_rows(saved: dict[str, Any] | None, recipe: Recipe, num_rows: int, row_bytes: int) -> int:
    if saved is not None:
        return saved["shard_rows"]
    asked = recipe.shard_rows or rows_per_shard(num_rows, row_bytes)
    return int(min(asked, num_rows))


def _map_shapes(teacher: Any, contents: Contents, recipe: Recipe) -> dict:
    """Return the shapes of the teacher's maps, to which stored maps are restored."""
    size = cast(tuple[int, int], recipe.teacher_image_size or recipe.image_size)
    spec = teacher.compute_output_spec(keras.KerasTensor((1, *size, 3)))
    shapes = {name: tuple(m.shape[1:]) for name, m in maps_of(spec, contents).items()}
    levels = teacher.level_shapes(size)
    return {name: [*levels[name.rpartition("/")[2]], shape[-1]] for name, shape in shapes.items()}


def _detections_alone(teacher: Any, image_size: Sequence[int]) -> DetectionsTeacher:
    return DetectionsTeacher(teacher.class_names, image_size, teacher.name)


def _fill(
    shards: Shards,
    missing: list[int],
    collector: Collector,
    row_format: RowFormat,
    dataset: Dataset,
    recipe: Recipe,
) -> None:
    """Compute the missing shards in order and write each as soon as it is complete."""
    if not missing:
        return
    # Batches begin anew with each shard: its bytes do not depend on which others are missing.
    rows_of = [np.array(shards.rows_of(number)) for number in missing]
    padded = [np.pad(rows, (0, -len(rows) % recipe.batch_size), mode="edge") for rows in rows_of]
    stream = iter(recipe.images(dataset, np.concatenate(padded)))
    with image_progress("Running the teacher", sum(map(len, rows_of)), recipe.progress) as advance:
        for number, rows, seen in zip(missing, rows_of, padded, strict=True):
            packed: list[np.ndarray] = []
            for start in range(0, len(seen), recipe.batch_size):
                packed.append(row_format.pack(collector.rows(np.asarray(next(stream)))))
                advance(min(recipe.batch_size, len(rows) - start))
            shards.write(number, np.concatenate(packed)[: len(rows)])


def _report(
    cache: Any,
    teacher: Any,
    collector: Collector,
    dataset: Dataset,
    recipe: Recipe,
    sample: np.ndarray,
) -> dict:
    """Measure the size of the cache and its difference to the live teacher on a few images."""
    report = {"num_bytes": cache.num_bytes, "num_rows": cache.shards.num_rows}
    if recipe.mode == EXACT:
        rows = sample[: recipe.batch_size]
        images = next(iter(recipe.images(dataset, rows))).numpy()[: len(rows)]
        found = exact_differences(cache, teacher, rows, images)
        return {**report, "exact": found, "num_images_compared": len(rows)}
    some = dataset.select([int(index) for index in sample])
    found = replay_differences(cache, collector, some, sample, recipe)
    return {**report, "replay": found, "num_images_compared": len(some)}
