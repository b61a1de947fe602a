"""A pair of micro detectors, six drawn images, and a cache of two views of each."""

import pytest

SIZE = (64, 64)


@pytest.fixture(autouse=True, scope="module")
def eagerly():
    """Run steps as they are written: tracing a detector takes longer than all steps here."""
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(before)


@pytest.fixture(scope="session")
def pair():
    from keras_hkd.detectors import build

    return tuple(build("yolo_v8_micro", image_size=SIZE, seed=seed) for seed in (1, 2))


@pytest.fixture(scope="session")
def images():
    from keras_hkd.data import synthetic_dataset

    return synthetic_dataset(6, image_size=(80, 96), seed=1)


@pytest.fixture(scope="session")
def losses():
    """Give a function that makes new hierarchies."""
    from keras_hkd.hierarchies import Boxes, ClassLogits, ClassTower, Pyramid, Region
    from keras_hkd.losses import AdaptiveDistillation, FeatureImitation, GIoU

    def make():
        return [
            Pyramid(FeatureImitation(), levels=("P3", "P4")),
            Region(FeatureImitation(), levels=("P3", "P4"), score_threshold=0.0),
            ClassTower(FeatureImitation()),
            ClassLogits(AdaptiveDistillation()),
            Boxes(GIoU()),
        ]

    return make


@pytest.fixture(scope="session")
def recipe(losses):
    return {"hierarchies": losses(), "views": 2, "batch_size": 4, "shard_rows": 5}


@pytest.fixture(scope="session")
def cache(pair, images, recipe, tmp_path_factory):
    from keras_hkd import TeacherCache

    return TeacherCache.build(pair[0], images, tmp_path_factory.mktemp("cache"), **recipe)
