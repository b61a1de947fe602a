"""The hash says whether all weights are the same, and nothing else."""

import keras

from keras_hkd.distillation import weights_hash


def model(seed=0, units=2, **options):
    keras.utils.set_random_seed(seed)
    layers = [keras.Input((3,)), keras.layers.Dense(units), keras.layers.BatchNormalization()]
    return keras.Sequential(layers, **options)


def test_equal_weights_have_equal_hashes_whatever_their_names():
    assert weights_hash(model(name="a")) == weights_hash(model(name="b"))


def test_any_change_of_a_weight_or_statistic_shows():
    changed = model()
    changed.layers[1].moving_mean.assign([0.0, 1e-30])
    hashes = {weights_hash(m) for m in (model(), model(seed=1), model(units=4), changed)}
    assert len(hashes) == 4
