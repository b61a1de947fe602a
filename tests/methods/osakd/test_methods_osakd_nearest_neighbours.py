"""Soft labels by k nearest neighbours, beside a plain search in NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from keras_hkd.methods.osakd import nearest_neighbours
from keras_hkd.methods.osakd.nearest_neighbours import neighbour_labels, squared_distances


def searched(vectors, references, classes, usable, num_classes, k):
    """The same, one row after the other; ties go to the earlier reference (stable sort)."""
    labels = np.zeros((len(vectors), num_classes))
    for row, vector in enumerate(vectors.astype("float64")):
        distances = ((references - vector) ** 2).sum(-1)
        nearest = [i for i in np.argsort(distances, kind="stable") if usable[row, i]][:k]
        for index in nearest:
            labels[row, classes[index]] += 1 / len(nearest)
    return labels


def of_others(vectors, classes, num_classes, k, **more):
    others = ~np.eye(len(vectors), dtype=bool)
    labels, found = neighbour_labels(
        ops.array(vectors, "float32"),
        ops.array(vectors, "float32"),
        ops.array(classes, "int32"),
        ops.array(others),
        num_classes,
        k,
        **more,
    )
    return ops.convert_to_numpy(labels), ops.convert_to_numpy(found)


def draw(seed, rows=12, width=4, num_classes=3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, width)), rng.integers(0, num_classes, rows)


@given(st.integers(0, 10_000), st.integers(1, 14), st.integers(2, 12))
def test_it_is_what_a_search_finds(seed, k, rows):
    vectors, classes = draw(seed, rows)
    vectors = np.round(2 * vectors)  # whole numbers: exact in float32, and with equal distances
    usable = ~np.eye(rows, dtype=bool)
    wanted = searched(vectors, vectors, classes, usable, 3, k)
    np.testing.assert_allclose(of_others(vectors, classes, 3, k)[0], wanted, atol=1e-6)


@given(st.integers(0, 10_000), st.integers(1, 11))
def test_rows_sum_to_one_in_steps_of_one_kth(seed, k):
    labels, found = of_others(*draw(seed), 3, k)
    np.testing.assert_allclose(labels.sum(-1), 1, atol=1e-6)
    np.testing.assert_allclose(labels * k, np.round(labels * k), atol=1e-5)
    assert found.all()


def test_clusters_far_apart_give_one_hot_labels():
    rng = np.random.default_rng(0)
    classes = np.arange(30) % 3
    vectors = 100 * np.eye(3)[classes] + rng.normal(size=(30, 3))
    np.testing.assert_array_equal(of_others(vectors, classes, 3, 8)[0], np.eye(3)[classes])


def test_random_classes_give_their_shares_on_average():
    rng = np.random.default_rng(1)
    prior = np.array([0.6, 0.3, 0.1])
    classes = rng.choice(3, size=1500, p=prior)
    labels, _ = of_others(rng.normal(size=(1500, 2)), classes, 3, 8)
    np.testing.assert_allclose(labels.mean(0), prior, atol=0.03)


@given(st.integers(0, 10_000))
def test_rotation_translation_scale_and_order_change_nothing(seed):
    vectors, classes = draw(seed, rows=20)
    labels, _ = of_others(vectors, classes, 3, 4)
    rng = np.random.default_rng(seed + 1)
    rotation, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    moved = 3.0 * vectors @ rotation + rng.normal(size=4)
    np.testing.assert_array_equal(of_others(moved, classes, 3, 4)[0], labels)
    order = rng.permutation(20)
    shuffled, _ = of_others(vectors[order], classes[order], 3, 4)
    np.testing.assert_array_equal(shuffled, labels[order])


def test_all_others_as_neighbours_are_the_frequencies_of_the_batch():
    vectors, classes = draw(3, rows=40)
    labels, _ = of_others(vectors, classes, 3, 39)
    own = np.eye(3)[classes]
    np.testing.assert_allclose(labels, (own.sum(0) - own) / 39, atol=1e-6)
    np.testing.assert_allclose(labels, np.tile(own.mean(0), (40, 1)), atol=1 / 39)


def test_at_one_distance_the_first_is_nearer():
    vectors = np.zeros((5, 2))
    labels, _ = of_others(vectors, [0, 1, 2, 3, 4], 5, 2)
    assert labels[0].nonzero()[0].tolist() == [1, 2]
    assert labels[1].nonzero()[0].tolist() == [0, 2]
    assert labels[4].nonzero()[0].tolist() == [0, 1]


@pytest.mark.parametrize("k", [3, 8, 100])
def test_more_neighbours_than_there_are(k):
    vectors, classes = draw(4, rows=4)
    few, found = of_others(vectors, classes, 3, k)
    np.testing.assert_allclose(few, of_others(vectors, classes, 3, 3)[0])
    assert found.all()


def test_nobody_to_ask():
    alone, found = of_others(np.ones((1, 2)), [0], 2, 3)
    assert not found.any() and not alone.any() and np.isfinite(alone).all()


def test_k_may_be_a_tensor_below_a_bound():
    vectors, classes = draw(5)
    bounded, _ = of_others(vectors, classes, 3, ops.array(3, "int32"), most=8)
    np.testing.assert_allclose(bounded, of_others(vectors, classes, 3, 3)[0])


def test_distances_do_not_depend_on_how_many_are_taken_at_once(monkeypatch):
    vectors, _ = draw(6)
    vectors = ops.array(vectors, "float32")
    at_once = ops.convert_to_numpy(squared_distances(vectors, vectors))
    monkeypatch.setattr(nearest_neighbours, "_MOST_AT_ONCE", 0)
    np.testing.assert_array_equal(squared_distances(vectors, vectors), at_once)
    assert not np.diag(at_once).any()


def test_a_batch_of_unknown_size():
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, 4)), tf.TensorSpec((None,), "int32")])
    def traced(vectors, classes):
        count = tf.shape(vectors)[0]
        others = ~tf.eye(count, dtype="bool")
        return neighbour_labels(vectors, vectors, classes, others, 3, 8)

    for rows in (3, 12):
        vectors, classes = draw(7, rows)
        labels, _ = traced(vectors.astype("float32"), classes.astype("int32"))
        np.testing.assert_allclose(labels, of_others(vectors, classes, 3, 8)[0])
