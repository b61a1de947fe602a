"""The best boxes of each image against NumPy's sort, their number known or not."""

import numpy as np
import pytest

from keras_hkd.hierarchies import Region
from keras_hkd.hierarchies.best_boxes import best_boxes
from keras_hkd.losses import FeatureImitation


@pytest.mark.parametrize(("number", "limit"), [(7, 3), (3, 7), (4, 4), (0, 2)])
@pytest.mark.parametrize("known", [True, False])
def test_values(number, limit, known):
    tf = pytest.importorskip("tensorflow")
    generator = np.random.default_rng(number)
    boxes = generator.normal(size=(2, number, 5)).astype("f4")
    scores = np.maximum(generator.normal(size=(2, number)), 0).astype("f4")
    size = number if known else None
    call = tf.function(
        lambda b, s: best_boxes(b, s, limit),
        input_signature=[
            tf.TensorSpec((2, size, 5), tf.float32),
            tf.TensorSpec((2, size), tf.float32),
        ],
    )
    found, chosen = (x.numpy() for x in call(boxes, scores))
    assert found.shape == (2, min(limit, number) if known else limit, 5)
    for image in range(2):
        order = np.argsort(-scores[image], kind="stable")[:limit]
        wanted = boxes[image][order[scores[image][order] > 0]]
        np.testing.assert_array_equal(found[image][chosen[image]], wanted)


def test_regions_of_labels_padded_batch_by_batch(family, step_of):
    tf = pytest.importorskip("tensorflow")
    teacher, student = family(), family()
    hierarchy = Region(FeatureImitation(), num_detections=0)
    hierarchy.attach(teacher, student)
    people = [(10.0, 8.0, 26.0, 40.0), (4.0, 4.0, 60.0, 60.0)]

    @tf.function(
        input_signature=[
            tf.TensorSpec((2, None, 4), tf.float32),
            tf.TensorSpec((2, None), tf.float32),
        ]
    )
    def value(boxes, classes):
        step = step_of(teacher, student, people)
        step.labels = {"boxes": boxes, "classes": classes}
        return hierarchy.compute(step)

    step = step_of(teacher, student, people)
    boxes, classes = step.labels["boxes"], step.labels["classes"].astype("f4")
    wanted = float(hierarchy.compute(step))
    assert wanted > 0
    assert float(value(boxes, classes)) == pytest.approx(wanted, rel=1e-6)
    assert float(value(boxes[:, :2], classes[:, :2])) == pytest.approx(wanted, rel=1e-6)
