"""Two learners as one, without a network."""

import numpy as np
import pytest

from keras_hkd.distillation.peers import Peers
from keras_hkd.learner import Learner


class Guess(Learner):
    """Guesses a number for every image."""

    kind, loss_names = "classifier", ("class_loss",)
    class_names, image_size = ("person", "none"), (32, 32)

    def __init__(self, start, **kwargs):
        super().__init__(**kwargs)
        self.start = start
        self.guess = self.add_weight(shape=(), initializer="zeros")
        self.guess.assign(start)
        self.built = True

    def check_labels(self, labels):
        return labels["wanted"]

    def call(self, images, training=False):
        return {"guess": self.guess + 0.0 * images[:, 0, 0, 0]}

    def assign(self, outputs, labels, image_size):
        return labels

    def task_losses(self, outputs, assignment, image_size):
        return {"class_loss": ((outputs["guess"] - assignment) ** 2)[0]}

    def predictions(self, outputs, image_size):
        return {"guess": outputs["guess"]}

    def get_config(self):
        return {"start": self.start}


@pytest.fixture
def peers():
    return Peers(Guess(1.0), Guess(4.0))


def test_each_has_its_own_loss_on_the_same_labels(peers):
    images, labels = np.zeros((2, 32, 32, 3), "float32"), {"wanted": np.array([2.0, 2.0])}
    outputs = peers(images)
    assignment = peers.assign(outputs, peers.check_labels(labels), (32, 32))
    losses = peers.task_losses(outputs, assignment, (32, 32))
    assert {name: float(value) for name, value in losses.items()} == {
        "class_loss": 1.0,
        "peer_class_loss": 4.0,
    }
    assert tuple(losses) == peers.loss_names
    assert float(peers.compute_loss(images, labels, outputs)) == 5.0


def test_the_first_speaks_for_both(peers):
    assert peers.deployed is peers.first
    assert (peers.kind, peers.image_size, peers.num_classes) == ("classifier", (32, 32), 2)
    outputs = peers(np.zeros((1, 32, 32, 3), "float32"))
    assert peers.predictions(outputs, (32, 32))["guess"] == 1.0


def test_other_kinds_and_classes_are_refused():
    other = Guess(1.0)
    other.class_names = ("person",)
    with pytest.raises(ValueError, match="one kind and have the same classes"):
        Peers(Guess(1.0), other)
    other.class_names, other.kind = ("person", "none"), "detector"
    with pytest.raises(ValueError, match="a classifier of .* and a detector of"):
        Peers(Guess(1.0), other)
