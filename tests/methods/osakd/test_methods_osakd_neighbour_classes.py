"""OSAKD's soft labels in a classifier: the batch, the queue, what is left out."""

import types

import keras
import numpy as np
import pytest
from keras import ops

from keras_hkd.classifiers.classifier import ClassAssignment
from keras_hkd.losses.soft_label_divergence import SoftLabelDivergence
from keras_hkd.methods.osakd.neighbour_classes import NeighbourClasses


def attached(num_classes=3, **options):
    hierarchy = NeighbourClasses(**options)
    names = tuple(f"class_{index}" for index in range(num_classes))
    hierarchy.attach(None, types.SimpleNamespace(num_classes=num_classes, class_names=names))
    return hierarchy


def draw(seed, rows=12, num_classes=3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, num_classes)).astype("float32"), rng.integers(
        0, num_classes, rows
    ).astype("int32")


def step_of(logits, classes, training=True):
    assignment = ClassAssignment(ops.array(classes), ops.array(classes) >= 0, None)
    return types.SimpleNamespace(
        student_outputs={"logits": logits}, assignment=assignment, training=training
    )


def searched(logits, classes, references, reference_classes, k):
    """In NumPy, the first rows of `references` being `logits`; nobody is its own neighbour."""
    labels = np.zeros((len(logits), logits.shape[-1]))
    for row, vector in enumerate(logits.astype("float64")):
        order = np.argsort(((references - vector) ** 2).sum(-1), kind="stable")
        nearest = [i for i in order if i != row and reference_classes[i] >= 0][:k]
        for index in nearest:
            labels[row, reference_classes[index]] += 1 / len(nearest)
    return labels


def labels_of(hierarchy, logits, classes, training=False):
    labels, found = hierarchy.soft_labels(ops.array(logits), ops.array(classes), training)
    return ops.convert_to_numpy(labels), ops.convert_to_numpy(found)


def kl(labels, logits):
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    log_s = np.log(np.where(labels > 0, labels, 1))
    return (labels * (log_s - log_p)).sum(-1)


def test_the_term_is_the_divergence_from_the_neighbours_classes():
    logits, classes = draw(0)
    labels = searched(logits, classes, logits, classes, k=4)
    found = attached().compute(step_of(ops.array(logits), classes))  # k = min(8, 12 / 3)
    assert float(found) == pytest.approx(kl(labels, logits).mean(), rel=1e-5)
    squared = attached(loss=SoftLabelDivergence(form="mse"), num_neighbours=5)
    labels = searched(logits, classes, logits, classes, k=5)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    found = squared.compute(step_of(ops.array(logits), classes))
    assert float(found) == pytest.approx(((labels - p) ** 2).mean(), rel=1e-5)


@pytest.mark.parametrize(("rows", "k"), [(12, 4), (14, 4), (24, 8), (60, 8)])
def test_without_a_queue_k_is_a_batch_over_classes_up_to_eight(rows, k):
    logits, classes = draw(1, rows)
    labels, _ = labels_of(attached(), logits, classes)
    np.testing.assert_allclose(labels, searched(logits, classes, logits, classes, k), atol=1e-6)


def test_no_gradient_passes_through_the_labels():
    import tensorflow as tf

    logits, classes = draw(2)
    labels = searched(logits, classes, logits, classes, k=4)
    variable = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        loss = attached().compute(step_of(variable, classes))
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(tape.gradient(loss, variable), (p - labels) / 12, atol=1e-6)


def test_images_without_a_label_are_nobodys_neighbours_and_do_not_count():
    logits, classes = draw(3)
    classes[[1, 5]] = -1
    known = classes >= 0
    hierarchy = attached(num_neighbours=3)
    labels = searched(logits, classes, logits, classes, k=3)
    found = hierarchy.compute(step_of(ops.array(logits), classes))
    assert float(found) == pytest.approx(kl(labels, logits)[known].mean(), rel=1e-5)
    nothing = hierarchy.compute(step_of(ops.array(logits), np.full(12, -1, "int32")))
    assert float(nothing) == 0.0


