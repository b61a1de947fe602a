"""Every family checks its batches in `fit`, `evaluate` and `predict`, in the graph."""

import numpy as np
import pytest
import tensorflow as tf

import keras_hkd
from keras_hkd.batch_watch import BatchWarning
from keras_hkd.detectors import build
from keras_hkd.detectors.rtmdet import RTMDet, RTMDetConfig

PERSON, OTHER, PADDING = [8.0, 4.0, 28.0, 60.0], [36.0, 10.0, 52.0, 58.0], [-1.0] * 4


def photos(count, height=64, width=64):
    generator = np.random.default_rng(3)
    return generator.uniform(0, 255, (count, height, width, 3)).astype("float32")


def labelled(boxes, classes, count=1):
    return {
        "boxes": np.array([boxes] * count, "float32"),
        "classes": np.array([classes] * count, "float32"),
    }


@pytest.fixture(scope="module", params=["yolo_v8", "retinanet", "rtmdet"])
def compiled(request):
    """A detector of each family, whose weights no test here may change."""
    if request.param == "rtmdet":
        detector = RTMDet(RTMDetConfig(width=0.125, num_classes=1), image_size=(64, 64))
    else:
        detector = build(f"{request.param}_micro", image_size=(64, 64), seed=1)
    detector.compile("sgd", run_eagerly=request.param != "yolo_v8")  # one of them as a graph
    return detector


def evaluated(detector, images, labels):
    return detector.evaluate(images, labels, batch_size=len(images), verbose=0)[0]


def test_false_boxes_count_for_nothing(compiled):
    images = photos(2)
    alone = evaluated(compiled, images, labelled([PERSON, PADDING, PADDING], [0, -1, -1], 2))
    for false in ([12, 12, 12, 12], [30, 20, 24, 40], [12, 12, np.nan, 40], [3, 3, 9, 3e38]):
        with pytest.warns(BatchWarning, match="left out"):
            found = evaluated(compiled, images, labelled([PERSON, false, false], [0, 0, 0], 2))
        assert found == pytest.approx(alone, rel=1e-5)
    zeros = labelled([PERSON, [0] * 4, [0] * 4], [0, 0, -1], 2)
    assert evaluated(compiled, images, zeros) == pytest.approx(alone, rel=1e-5)


def test_classes_that_it_lacks_are_refused_wherever_they_come(compiled):
    images = photos(5)
    labels = labelled([PERSON, PADDING], [0, -1], 5)
    labels["classes"][4, 0] = 1
    with pytest.raises(ValueError, match=r"Class ids must be whole numbers in \[0, 0\]"):
        compiled.evaluate(images, labels, batch_size=1, verbose=0)
    with pytest.raises(ValueError, match="1 of 1 labels"):
        compiled.test_on_batch(images[4:], {k: v[4:] for k, v in labels.items()})


def test_ragged_labels_and_the_dicts_of_keras_cv_are_taken(compiled):
    images = photos(2)
    expected = evaluated(
        compiled,
        images,
        {
            "boxes": np.array([[PERSON, PADDING], [PERSON, OTHER]], "float32"),
            "classes": np.array([[0, -1], [0, 0]], "float32"),
        },
    )
    ragged = {
        "boxes": tf.ragged.constant([[PERSON], [PERSON, OTHER]], ragged_rank=1, inner_shape=(4,)),
        "classes": tf.ragged.constant([[0.0], [0.0, 0.0]]),
    }
    pairs = tf.data.Dataset.from_tensor_slices((images, ragged)).ragged_batch(2)
    dicts = pairs.map(lambda images, labels: {"images": images, "bounding_boxes": labels})
    for batches in (pairs, dicts):
        assert compiled.evaluate(batches, verbose=0)[0] == pytest.approx(expected, rel=1e-5)
    lists = {name: [row.numpy() for row in value] for name, value in ragged.items()}
    assert compiled.test_on_batch(images, lists)[0] == pytest.approx(expected, rel=1e-5)


def test_one_size_after_another_is_evaluated(compiled):
    labels = labelled([[8, 4, 20, 30]], [0])
    losses = [
        evaluated(compiled, photos(1, *size), labels)
        for size in ((64, 64), (96, 64), (32, 64), (64, 64))
    ]
    assert losses[0] == pytest.approx(losses[3], rel=1e-6)
    assert len(set(losses)) == 3


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((64, 64, 3), r"\(batch, height, width, 3\)"),
        ((1, 70, 90, 3), "multiples of 32.*predict_images"),
        ((1, 64, 64, 4), r"\(batch, height, width, 3\)"),
        ((1, 64, 64, 1), r"\(batch, height, width, 3\)"),
    ],
)
def test_images_that_it_cannot_see_are_refused_with_what_to_do(compiled, shape, words):
    with pytest.raises(ValueError, match=words):
        compiled.predict_on_batch(np.zeros(shape, "float32"))


def test_pixels_between_0_and_1_are_told(compiled):
    with pytest.warns(BatchWarning, match=r"expected in \[0, 255\]"):
        compiled.predict(photos(3) / 255, batch_size=1, verbose=0)


@pytest.mark.parametrize("eagerly", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_distiller_checks_its_batches_and_trains_at_one_size_after_another(eagerly):
    teacher, student = (build("yolo_v8_micro", image_size=(64, 64), seed=seed) for seed in (1, 2))
    loss = keras_hkd.hierarchies.Pyramid(keras_hkd.losses.FeatureImitation())
    distiller = keras_hkd.Distiller(teacher, student, [loss])
    distiller.compile("sgd", run_eagerly=eagerly)
    for size in ((64, 64),) if eagerly else ((64, 64), (32, 64)):
        found = distiller.fit(photos(1, *size), labelled([[8, 4, 20, 30]], [0]), verbose=0)
        assert np.isfinite(found.history["loss"][0])
        assert "batch_counts" not in found.history
    with pytest.raises(ValueError, match=r"Class ids must be whole numbers in \[0, 0\]"):
        distiller.fit(photos(1), labelled([PERSON], [1]), verbose=0)
    with pytest.warns(BatchWarning, match="end before they begin"):
        distiller.train_on_batch(photos(1), labelled([[30, 20, 24, 40]], [0]))
    assert len(distiller.metrics_names) == len(
        distiller.evaluate(photos(1), labelled([PERSON], [0]), verbose=0)
    )
