"""A dataset whose batches differ in size: `fit` traces a step for each size that comes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_hkd.base_model import BaseModel


class Probe(BaseModel):
    """Learns one number; notes the size for which each of its steps is traced."""

    def __init__(self):
        super().__init__()
        self.layer = keras.layers.Conv2D(1, 1)
        self.loss_trackers = []
        self.traced = []

    def call(self, images):
        return self.layer(images)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        self.traced.append(tuple(x.shape[1:3]))
        return ops.mean(y_pred)


def _built_probe():
    """A probe with its weights; a step that makes variables, weights or slots, is traced twice."""
    probe = Probe()
    probe(np.zeros((1, 8, 8, 3), np.float32))
    return probe


def batches(sizes, known=None):
    def make():
        for side in sizes:
            yield np.full((2, side, side, 3), 100.0, np.float32), {"classes": np.zeros((2, 1))}

    spec = tf.TensorSpec((2, known, known, 3)), {"classes": tf.TensorSpec((2, 1), tf.float64)}
    return tf.data.Dataset.from_generator(make, output_signature=spec)


@pytest.mark.parametrize("steps_per_execution", [1, 2])
def test_each_size_is_traced_once_and_every_step_is_made(steps_per_execution):
    probe = _built_probe()
    probe.compile("sgd", steps_per_execution=steps_per_execution)
    sizes = [8, 16, 8, 24, 16, 8, 24, 24]
    history = probe.fit(batches(sizes), epochs=1, steps_per_epoch=8, verbose=0)
    assert sorted(set(probe.traced)) == [(8, 8), (16, 16), (24, 24)]
    assert len(probe.traced) == 3
    assert int(probe.optimizer.iterations) == 8
    assert np.isfinite(history.history["loss"][0])
    probe.fit(batches([16, 8]), steps_per_epoch=2, verbose=0)
    assert len(probe.traced) == 3  # kept from one fit to the next


def test_batches_of_one_size_are_read_in_the_graph_as_ever():
    probe = _built_probe()
    probe.compile("sgd")
    probe.fit(batches([8] * 4, known=8), steps_per_epoch=4, verbose=0)
    assert probe.traced == [(8, 8)]
    assert int(probe.optimizer.iterations) == 4
