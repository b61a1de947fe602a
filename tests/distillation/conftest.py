"""Small pairs of both families, built once, and a batch of two images with three people."""

import numpy as np
import pytest

SIZE = (64, 64)


@pytest.fixture(scope="session")
def pair_of():
    """Give `(teacher, student)` of a family: equal in all but the seed of their weights."""
    from keras_hkd.detectors import build

    made = {}

    def pair(family):
        if family not in made:
            made[family] = tuple(
                build(f"{family}_micro", image_size=SIZE, seed=seed) for seed in (1, 2)
            )
        return made[family]

    return pair


@pytest.fixture(scope="session")
def wide_model():
    """Give a raw KerasCV model, wider than the student."""
    import keras_cv

    from keras_hkd.detectors.keras_cv import backbones

    return keras_cv.models.YOLOV8Detector(
        backbone=backbones.micro((12, 16, 32, 40, 48)),
        num_classes=1,
        bounding_box_format="xyxy",
        fpn_depth=1,
    )


@pytest.fixture(scope="session")
def batch():
    images = np.random.default_rng(0).uniform(0, 255, (2, *SIZE, 3)).astype("float32")
    boxes = np.array(
        [[(10, 8, 40, 56), (-1, -1, -1, -1)], [(4, 4, 20, 40), (30, 10, 50, 60)]], "float32"
    )
    return images, {"boxes": boxes, "classes": np.where(boxes[..., 2] > 0, 0.0, -1.0)}


@pytest.fixture
def distiller(wide_model, pair_of):
    """Give HKD from the wide model to the small one, compiled to run without tracing."""
    import keras

    from keras_hkd.methods.hkd import hkd

    made = hkd(
        wide_model,
        pair_of("yolo_v8")[1],
        weights="published",
        num_detections=4,
        score_threshold=0.0,
    )
    made.compile(optimizer=keras.optimizers.SGD(1e-3), run_eagerly=True)
    return made
