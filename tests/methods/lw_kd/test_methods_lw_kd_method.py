"""LW-KD by name: the terms, two optimizers that keep apart, what is kept and what ships."""

import keras
import numpy as np
import pytest

from keras_hkd import methods
from keras_hkd.classifiers import build
from keras_hkd.distillation import Distiller
from keras_hkd.hierarchies import ClassBank, DrawnLogits
from keras_hkd.methods.lw_kd import lw_kd
from keras_hkd.methods.lw_kd.adversarial_distiller import AdversarialDistiller
from keras_hkd.training.checkpoint import checkpoint_variables, read_state, state_of, write_state

NAMES = ("cat", "dog", "person")
BANK = np.random.default_rng(0).normal(size=(3, 5, 3)) + 3 * np.eye(3)[:, None]


def student():
    return build("cnn_micro", class_names=NAMES, image_size=(32, 32), seed=3)


@pytest.fixture
def batch():
    images = np.random.default_rng(0).uniform(0, 255, (6, 32, 32, 3)).astype("float32")
    return images, {"classes": np.array([0, 1, 2, 0, 1, -1], "int32")}


def compiled(model):
    model.compile(optimizer=keras.optimizers.SGD(0.1), run_eagerly=True)
    return model


def values(variables):
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def same(before, variables):
    return [np.array_equal(*pair) for pair in zip(before, values(variables), strict=True)]


def test_the_loss_is_the_weighted_sum(batch):
    images, labels = batch
    distiller = lw_kd(student(), bank=BANK, alpha=0.3, beta=0.2)
    assert distiller.term_names == ("drawn_logits", "adversarial")
    assert distiller.distillation_losses[0].loss.temperature == 4.0
    outputs = distiller(images)
    task, kd, adversarial = (
        float(term) for term in distiller.compute_terms(images, labels, outputs).values()
    )
    total = float(distiller.compute_loss(images, labels, outputs, training=False))
    assert total == pytest.approx(0.7 * task + 0.3 * kd + 0.2 * adversarial, rel=1e-5)
    assert methods.described("lw_kd").teacher is None


def test_without_both_terms_it_is_plain_cross_entropy(batch):
    distiller = lw_kd(student(), bank=BANK, alpha=0.0, beta=0.0)
    assert type(distiller) is Distiller
    compiled(distiller).train_on_batch(*batch)
    alone = compiled(student())
    alone.train_on_batch(*batch)
    for a, b in zip(values(alone.weights), values(distiller.student.weights), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_both_steps_keep_apart(batch):
    distiller = compiled(lw_kd(student(), bank=BANK))
    discriminator = distiller.adversarial.discriminator
    bank = distiller.distillation_losses[0].bank.logits
    own = {id(weight) for weight in discriminator.weights}
    assert not own & {id(weight) for weight in distiller.trainable_variables}
    assert not own & {id(weight) for weight in distiller.optimizer.variables}

    before, of_student = values(discriminator.weights), values(distiller.student.weights)
    rows = np.random.default_rng(1).normal(size=(4, 3)).astype("float32")
    distiller.discriminator_step(rows, -rows)
    assert not any(same(before, discriminator.weights))
    assert all(same(of_student, distiller.student.weights))

    before = values(discriminator.weights)
    distiller.discriminator_step = lambda *seen: None
    logs = distiller.train_on_batch(*batch, return_dict=True)
    assert all(same(before, discriminator.weights))
    assert not all(same(of_student, distiller.student.weights))
    np.testing.assert_array_equal(bank, BANK.astype("float32"))
    assert {"class_loss", "drawn_logits_loss", "adversarial_loss", "discriminator_loss"} < set(logs)


def test_one_step_each_in_one_forward_pass(batch):
    distiller = compiled(lw_kd(student(), bank=BANK))
    calls = []
    network = distiller.learner.network
    distiller.learner.network = lambda *args, **kwargs: (
        calls.append(kwargs) or network(*args, **kwargs)
    )
    distiller.train_on_batch(*batch)
    assert calls == [{"training": True}]
    assert int(distiller.discriminator_optimizer.iterations) == 1
    distiller.evaluate(*batch, verbose=0)
    assert int(distiller.discriminator_optimizer.iterations) == 1


def test_a_discriminator_learns_to_tell_apart():
    distiller = lw_kd(student(), bank=BANK, discriminator_learning_rate=0.01)
    rng = np.random.default_rng(2)
    real, fake = (rng.normal(size=(32, 3)).astype("float32") for _ in range(2))
    real[:, 0] += 2
    first = float(distiller.adversarial.discriminator_loss(real, fake))
    for _ in range(30):
        distiller.discriminator_step(real, fake)
    assert float(distiller.adversarial.discriminator_loss(real, fake)) < first - 0.1


def test_everything_is_checkpointed_and_nothing_ships(batch, tmp_path):
    distiller = compiled(lw_kd(student(), bank=BANK))
    distiller.train_on_batch(*batch)
    hierarchy = distiller.distillation_losses[0]
    optimizer = distiller.discriminator_optimizer.variables
    own = [*distiller.adversarial.discriminator.weights, *hierarchy.bank.variables]
    saved = {id(variable) for variable in checkpoint_variables(distiller)}
    assert {id(variable) for variable in [*own, *optimizer]} <= saved
    assert len(hierarchy.bank.variables) == 2  # logits, and the state of the draw
    assert not {id(v) for v in own} & {id(v) for v in distiller.student.variables}
    write_state(tmp_path / "epoch_0001.npz", state_of(distiller, 1, {}, {}))
    assert any(
        "discriminator" in name for name in read_state(tmp_path / "epoch_0001.npz").facts["names"]
    )


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="`alpha`"):
        lw_kd(student(), bank=BANK, alpha=1.5)
    with pytest.raises(TypeError, match="unexpected keyword arguments: max_steps"):
        lw_kd(student(), bank=BANK, max_steps=3)
    with pytest.raises(ValueError, match="needs one `Adversarial`"):
        AdversarialDistiller(student(), DrawnLogits(ClassBank(BANK)))


def test_config_round_trip():
    distiller = lw_kd(student(), bank=BANK, alpha=0.25)
    again = AdversarialDistiller.from_config(distiller.get_config())
    assert again.term_names == distiller.term_names and again.student_loss_weight == 0.75


def test_an_option_that_there_is_not_is_refused_with_the_nearest():
    with pytest.raises(TypeError, match="lw_kd got .*'temprature'. Did you mean 'temperature'"):
        lw_kd(student(), temprature=3)
