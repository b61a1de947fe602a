"""Makes a detector for other classes: new class predictors, all other weights kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops


def sources_of(detector: Any, class_names: Sequence[str]) -> list[int | None]:
    """For each new class the index of the predictor that knows it already, or None.

    Args:
        detector: a `Detector`.
        class_names: names of the classes of the new one.
    """
    index_of = dict(zip(detector.class_names, detector.class_indices, strict=True))
    return [index_of.get(name) for name in class_names]


def take_weights(
    new: Any, old: Any, predictors: Sequence[Any], sources: Sequence[int | None]
) -> Any:
    """Return a detector the weights of another one that differs in its classes alone.

    Args:
        new: the detector to be, whose class predictors begin at their prior.
        old: the detector that was trained.
        predictors: layers of `old` that end in class logits: filters run anchor by anchor, within
            an anchor class by class.
        sources: what `sources_of` gave.

    Returns:
        `new`.
    """
    of_predictor = {id(weight) for layer in predictors for weight in layer.weights}
    classes = old.model.num_classes
    for before, after in zip(old.weights, new.weights, strict=True):
        value = ops.convert_to_numpy(before)
        if id(before) in of_predictor and value.shape[-1] % classes == 0:
            fresh = ops.convert_to_numpy(after)
            split = fresh.reshape(*fresh.shape[:-1], -1, len(sources)).copy()
            known = value.reshape(*value.shape[:-1], -1, classes)
            for place, source in enumerate(sources):
                if source is not None:
                    split[..., place] = known[..., source]
            value = split.reshape(fresh.shape)
        after.assign(np.asarray(value))
    return new
