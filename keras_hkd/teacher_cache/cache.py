"""The teacher cache: what a teacher says about every image, computed once and read from disk."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import keras
import numpy as np
import tensorflow as tf

from keras_hkd.data import StoredViews, training_batches
from keras_hkd.data.batches.augmentation import NO_AUGMENTATION
from keras_hkd.data.batches.label_table import letterbox_scales
from keras_hkd.data.batches.semi_supervised import SemiSupervisedDataset
from keras_hkd.distillation.stored_teacher import StoredTeacher
from keras_hkd.teacher_cache import building, detections_file, manifest, stored_detections
from keras_hkd.teacher_cache.cache_key import EXACT, REPLAY, CacheError, digest_of, require_key
from keras_hkd.teacher_cache.contents import MAPS, PREDICTIONS, reads
from keras_hkd.teacher_cache.detections_teacher import DetectionsTeacher
from keras_hkd.teacher_cache.features import Bases, FeatureStore
from keras_hkd.teacher_cache.row_format import RowFormat, restored
from keras_hkd.teacher_cache.shards import Shards
from keras_hkd.tensors import Tensor, TensorDict

if TYPE_CHECKING:
    from keras_hkd.data import Augmentation, Dataset
    from keras_hkd.hierarchies.hierarchy import Hierarchy

AS_STORED = object()


@keras.saving.register_keras_serializable(package="keras_hkd")
class TeacherCache(StoredTeacher):
    """A teacher's outputs on disk, to be given to a Distiller in the teacher's place.

    In mode `"exact"` rows hold what the teacher said about the very images that training shows:
    the images as they are, or K stored views of each, of which epoch e shows view e mod K. In mode
    `"replay"` they hold boxes and scores in the images as they are, and the geometric part of any
    augmentation is applied to the boxes; how far that is from a live teacher is measured when the
    cache is built, see `report`.

    Made by `build`, `from_detections` or `load`, not by the constructor.

    Attributes:
        folder: where it is.
        key: what it was made from: teacher, images, sizes, augmentation, what is stored.
        mode: `"exact"` or `"replay"`.
        views: `StoredViews`, or None where images are stored as they are.
        teacher: what stands for the teacher in a Distiller.
        report: what was measured when it was built: `num_bytes`, differences to the live teacher.

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
        self.image_size = tuple(self.key["image_size"])
        seen = self.key["teacher_image_size"]
        self.teacher_image_size = None if seen is None else tuple(seen)
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
        self.teacher.stored = self

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
        cache_images: bool = True,
        progress: bool = True,
        shard_rows: int | None = None,
    ) -> TeacherCache:
        """Run the teacher over all images and store what it says.

        A folder that holds this cache in part is completed: whole shards stay, missing and damaged
        ones are computed.

        Args:
            teacher: a detector; what `Distiller` takes.
            dataset: the training images.
            folder: where to; made if need be.
            image_size: `(height, width)` in pixels of the training; the teacher's own if None.
            hierarchies: the losses of the Distiller that is to read the cache: what they read is
                stored.
            outputs: instead, names: some of `"class_logits"`, `"box_outputs"`, `"pyramid"`,
                `"class_tower"`, `"detections"`. Without both, the two predictions.
            mode: `"exact"`, or `"replay"`, which holds detections alone.
            views: stored views of each image; 0 for training without augmentation, or in replay.
            seed: that the views are drawn from.
            augmentation: how views vary; the default `Augmentation` if None.
            teacher_image_size: that the teacher sees; None for `image_size`.
            num_detections: detections stored for each image.
            feature_pooling: maps are stored as means over blocks of so many cells along each side.
            feature_channels: maps are stored as so many principal components; None for all.
            batch_size: images that the teacher sees at a time.
            cache_images: decode all images once into memory.
            progress: show a progress bar on the error stream if it is a terminal.
            shard_rows: images in one file; by default about 64 MiB of them.

        Raises:
            CacheError: the folder holds the cache of another teacher or pipeline.
            TypeError: the teacher is no detector.
            ValueError: an option is out of range.
        """
        recipe = building.Recipe(
            image_size=image_size,
            hierarchies=hierarchies,
            outputs=outputs,
            mode=mode,
            views=views,
            seed=seed,
            augmentation=augmentation,
            teacher_image_size=teacher_image_size,
            num_detections=num_detections,
            features=FeatureStore(feature_pooling, feature_channels),
            batch_size=batch_size,
            cache_images=cache_images,
            progress=progress,
            shard_rows=shard_rows,
        )
        return building.build(cls, teacher, dataset, Path(folder), recipe)

    @classmethod
    def from_detections(
        cls, detections: Any, dataset: Dataset, folder: str | os.PathLike, **options: Any
    ) -> TeacherCache:
        """A teacher of which there are only detections, made by any program.

        Args:
            detections: a file of COCO results, or a list of such dicts: `image_id`, `category_id`,
                `bbox` (left, top, width, height in pixels of the original image) and `score`.
            dataset: the training images.
            folder: where to.
            **options: `image_size` and others; see
                `keras_hkd.teacher_cache.detections_file.from_detections`.

        Raises:
            CacheError: the folder holds the cache of other detections.
            ValueError: the file is of another form, or none of its images is in the dataset.
        """
        return detections_file.from_detections(cls, detections, dataset, Path(folder), **options)

    @classmethod
    def load(cls, folder: str | os.PathLike, verify: bool = True) -> TeacherCache:
        """A cache that was built before; nothing is computed.

        Args:
            folder: that it was built in.
            verify: read all of it and compare the checksums.

        Raises:
            CacheError: there is none, or it is not whole: a shard is missing or damaged.
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

    # What a training run asks of it.

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
        """Batches of `keras_hkd.data.training_batches` whose labels hold the teacher's outputs.

        Args:
            dataset: the images that the cache was built for.
            batch_size: images per batch.
            seed: of the order of the images.
            first_epoch: epoch to begin with.
            augmentation: an `Augmentation` or None; in mode exact that of the cache, which is the
                default.
            **options: of `keras_hkd.data.training_batches`.

        Returns:
            A `tf.data.Dataset` of `(images, labels)`, `labels["teacher"]` being what `outputs`
            takes.

        Raises:
            CacheError: other images, another size or another augmentation.
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
            stored=_StoredBatches(self, dataset, augmentation),
            **options,
        )

    def require_pipeline(
        self, dataset: Dataset, image_size: Sequence[int], augmentation: Augmentation | None
    ) -> None:
        """Refuse images, or a preparation of them, that the cache was not built for.

        Args:
            dataset: the training images.
            image_size: `(height, width)` in pixels.
            augmentation: an `Augmentation`, or None.

        Raises:
            CacheError: with what differs.
        """
        if isinstance(dataset, SemiSupervisedDataset):
            raise CacheError("A teacher cache serves labelled images, not two streams of them.")
        asked = {"data_hash": dataset.content_hash, "image_size": list(image_size)}
        if self.mode == EXACT:
            asked["augmentation"] = manifest.augmentation_facts(augmentation)
            if (self.views is None) != (asked["augmentation"] is None):
                raise CacheError(
                    f"The teacher cache {self.folder} holds {'no' if self.views is None else 'the'}"
                    " views of augmented images, and training is "
                    f"{'without' if augmentation is None else 'with'} augmentation. Build it with "
                    "views=0 for training without, views=1 or more for training with it, or in "
                    "mode replay for both."
                )
        require_key(self.key, asked, self.folder)

    def check(self, hierarchies: Any) -> None:
        """Refuse hierarchies that read what is not stored; a Distiller calls it.

        Args:
            hierarchies: attached `Hierarchy` objects.

        Raises:
            CacheError: with what is missing.
        """
        only_detections = isinstance(self.teacher, DetectionsTeacher)
        for hierarchy in hierarchies:
            missing = [] if only_detections else self._missing_for(hierarchy)
            if missing:
                raise CacheError(
                    f"{type(hierarchy).__name__} reads {', '.join(missing)} of the teacher, which "
                    f"the cache {self.folder} does not hold. Build one with "
                    "`hierarchies=[...]`, the losses of the Distiller, in another folder."
                )

    def outputs(self, rows: TensorDict) -> dict[str, Any]:
        """The teacher's outputs for a batch, in `keras.ops`.

        Args:
            rows: `labels["teacher"]` of a batch.

        Returns:
            What the teacher would give: `class_logits`, `box_outputs`, `pyramid`, `class_tower`,
            as far as they are stored, and `detections`.
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

    # What is known of it.

    @property
    def num_bytes(self) -> int:
        """Bytes on disk."""
        return self.shards.num_bytes

    @property
    def identity(self) -> dict:
        """What of it decides which weights a run ends with, beside the teacher's hash."""
        return {name: self.key[name] for name in ("mode", "views", "rows", "features")}

    def get_config(self) -> dict[str, Any]:
        return {"folder": str(self.folder)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls.load(config["folder"])

    def _missing_for(self, hierarchy: Hierarchy) -> list[str]:
        stored = [field.name for field in self.row_format.fields]
        missing = []
        for name in reads(hierarchy):
            levels = self._levels_of(hierarchy, name)
            names = [f"{name}/{level}" for level in levels] if name in MAPS else [name]
            missing += [wanted for wanted in names if wanted not in stored]
        return missing

    def _levels_of(self, hierarchy: Hierarchy, name: str) -> Sequence[str]:
        attached = getattr(hierarchy, "attached_levels", None) if name == "pyramid" else None
        return self.teacher.levels if attached is None else attached


class _StoredBatches:
    """What `training_batches` reads beside images and labels."""

    def __init__(
        self, cache: TeacherCache, dataset: Dataset, augmentation: Augmentation | None
    ) -> None:
        self.cache, self.views = cache, cache.views
        self.augmentation = augmentation or NO_AUGMENTATION
        self.moves = cache.mode == REPLAY
        if self.moves:
            sizes = np.array([(image.height, image.width) for image in dataset])
            scales = letterbox_scales(dataset, cache.image_size)
            with tf.device("CPU:0"):
                self.content_sizes = tf.constant(sizes * scales[:, None], tf.float32)

    def read(self, indices: Tensor, draws: Tensor, epochs: Tensor) -> dict[str, Any]:
        """Stored outputs of a batch: image numbers, drawn numbers and the number of its epoch."""
        cache = self.cache
        rows = tf.cast(indices, tf.int64)
        if self.views is not None:
            view = self.views.view_of(tf.cast(epochs, tf.int64))
            rows += view * cache.num_images
        values = cache.row_format.unpack(cache.shards.gather(rows))
        values = tf.nest.map_structure(
            lambda value: tf.ensure_shape(value, (indices.shape[0], *value.shape[1:])), values
        )
        found = stored_detections.decode(values, cache.image_size)
        if self.moves:
            sizes = tf.gather(self.content_sizes, indices)
            found = stored_detections.replay(
                found, self.augmentation, draws, sizes, cache.image_size
            )
        others = {k: v for k, v in values.items() if not k.startswith("detections/")}
        return {"detections": found, **others}