def test_a_small_batch_asks_the_queue_and_padding_never_answers():
    hierarchy = attached()
    assert hierarchy.queue_logits.shape == (1024, 3)
    first, first_classes = draw(4, rows=6)
    labels, _ = labels_of(hierarchy, first, first_classes, training=True)
    alone = searched(first, first_classes, first, first_classes, k=2)
    np.testing.assert_allclose(labels, alone, atol=1e-6)  # an empty queue: 1,018 rows of padding
    second, second_classes = draw(5, rows=6)
    references = np.concatenate([second, first])
    known = np.concatenate([second_classes, first_classes])
    labels, _ = labels_of(hierarchy, second, second_classes, training=True)
    wanted = searched(second, second_classes, references, known, k=4)
    np.testing.assert_allclose(labels, wanted, atol=1e-6)


def test_a_batch_of_four_per_class_asks_nobody_else():
    hierarchy = attached()
    logits, classes = draw(6)
    before, _ = labels_of(hierarchy, logits, classes, training=True)
    after, _ = labels_of(hierarchy, logits, classes, training=True)
    np.testing.assert_array_equal(before, after)
    assert set(hierarchy.queue_classes.numpy()) == {-1}


def test_first_in_first_out():
    hierarchy = attached(queue_size=10, num_neighbours=2)
    batches = [draw(seed, rows=4) for seed in range(4)]
    for logits, classes in batches:
        labels_of(hierarchy, logits, classes, training=True)
    newest = [batches[3], batches[2], batches[1]]
    wanted = np.concatenate([logits for logits, _ in newest])[:10]
    np.testing.assert_array_equal(hierarchy.queue_logits, wanted)
    wanted = np.concatenate([classes for _, classes in newest])[:10]
    np.testing.assert_array_equal(hierarchy.queue_classes, wanted)


def test_a_queue_shorter_than_a_batch():
    hierarchy = attached(queue_size=5)
    logits, classes = draw(7)
    labels_of(hierarchy, logits, classes, training=True)
    np.testing.assert_array_equal(hierarchy.queue_logits, logits[:5])


def test_the_queue_moves_in_training_only():
    hierarchy = attached(queue_size=16)
    labels_of(hierarchy, *draw(8))
    assert set(hierarchy.queue_classes.numpy()) == {-1}
    assert not hierarchy.trainable_variables and len(hierarchy.variables) == 2


def test_no_queue_at_all():
    hierarchy = attached(queue_size=0)
    assert not hierarchy.variables
    logits, classes = draw(9, rows=4)
    labels, _ = labels_of(hierarchy, logits, classes, training=True)
    np.testing.assert_allclose(labels, searched(logits, classes, logits, classes, k=1))


def test_fewer_than_k_and_nobody():
    logits, classes = draw(10, rows=3)
    labels, _ = labels_of(attached(queue_size=0, num_neighbours=8), logits, classes)
    np.testing.assert_allclose(labels, searched(logits, classes, logits, classes, k=2))
    alone = attached(queue_size=0).compute(step_of(ops.array(logits[:1]), classes[:1]))
    assert float(alone) == 0.0


def test_a_batch_of_unknown_size_in_a_traced_step():
    import tensorflow as tf

    hierarchy = attached()

    @tf.function(input_signature=[tf.TensorSpec((None, 3)), tf.TensorSpec((None,), "int32")])
    def traced(logits, classes):
        return hierarchy.soft_labels(logits, classes)[0]

    for rows in (4, 12, 30):
        logits, classes = draw(11, rows)
        wanted = searched(logits, classes, logits, classes, k=min(8, max(1, rows // 3)))
        np.testing.assert_allclose(traced(logits, classes), wanted, atol=1e-6)


@pytest.mark.parametrize(
    "options", [{"num_neighbours": 0}, {"num_neighbours": 2.5}, {"queue_size": -1}]
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises((TypeError, ValueError), match="must be a whole number"):
        NeighbourClasses(**options)


def test_config_round_trip():
    hierarchy = NeighbourClasses(SoftLabelDivergence(form="mse"), num_neighbours=3, queue_size=7)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(hierarchy))
    assert (again.num_neighbours, again.queue_size, again.loss.form) == (3, 7, "mse")
