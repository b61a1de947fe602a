"""Streams of images: passes, their cut into epochs, and two streams in turn."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_hkd.data.batches.epoch_plan import EpochPlan, Stream
from keras_hkd.data.batches.pipeline import steps_per_epoch, training_batches
from keras_hkd.data.batches.semi_supervised import SemiSupervisedDataset
from keras_hkd.data.drawn.scenes import synthetic_dataset

BATCH = 3


def epochs_of(maker, count):
    return [[column.numpy() for column in maker(tf.constant(e, tf.int64))] for e in range(count)]


@pytest.fixture(scope="module")
def two_streams():
    """Seven labelled and four pseudo-labelled scenes: 2 and 3 batches of three."""
    return SemiSupervisedDataset(
        synthetic_dataset(7, (64, 64), seed=1), synthetic_dataset(4, (64, 64), seed=2)
    )


def test_cutting_passes_into_epochs_loses_and_repeats_nothing():
    stream = Stream(num_images=11, batch_size=BATCH, seed=5, number=1)
    whole = epochs_of(lambda e: stream.epoch(e, 3), 4)  # an epoch is a pass
    cut = epochs_of(lambda e: stream.epoch(e, 2), 6)
    for column in (0, 1):
        np.testing.assert_array_equal(
            np.concatenate([rows[column] for rows in whole]),
            np.concatenate([rows[column] for rows in cut]),
        )
    for order, _ in whole:
        assert len(set(order)) == 9


def test_streams_are_independent():
    first, second = (
        epochs_of(lambda e, n=n: Stream(30, BATCH, 5, n).epoch(e, 10), 1)[0] for n in (0, 1)
    )
    assert sorted(first[0]) == sorted(second[0])
    assert not np.array_equal(first[0], second[0])
    views = [draws[np.argsort(order)] for order, draws in (first, second)]
    assert np.abs(views[0] - views[1]).min() > 0


def test_batches_come_in_turn_from_labelled_images_and_from_all(two_streams):
    assert steps_per_epoch(two_streams, BATCH) == 4
    plan = EpochPlan(two_streams, BATCH, seed=1)
    epochs = epochs_of(plan.epoch, 30)
    batches = np.concatenate([order for order, _ in epochs]).reshape(30, 4, BATCH)
    labelled, everything = batches[:, ::2].reshape(30, -1), batches[:, 1::2].reshape(20, 9)
    for one_pass in labelled:
        assert len(set(one_pass)) == 6
        assert one_pass.max() < 7
    for one_pass in everything:
        assert len(set(one_pass)) == 9
    assert set(everything.ravel()) == set(range(11))
    share = np.mean(everything >= 7)  # of pseudo-labelled images in the second stream
    assert abs(share - 4 / 11) < 0.05


def test_one_stream_is_what_it_was_before_there_were_two():
    """The numbers of a run that began with an earlier version must not change under it."""
    scenes = synthetic_dataset(7, (64, 64), seed=1)
    order, draws = epochs_of(EpochPlan(scenes, BATCH, seed=3).epoch, 3)[2]
    key = tf.constant([3, 4], tf.int64)
    expected = tf.random.experimental.stateless_shuffle(tf.range(7), key).numpy()[:6]
    np.testing.assert_array_equal(order, expected)
    key = tf.constant([3, 5], tf.int64)
    np.testing.assert_array_equal(
        draws, tf.random.stateless_uniform((7, 11), key).numpy()[expected]
    )


def test_a_resumed_stream_equals_the_uninterrupted_one(two_streams):
    options = {"image_size": (32, 32), "batch_size": BATCH, "seed": 1}
    whole = list(itertools.islice(training_batches(two_streams, **options), 20))
    for epoch in (1, 3):
        batches = training_batches(two_streams, first_epoch=epoch, **options)
        resumed = list(itertools.islice(batches, 4))
        for (images, labels), (expected, truth) in zip(resumed, whole[4 * epoch :], strict=False):
            np.testing.assert_array_equal(images, expected)
            np.testing.assert_array_equal(labels["boxes"], truth["boxes"])
