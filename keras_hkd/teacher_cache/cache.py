"""TeacherCache: a teacher's outputs for all images of a dataset, on disk."""

from __future__ import annotations

import os
import types
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from keras_hkd import checks
from keras_hkd.data import StoredViews, training_batches
from keras_hkd.data.batches.semi_supervised import SemiSupervisedDataset
from keras_hkd.errors import InvalidValueError
from keras_hkd.teacher_cache import building, detections_file, manifest
from keras_hkd.teacher_cache.batch_reader import batch_reader
from keras_hkd.teacher_cache.cache_key import EXACT, CacheError, digest_of
from keras_hkd.teacher_cache.contents import MAPS, PREDICTIONS, reads
from keras_hkd.teacher_cache.detections_teacher import DetectionsTeacher
from keras_hkd.teacher_cache.features import Bases, FeatureStore
from keras_hkd.teacher_cache.row_format import RowFormat, restored
from keras_hkd.teacher_cache.shards import Shards
from keras_hkd.tensors import TensorDict

if TYPE_CHECKING:
    from keras_hkd.data import Augmentation, Dataset
    from keras_hkd.hierarchies.hierarchy import Hierarchy
    from keras_hkd.parts import Shard

AS_STORED = object()


@keras.saving.register_keras_serializable(package="keras_hkd")
class TeacherCache:
    """The outputs of a teacher on disk, which a Distiller takes in the teacher's place.

    In mode `"exact"` the cache holds the teacher's outputs for exactly the images of training: the
    unaugmented images, or K augmented views of each, of which epoch e shows view e mod K. In mode
    `"replay"` it holds boxes and scores in the unaugmented images, and the geometric part of any
    augmentation is applied to the boxes; the difference to a live teacher is measured when the
    cache is built, see `report`.

    Use `build`, `from_detections` or `load` instead of the constructor.

    Attributes:
        folder: folder of the cache.
        key: what the cache was made from: teacher, images, sizes, augmentation, stored outputs.
        mode: `"exact"` or `"replay"`.
        views: `keras_hkd.data.StoredViews`, or None for unaugmented images.
        teacher: stand-in for the teacher, from which hierarchies read levels, widths and how
            predictions are decoded. Its attribute `cache` is this cache.
        teacher_hash: SHA-256 of the teacher's weights, or of its detections.
        image_size: `(height, width)` in pixels of the images in training.
        teacher_image_size: `(height, width)` in pixels that the teacher saw, or None for
            `image_size`.
        report: measurements of the build: `num_bytes`, differences to the live teacher.

    Example:

    >>> import tempfile
    >>> import keras_hkd
    >>> from keras_hkd.detectors import build
    >>> images = keras_hkd.data.synthetic_dataset(4, image_size=(64, 64), seed=1)
    >>> teacher = build("yolo_v8_micro", image_size=(64, 64), seed=1)
    >>> student = build("yolo_v8_micro", image_size=(64, 64), seed=2)
    >>> losses = [keras_hkd.hierarchies.ClassLogits(keras_hkd.losses.AdaptiveDistillation())]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cache = keras_hkd.TeacherCache.build(teacher, images, folder, hierarchies=losses)
    ...     distiller = keras_hkd.Distiller(cache, student, losses)
    ...     batch = next(iter(cache.training_batches(images, batch_size=2, seed=0)))
    >>> sorted(batch[1])
    ['boxes', 'classes', 'teacher']
    """

    def __init__(
        self, folder: str | os.PathLike, facts: dict[str, Any], bases: Bases, teacher: Any
    ) -> None:
        self.folder = Path(folder)
        self.key, self.report = facts["key"], facts.get("report")
        self.mode, self.teacher_hash = self.key["mode"], self.key["teacher_hash"]
        self.image_size = checks.image_size("image_size", self.key["image_size"])
        self.teacher_image_size = _size("teacher_image_size", self.key["teacher_image_size"])
        self.views = None if self.key["views"] is None else StoredViews(**self.key["views"])
        self.row_format = RowFormat.from_json(self.key["rows"])
        self.features = FeatureStore(**self.key["features"])
        self.bases, self.map_shapes = bases, facts["map_shapes"]
        self.num_images = facts["num_images"]
        self.shards = Shards(
            self.folder,
            digest_of({**self.key, "bases": facts["bases"]}),
            self.num_images * (1 if self.views is None else self.views.count),
            self.row_format.row_bytes,
            facts["shard_rows"],
        )
        self.teacher = teacher
        self.teacher.cache = self

    @classmethod
    def build(
        cls,
        teacher: Any,
        dataset: Dataset,
        folder: str | os.PathLike,
        *,
        image_size: Sequence[int] | None = None,
        hierarchies: Any = None,
        outputs: Sequence[str] | None = None,
        mode: str = EXACT,
        views: int = 0,
        seed: int = 0,
        augmentation: Augmentation | None = None,
        teacher_image_size: Sequence[int] | None = None,
        num_detections: int = 100,
        feature_pooling: int = 1,
        feature_channels: int | None = None,
        batch_size: int = 16,
        cache_images: str | bool = "auto",
        progress: bool = True,
        shard_rows: int | None = None,
        shard: Shard | None = None,
    ) -> TeacherCache:
        """Run the teacher on all images and store its outputs.

        If the folder holds a part of this cache, only missing and damaged shards are computed.

        Args:
            teacher: a detector, as `Distiller` takes it.
            dataset: the training images.
            folder: folder of the cache; created if necessary.
            image_size: `(height, width)` in pixels of the training; the teacher's own if None.
            hierarchies: the losses of the Distiller that will read the cache; what they read is
                stored.
            outputs: in place of `hierarchies`, names of outputs to store: some of
                `"class_logits"`, `"box_outputs"`, `"pyramid"`, `"class_tower"`, `"detections"`. If
                both are None, the two predictions are stored.
            mode: `"exact"`, or `"replay"`, which holds detections only.
            views: number of stored views of each image; 0 without augmentation and in replay.
            seed: seed of the views.
            augmentation: augmentation of the views; the default `Augmentation` if None.
            teacher_image_size: size in pixels that the teacher sees; None for `image_size`.
            num_detections: number of detections stored for each image.
            feature_pooling: side in cells of the blocks whose means are stored of maps.
            feature_channels: number of principal components stored of maps; None for all channels.
            batch_size: number of images in a batch of the teacher.
            cache_images: where decoded images are kept: "auto", "memory", "disk" or "none", see
                `keras_hkd.data.training_batches`.
            progress: whether to show a progress bar on the error stream if it is a terminal.
            shard_rows: number of images in one file; by default about 64 MiB.
            shard: compute only this share of the files, beside other processes that compute theirs
                in the same folder. A call without it, when all are done, finishes the cache.

        Returns:
            The cache; with `shard`, one that is not whole yet and has no report.

        Raises:
            CacheError: if the folder holds the cache of another teacher or pipeline.
            TypeError: if the teacher is no detector.
            ValueError: if an option is out of range.
        """
        recipe = building.Recipe(
            image_size=_size("image_size", image_size),
            hierarchies=hierarchies,
            outputs=None if outputs is None else tuple(outputs),
            mode=mode,
            views=views,
            seed=seed,
            augmentation=augmentation,
            teacher_image_size=_size("teacher_image_size", teacher_image_size),
            num_detections=num_detections,
            features=FeatureStore(feature_pooling, feature_channels),
            batch_size=batch_size,
            cache_images=cache_images,
            progress=progress,
            shard_rows=shard_rows,
            shard=shard,
        )
        return building.build(cls, teacher, dataset, Path(folder), recipe)

    @classmethod
    def from_detections(
        cls, detections: Any, dataset: Dataset, folder: str | os.PathLike, **options: Any
    ) -> TeacherCache:
        """Build a cache from the detections of any program, without running a teacher.

        Args:
            detections: a file of COCO results, or a list of such dicts: `image_id`, `category_id`,
                `bbox` (left, top, width, height in pixels of the original image) and `score`.
            dataset: the training images.
            folder: folder of the cache.
            **options: `image_size` and others; see
                `keras_hkd.teacher_cache.detections_file.from_detections`.

        Returns:
            The cache.

        Raises:
            CacheError: if the folder holds the cache of other detections.
            ValueError: if the file has another format, or no detection is of an image and a class
                of the dataset.
        """
        return detections_file.from_detections(cls, detections, dataset, Path(folder), **options)

    @classmethod
    def load(cls, folder: str | os.PathLike, verify: bool = True) -> TeacherCache:
        """Load a cache that has been built.

        Args:
            folder: folder of the cache.
            verify: whether to read all files and compare the checksums.

        Returns:
            The cache.

        Raises:
            CacheError: if there is none, or a shard is missing or damaged.
        """
        cache = cls(*manifest.read(Path(folder)))
        missing = cache.shards.missing() if verify else []
        if missing:
            shown = ", ".join(cache.shards.path(number).name for number in missing[:3])
            raise CacheError(
                f"The teacher cache {folder} is not whole: {len(missing)} of {cache.shards.count} "
                f"shards are missing or damaged ({shown}{', ...' if missing[3:] else ''}). "
                f"{manifest.MEND}"
            )
        return cache

    def training_batches(
        self,
        dataset: Dataset,
        *,
        batch_size: int,
        seed: int,
        first_epoch: int = 0,
        augmentation: Any = AS_STORED,
        **options: Any,
    ) -> tf.data.Dataset:
        """Make batches of `keras_hkd.data.training_batches` with the teacher's outputs as labels.

        Args:
            dataset: the images that the cache was built for.
            batch_size: number of images in a batch.
            seed: seed of the order of the images.
            first_epoch: epoch to begin with.
            augmentation: an `Augmentation` or None; in mode exact that of the cache, which is the
                default.
            **options: options of `keras_hkd.data.training_batches`.

        Returns:
            A `tf.data.Dataset` of `(images, labels)`; `outputs` takes `labels["teacher"]`.

        Raises:
            CacheError: if images, size or augmentation are not those of the cache.
        """
        if augmentation is AS_STORED:
            stored = self.key["augmentation"]
            augmentation = None if stored is None else manifest.augmentation_of(stored)
        size = tuple(options.pop("image_size", self.image_size))
        self.require_pipeline(dataset, size, augmentation)
        return training_batches(
            dataset,
            image_size=size,
            batch_size=batch_size,
            seed=seed,
            first_epoch=first_epoch,
            augmentation=augmentation,
            stored=types.SimpleNamespace(
                views=self.views, read=batch_reader(self, dataset, augmentation)
            ),
            **options,
        )

    def require_pipeline(
        self, dataset: Dataset, image_size: Sequence[int], augmentation: Augmentation | None
    ) -> None:
        """Check that the cache was built for these images, their pixels and their preparation.

        Args:
            dataset: the training images.
            image_size: `(height, width)` in pixels.
            augmentation: an `Augmentation`, or None.

        Raises:
            CacheError: if not; the message lists what differs.
        """
        if isinstance(dataset, SemiSupervisedDataset):
            raise CacheError(
                "A teacher cache serves labelled images: train on two streams of images with the "
                f"teacher itself. Received: a {type(dataset).__name__}"
            )
        manifest.require_single_views(augmentation, self.folder)
        asked = {"data_hash": dataset.content_hash, "image_size": list(image_size)}
        if self.mode == EXACT:
            asked["augmentation"] = manifest.augmentation_facts(augmentation)
            if (self.views is None) != (asked["augmentation"] is None):
                raise CacheError(
                    f"The teacher cache {self.folder} holds {'no' if self.views is None else 'the'}"
                    " views of augmented images, and training is "
                    f"{'without' if augmentation is None else 'with'} augmentation. Build it with "
                    "views=0 for training without, views=1 or more for it, or in mode replay."
                )
        building.require_same_cache(self.folder, asked, dataset)

    def check(self, hierarchies: Any) -> None:
        """Check that all that hierarchies read is stored; called by a Distiller.

        Args:
            hierarchies: attached `Hierarchy` objects.

        Raises:
            CacheError: if not; the message lists what is missing.
        """
        only_detections = isinstance(self.teacher, DetectionsTeacher)
        for hierarchy in hierarchies:
            missing = [] if only_detections else self._missing_for(hierarchy)
            if missing:
                raise CacheError(
                    f"{type(hierarchy).__name__} reads {', '.join(missing)} of the teacher, which "
                    f"the cache {self.folder} does not hold. Build one with "
                    "`hierarchies=[...]`, the losses of the Distiller, in another folder. "
                    f"Received: a cache of {', '.join(self._stored)}"
                )

    def size_seen(self, asked: Sequence[int] | None = None) -> tuple[int, int] | None:
        """Return `teacher_image_size`; called by a Distiller.

        Args:
            asked: `(height, width)` in pixels that a user asks for, or None.

        Raises:
            ValueError: if the teacher saw images of another size.
        """
        seen = self.teacher_image_size or self.image_size
        if asked is not None and tuple(asked) != seen:
            raise InvalidValueError(
                f"The stored teacher saw images at {seen}. Received: teacher_image_size={asked}"
            )
        return self.teacher_image_size

    def outputs(self, rows: TensorDict) -> dict[str, Any]:
        """Restore the teacher's outputs for a batch, in `keras.ops`.

        Args:
            rows: `labels["teacher"]` of a batch.

        Returns:
            The outputs of the teacher: those of `class_logits`, `box_outputs`, `pyramid` and
            `class_tower` that are stored, and `detections`.
        """
        found = {"detections": rows["detections"]}
        for name in PREDICTIONS:
            if name in rows:
                found[name] = restored(rows[name])
        for name, shape in self.map_shapes.items():
            kind, level = name.split("/")
            stored = restored(rows[name])
            restored_map = self.features.restore(stored, self.bases.get(name), shape)
            found.setdefault(kind, {})[level] = restored_map
        return found

    @property
    def num_bytes(self) -> int:
        """Size on disk in bytes."""
        return self.shards.num_bytes

    @property
    def identity(self) -> dict:
        """The entries of the key that must be equal to resume a run, beside the teacher's hash."""
        return {name: self.key[name] for name in ("mode", "views", "rows", "features")}

    def get_config(self) -> dict[str, Any]:
        return {"folder": str(self.folder)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TeacherCache:
        return cls.load(config["folder"])

    def _missing_for(self, hierarchy: Hierarchy) -> list[str]:
        missing = []
        for name in reads(hierarchy):
            levels = self._levels_of(hierarchy, name)
            names = [f"{name}/{level}" for level in levels] if name in MAPS else [name]
            missing += [wanted for wanted in names if wanted not in self._stored]
        return missing

    @property
    def _stored(self) -> list[str]:
        return [field.name for field in self.row_format.fields]

    def _levels_of(self, hierarchy: Hierarchy, name: str) -> Sequence[str]:
        attached = getattr(hierarchy, "attached_levels", None) if name == "pyramid" else None
        return self.teacher.levels if attached is None else attached


def _size(name: str, value: Sequence[int] | None) -> tuple[int, int] | None:
    return None if value is None else checks.image_size(name, value)
