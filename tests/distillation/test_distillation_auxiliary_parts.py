"""What a hierarchy may own besides projections: trained and frozen layers, a queue."""

import keras
import numpy as np
import pytest

from keras_hkd.distillation import Distiller
from keras_hkd.hierarchies import Hierarchy, Pyramid
from keras_hkd.losses import FeatureImitation
from keras_hkd.training.checkpoint import checkpoint_variables, state_of, write_state
from keras_hkd.training.identity import run_identity
from keras_hkd.training.settings import TrainingSettings


class Branches(Hierarchy):
    """A trained branch imitates a frozen one; a queue holds the images' means."""

    default_name = "branches"
    needs_teacher = False

    def attach(self, teacher, student):
        width = student.channels("P3")
        self.branch, self.model_branch = (self.make_branch(width) for _ in range(2))
        self.queue = self.add_weight(shape=(2,), initializer="zeros", trainable=False, name="queue")
        self.built = True

    def make_branch(self, width):
        regularizer = keras.regularizers.L2(0.5)
        branch = keras.Sequential(
            [
                keras.layers.BatchNormalization(),
                keras.layers.Dense(4, kernel_regularizer=regularizer),
            ]
        )
        branch.build((None, None, None, width))
        return branch

    @property
    def frozen_layers(self):
        return (self.model_branch,) if self.built else ()

    def compute(self, step):
        assert step.teacher is None and step.teacher_outputs is None
        features = step.student_outputs["pyramid"]["P3"]
        if step.training:
            self.queue.assign(keras.ops.mean(step.images, axis=(1, 2, 3)))
        student = self.branch(features, training=step.training)
        return self.loss(self.model_branch(features, training=step.training), student)


def values(variables):
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.fixture
def alone(pair_of):
    made = Distiller(None, pair_of("yolo_v8")[1], Branches(FeatureImitation()))
    made.compile(optimizer=keras.optimizers.SGD(1e-3), run_eagerly=True)
    return made


def test_a_step_trains_what_is_trained_and_moves_the_state(alone, batch):
    hierarchy = alone.distillation_losses[0]
    frozen, branch = values(hierarchy.model_branch.variables), values(hierarchy.branch.variables)
    logs = alone.train_on_batch(*batch, return_dict=True)
    assert set(logs) == {"loss", "class_loss", "box_loss", "branches_loss"}
    assert same(values(hierarchy.model_branch.variables), frozen)
    assert not any(
        np.array_equal(*pair)
        for pair in zip(values(hierarchy.branch.variables), branch, strict=True)
    )
    np.testing.assert_allclose(hierarchy.queue, batch[0].mean(axis=(1, 2, 3)), rtol=1e-5)


def test_the_penalty_of_a_trained_layer_counts_and_of_a_frozen_one_does_not(alone, batch):
    kernel = keras.ops.convert_to_numpy(alone.distillation_losses[0].branch.layers[1].kernel)
    images, labels = batch
    outputs = alone(images)
    terms = alone.compute_terms(images, labels, outputs)
    total = alone.compute_loss(images, labels, outputs, training=False)
    penalty = float(total) - sum(float(term) for term in terms.values())
    assert penalty == pytest.approx(0.5 * np.square(kernel).sum(), rel=1e-2, abs=1e-3)


def test_evaluate_changes_nothing(alone, batch):
    before = values(alone.variables)
    alone.evaluate(*batch, verbose=0)
    watched = {id(metric) for tracker in alone.metrics for metric in tracker.variables}
    pairs = zip(alone.variables, before, strict=True)
    assert same(*zip(*[(v, b) for v, b in pairs if id(v) not in watched], strict=True))


def test_everything_is_in_a_checkpoint_and_nothing_in_the_student(alone, tmp_path):
    hierarchy = alone.distillation_losses[0]
    own = [*hierarchy.branch.variables, *hierarchy.model_branch.variables, hierarchy.queue]
    saved = {id(variable) for variable in checkpoint_variables(alone)}
    assert {id(variable) for variable in own} <= saved
    assert not {id(v) for v in own} & {id(v) for v in alone.student.variables}
    kept = values(own)
    path = tmp_path / "run.weights.h5"
    alone.save_weights(path)
    write_state(tmp_path / "epoch_0001.npz", state_of(alone, 1, {}, {}))
    for variable in own:
        variable.assign(variable + 1)
    alone.load_weights(path)
    assert same(values(own), kept)


def test_frozen_parts_stay_frozen_whatever_is_set(alone, pair_of):
    alone.trainable = False
    assert not alone.trainable_variables
    alone.trainable = True
    hierarchy = alone.distillation_losses[0]
    assert hierarchy.branch.trainable_variables
    assert not hierarchy.model_branch.trainable_variables
    distiller = Distiller(*pair_of("yolo_v8"), Pyramid(FeatureImitation()))
    distiller.trainable = True
    assert not distiller.teacher.trainable_variables


def test_no_teacher_where_one_is_needed_is_refused(pair_of):
    with pytest.raises(ValueError, match="Pyramid needs a teacher"):
        Distiller(None, pair_of("yolo_v8")[1], Pyramid(FeatureImitation()))


def test_without_a_teacher_there_is_no_teacher_hash(alone):
    class Images:
        content_hash = "c0ffee"

    identity = run_identity(alone, Images(), TrainingSettings(epochs=1))
    assert alone.teacher_hash is None and identity["teacher_hash"] is None
    assert alone.get_config()["teacher"] is None


def test_batches_that_are_no_pair_are_refused(alone, batch):
    images, labels = batch
    for call in (alone.train_on_batch, alone.test_on_batch):
        with pytest.raises(ValueError, match=r"\(images, labels\)"):
            call(images)
        with pytest.raises(ValueError, match="no sample weights"):
            call(images, labels, sample_weight=np.ones(2))
