"""Adapts the models of libraries, and loads files, as detectors."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Sequence
from typing import Any

from keras_hkd.detectors.detector import Detector
from keras_hkd.detectors.families import ADAPTERS, adapter_of
from keras_hkd.errors import InvalidTypeError, InvalidValueError
from keras_hkd.learner import read_model
from keras_hkd.messages import stack_level_of_caller

__all__ = ["as_detector", "load_detector"]


def as_detector(model: Any, **options: Any) -> Detector:
    """Adapt a library's detector as a `Detector`; a `Detector` is returned as it is.

    The layers are shared: training the result trains the model that was given.

    Args:
        model: `keras_cv.models.RetinaNet`, `keras_cv.models.YOLOV8Detector`, a `keras_hub`
            `RetinaNetObjectDetector` or `DFineObjectDetector`, or a `Detector`.
        **options: options of the `Detector`: `image_size`, `class_names`, `class_indices`, ...
            Without them every class of the model is kept, under the names `class_0`, `class_1`,
            ..., or `person` where there is one class; a RetinaNet keeps the thresholds of its own
            label encoder. Of a `Detector`, `class_names` chooses classes by name, or with
            `class_indices` by number, and names them. Images reach the model as RGB in [0, 255];
            one that does not rescale them itself needs `scale` and `offset`, such as `scale=1/255`,
            and without them a warning is given; `scale=1` says that it takes [0, 255].

    Raises:
        TypeError: anything else.
        ValueError: classes that the model does not have.
    """
    if isinstance(model, Detector):
        return _narrowed(model, **options) if options else model
    family = adapter_of(model)
    if family is None:
        raise InvalidTypeError(
            f"Expected a keras_hkd Detector, or a model of {', '.join(ADAPTERS)}. Other detectors "
            "need an adapter: subclass keras_hkd.detectors.Detector. "
            f"Received: {type(model).__name__}"
        )
    if not {"scale", "offset"} & set(options) and not _rescales(model):
        warnings.warn(
            f"Nothing in this {type(model).__name__} rescales pixels, so it sees them in [0, 255]. "
            "If it was trained on others, say how they are made: "
            "as_detector(model, scale=1/255) for [0, 1], scale=1/127.5, offset=-1 for [-1, 1]; "
            "if not, scale=1.",
            UserWarning,
            stacklevel=stack_level_of_caller(),
        )
    num_classes = model.num_classes
    if "class_names" not in options and num_classes > 1:
        chosen = options.get("class_indices")
        indices = range(num_classes) if chosen is None else chosen
        options["class_names"] = tuple(f"class_{i}" for i in indices)
    return family(model, **{**family.options_of(model), **options})


def _rescales(model: Any) -> bool:
    """Tell whether a model, or the preprocessor that comes with it, changes the range of pixels."""
    converter = getattr(getattr(model, "preprocessor", None), "image_converter", None)
    if any(getattr(converter, name, None) is not None for name in ("scale", "offset")):
        return True
    return any(
        "Rescal" in base.__name__ or "Normalization" == base.__name__
        for layer in model._flatten_layers()
        for base in type(layer).__mro__
    )


def _narrowed(
    detector: Detector,
    class_names: Sequence[str] | None = None,
    class_indices: Sequence[int] | None = None,
    **unknown: Any,
) -> Detector:
    """Make the same detector that reports some of its classes alone."""
    if unknown:
        raise InvalidTypeError(
            f"The model is a {type(detector).__name__} already, whose classes alone can be chosen: "
            f"class_names=..., class_indices=... Received: {sorted(unknown)}"
        )
    if class_indices is None:
        class_names = detector.class_names if class_names is None else tuple(class_names)
        missing = [name for name in class_names if name not in detector.class_names]
        if missing:
            raise InvalidValueError(
                f"`class_names` must be among the detector's, {detector.class_names}; or choose "
                f"classes by number: class_indices=... Received: {missing}"
            )
        class_indices = [detector.class_names.index(name) for name in class_names]
    known = range(detector.num_classes)
    if any(index not in known for index in class_indices):
        raise InvalidValueError(
            f"The detector has {detector.num_classes} classes, so `class_indices` must lie in "
            f"[0, {detector.num_classes - 1}]. Received: class_indices={tuple(class_indices)}"
        )
    if class_names is None:
        class_names = [detector.class_names[index] for index in class_indices]
    config = {
        name: getattr(detector, name)
        for base in type(detector).__mro__
        if issubclass(base, Detector)
        for name in inspect.signature(base.__init__).parameters
        if name not in ("self", "model", "kwargs") and hasattr(detector, name)
    }
    config["class_names"] = tuple(class_names)
    config["class_indices"] = tuple(detector.class_indices[index] for index in class_indices)
    if detector.rewrites:
        config["rewrites"] = detector.rewrites
        config["rewritten_network"] = detector.network  # with what it has learned since
    return type(detector)(detector.model, name=detector.name, **config)


def load_detector(path: str | os.PathLike, **options: Any) -> Detector:
    """Load a saved detector of this package, of KerasCV or of KerasHub.

    Args:
        path: a `.keras` file, or the folder of a preset.
        **options: options of `as_detector`. To keep one class of a COCO detector, the person:
            `class_names=("person",), class_indices=(0,)`.

    Returns:
        A `Detector`, not compiled.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file holds no detector, or is damaged, or lacks one of the classes.

    Example:

    >>> import tempfile, keras_hkd
    >>> student = keras_hkd.detectors.build("yolo_v8_micro", image_size=(64, 64))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     student.save(f"{folder}/student.keras")
    ...     keras_hkd.load_detector(f"{folder}/student.keras").image_size
    (64, 64)
    """
    model = read_model(path, "detector")
    try:
        return as_detector(model, **options)
    except TypeError as error:
        raise InvalidValueError(f"'{path}' holds no detector. {error}") from error
