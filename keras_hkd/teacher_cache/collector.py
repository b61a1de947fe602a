"""Runs a teacher and collects the outputs that are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_hkd.hierarchies.shared_view import resize_view, view_scale
from keras_hkd.teacher_cache import stored_detections
from keras_hkd.teacher_cache.contents import MAPS, PREDICTIONS
from keras_hkd.teacher_cache.features import Bases, principal_components
from keras_hkd.teacher_cache.row_format import Field, RowFormat
from keras_hkd.tensors import Tensor

if TYPE_CHECKING:
    from keras_hkd.teacher_cache.contents import Contents
    from keras_hkd.teacher_cache.features import FeatureStore


class Collector:
    """Computes the named tensors of a cache's rows from images.

    Args:
        teacher: a `Detector`.
        contents: what is stored.
        features: how maps are stored.
        bases: means and components of the maps that are projected.
        num_detections: number of detections per image.
        teacher_image_size: `(height, width)` in pixels at which the teacher sees the images; None
            for their own size.
        class_indices: classes that are detected; see `stored_detections.detect`.
    """

    def __init__(
        self,
        teacher: Any,
        contents: Contents,
        features: FeatureStore,
        bases: Bases,
        num_detections: int,
        teacher_image_size: Sequence[int] | None = None,
        class_indices: Sequence[int] | None = None,
    ) -> None:
        self.teacher = teacher
        self.contents = contents
        self.features = features
        self.bases = bases
        self.num_detections = num_detections
        self.teacher_image_size = teacher_image_size
        self.class_indices = class_indices
        self._compiled = _Compiled(self.collect, teacher)

    def collect(self, images: Tensor) -> dict[str, Tensor]:
        """Compute the named tensors of a batch, with detections in pixels of its images."""
        size = tuple(images.shape[1:3])
        seen = self.teacher_image_size or size
        outputs = self.teacher(resize_view(images, seen), training=False)
        found = stored_detections.detect(
            self.teacher, outputs, seen, self.num_detections, self.class_indices
        )
        if seen != size:
            found["boxes"] = found["boxes"] / view_scale(size, seen)
        values = {f"detections/{name}": value for name, value in found.items()}
        values |= {name: outputs[name] for name in PREDICTIONS if name in self.contents.outputs}
        for name, value in maps_of(outputs, self.contents).items():
            values[name] = self.features.compress(value, self.bases.get(name))
        return values

    def arrays(self, images: Tensor) -> dict:
        """Compute the result of `collect` in a compiled function."""
        return {k: np.asarray(v) for k, v in self._compiled.predict_on_batch(images).items()}

    def rows(self, images: Tensor) -> dict:
        """Compute the arrays of a batch that a `RowFormat` packs."""
        values = self.arrays(images)
        found = {name: values.pop(f"detections/{name}") for name in stored_detections.NAMES}
        return {**stored_detections.encode(found, images.shape[1:3]), **values}

    def row_format(self, rows: dict) -> RowFormat:
        """Return the format of the rows that `rows` returned."""
        fields = stored_detections.fields(self.num_detections)
        names = [name for name in rows if not name.startswith("detections/")]
        order = {name: place for place, name in enumerate((*PREDICTIONS, *MAPS))}
        names.sort(key=lambda name: (order[name.partition("/")[0]], name))
        return RowFormat((*fields, *(Field(name, rows[name].shape[1:]) for name in names)))


class _Compiled(keras.Model):
    """A Keras model that compiles a function on any backend."""

    def __init__(self, function: Callable[[Tensor], dict[str, Tensor]], teacher: Any) -> None:
        super().__init__(name="collector")
        self.function, self.teacher = function, teacher
        self.jit_compile = teacher.jit_compile
        self.built = True

    def call(self, images: Tensor, training: bool = False) -> dict[str, Tensor]:
        return self.function(images)


def maps_of(outputs: Any, contents: Contents) -> dict:
    """Return the maps that are stored, by names such as `pyramid/P3`."""
    found = {}
    for name in MAPS:
        if name in contents.outputs:
            for level, value in outputs[name].items():
                if name != "pyramid" or contents.levels is None or level in contents.levels:
                    found[f"{name}/{level}"] = value
    return found


def fit_bases(
    teacher: Any,
    contents: Contents,
    features: FeatureStore,
    batches: Iterable[Tensor],
    teacher_image_size: Sequence[int] | None,
) -> dict:
    """Fit the principal components of all maps that are projected.

    Args:
        teacher: a `Detector`.
        contents: what is stored.
        features: how maps are stored.
        batches: batches of images.
        teacher_image_size: `(height, width)` in pixels that the teacher sees; None for that of the
            batches.

    Returns:
        Mean and components of each map, by its name.
    """
    if features.channels is None:
        return {}
    whole = type(features)()
    collector = Collector(teacher, contents, whole, {}, 1, teacher_image_size)
    found: dict[str, list] = {}
    for images in batches:
        for name, value in collector.arrays(np.asarray(images)).items():
            if name.partition("/")[0] in MAPS and features.projects(value.shape[-1]):
                found.setdefault(name, []).append(value)
    return {
        name: principal_components(np.concatenate(maps), features.channels)
        for name, maps in found.items()
    }
