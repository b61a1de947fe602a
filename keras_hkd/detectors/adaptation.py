"""From a library's model, or a file, to a Detector."""

import keras_cv

from keras_hkd.detectors.detector import Detector
from keras_hkd.detectors.retinanet import RetinaNet
from keras_hkd.detectors.yolo_v8 import YOLOV8
from keras_hkd.learner import read_model

FAMILIES = {keras_cv.models.RetinaNet: RetinaNet, keras_cv.models.YOLOV8Detector: YOLOV8}


def as_detector(model, **options):
    """A `Detector` over a KerasCV detector; a `Detector` comes back as it is.

    The layers are shared: training the result trains the model that was given.

    Args:
        model: `keras_cv.models.RetinaNet`, `keras_cv.models.YOLOV8Detector` or a `Detector`.
        **options: of the `Detector`: `image_size`, `class_names`, `class_indices`, ... Without
            them every class of the model is kept, under the names `class_0`, `class_1`, ..., or
            `person` where there is one class.

    Raises:
        TypeError: anything else.
    """
    if isinstance(model, Detector):
        return model
    for library_class, family in FAMILIES.items():
        if isinstance(model, library_class):
            if "class_names" not in options and model.num_classes > 1:
                options["class_names"] = tuple(f"class_{i}" for i in range(model.num_classes))
            return family(model, **options)
    raise TypeError(
        "Expected a keras_cv RetinaNet, a keras_cv YOLOV8Detector or a keras_hkd Detector. "
        f"Received: {type(model).__name__}. Other detectors need an adapter: subclass "
        "keras_hkd.detectors.Detector."
    )


def load_detector(path):
    """Loads a detector saved as `.keras`, by this package or by KerasCV.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file holds no detector, or is damaged.
    """
    model = read_model(path, "detector")
    try:
        return as_detector(model)
    except TypeError as error:
        raise ValueError(f"'{path}' holds no detector. {error}") from error
