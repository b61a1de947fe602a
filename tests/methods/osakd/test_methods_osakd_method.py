"""OSAKD by name: the term, its ramp, what is kept and what ships."""

import keras
import numpy as np
import pytest

from keras_hkd import methods
from keras_hkd.classifiers import build
from keras_hkd.methods.osakd import osakd
from keras_hkd.methods.osakd.neighbour_cells import NeighbourCells
from keras_hkd.training.checkpoint import checkpoint_variables

NAMES = ("cat", "dog", "person")


def student():
    return build("cnn_micro", class_names=NAMES, image_size=(32, 32), seed=3)


@pytest.fixture
def batch():
    images = np.random.default_rng(0).uniform(0, 255, (6, 32, 32, 3)).astype("float32")
    return images, {"classes": np.array([0, 1, 2, 0, 1, -1], "int32")}


def compiled(distiller):
    distiller.compile(optimizer=keras.optimizers.SGD(0.1), run_eagerly=True)
    return distiller


def values(variables):
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


def test_the_weight_rises_to_a_half_over_the_first_tenth():
    weight = osakd(student(), num_steps=200).distillation_loss_weights[0]
    found = [float(weight(step)) for step in (0, 10, 20, 199)]
    assert found == pytest.approx([0.0, 0.25, 0.5, 0.5])
    assert osakd(student()).distillation_loss_weights[0].steps == 500
    assert methods.described("osakd").teacher is None


def test_a_step_adds_the_term_and_weight_zero_is_plain_cross_entropy(batch):
    images, labels = batch
    distiller = osakd(student(), weight=0.5, num_neighbours=2)
    outputs = distiller(images)
    terms = distiller.compute_terms(images, labels, outputs)
    assert list(terms) == ["class_loss", "neighbours_loss"] and float(terms["neighbours_loss"]) > 0
    total = float(distiller.compute_loss(images, labels, outputs, training=False))
    plain, soft = (float(term) for term in terms.values())
    assert total == pytest.approx(plain + 0.5 * soft, rel=1e-6)

    alone = compiled(student())
    alone.train_on_batch(images, labels)
    without = compiled(osakd(student(), weight=0.0))
    without.train_on_batch(images, labels)
    for a, b in zip(values(alone.weights), values(without.student.weights), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_the_queue_is_checkpointed_and_does_not_ship(batch):
    distiller = compiled(osakd(student(), queue_size=8))
    distiller.train_on_batch(*batch)
    hierarchy = distiller.distillation_losses[0]
    assert hierarchy.queue_classes.numpy().tolist() == [0, 1, 2, 0, 1, -1, -1, -1]
    own = {id(variable) for variable in hierarchy.variables}
    assert own <= {id(variable) for variable in checkpoint_variables(distiller)}
    assert not own & {id(variable) for variable in distiller.student.variables}
    assert not own & {id(variable) for variable in distiller.trainable_variables}
    kept = values(hierarchy.variables)
    distiller.evaluate(*batch, verbose=0)
    for before, after in zip(kept, values(hierarchy.variables), strict=True):
        np.testing.assert_array_equal(before, after)


def test_options_of_the_loss():
    loss = osakd(student(), form="mse", temperature=2.0).distillation_losses[0].loss
    assert (loss.form, loss.temperature, loss.activation) == ("mse", 2.0, "softmax")
    with pytest.raises(ValueError, match="`form` must be one of"):
        osakd(student(), form="mae")


def test_a_detector_acquires_labels_at_its_cells():
    from keras_hkd.detectors import build as build_detector

    detector = build_detector("yolo_v8_micro", image_size=(64, 64), seed=1)
    distiller = osakd(detector, weight=1.0, num_neighbours=4)
    assert isinstance(distiller.distillation_losses[0], NeighbourCells)
    images = np.random.default_rng(1).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    boxes = np.array([[(10, 8, 40, 56)], [(4, 4, 20, 40)]], "float32")
    labels = {"boxes": boxes, "classes": np.zeros((2, 1), "float32")}
    logs = compiled(distiller).train_on_batch(images, labels, return_dict=True)
    assert logs["neighbours_loss"] > 0 and np.isfinite(logs["loss"])
    assert distiller.student is detector


@pytest.mark.long
def test_a_killed_run_ends_as_one_that_was_not(tmp_path):
    """With a queue that is not full yet when the run stops."""
    from keras_hkd.data import load_classification
    from keras_hkd.training import TrainingSettings, train_model

    dataset = load_classification("synthetic:train?num_images=12&num_classes=3&height=32&width=32")
    settings = TrainingSettings(epochs=2, batch_size=4, image_size=(32, 32), seed=1)

    class Killed(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    def start():
        made = build("cnn_micro", class_names=dataset.class_names, image_size=(32, 32), seed=3)
        return osakd(made, weight=0.5, queue_size=32)

    whole, killed, resumed = start(), start(), start()
    train_model(whole, dataset, settings, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train_model(killed, dataset, settings, tmp_path / "killed", callbacks=[Killed()])
    train_model(resumed, dataset, settings, tmp_path / "killed", resume=True)
    wanted, found = (model.distillation_losses[0] for model in (whole, resumed))
    np.testing.assert_array_equal(found.queue_classes, wanted.queue_classes)
    assert (found.queue_classes.numpy() >= 0).sum() == 24
    np.testing.assert_allclose(found.queue_logits, wanted.queue_logits, atol=1e-4)
    for a, b in zip(values(whole.student.weights), values(resumed.student.weights), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_an_option_that_there_is_not_is_refused_with_the_nearest():
    with pytest.raises(TypeError, match="osakd got .*'num_neighbors'. Did you mean 'num_neigh"):
        osakd(student(), num_neighbors=3)
