import keras
import numpy as np
import pytest

from keras_hkd.compression import (
    ConstantSparsity,
    MagnitudePruning,
    PolynomialDecay,
    kernel_sparsity,
)

X = np.random.default_rng(0).normal(size=(12, 6)).astype("float32")
Y = X @ np.random.default_rng(1).normal(size=(6, 3)).astype("float32")


def make(**options):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8), keras.layers.Dense(3)])
    model.compile(keras.optimizers.Adam(1e-2, **options), "mse", run_eagerly=True)
    return model


def fit(model, schedule, epochs, first=0, callbacks=()):
    options = {"batch_size": 4, "shuffle": False, "verbose": 0}
    pruning = MagnitudePruning(schedule)
    return model.fit(
        X, Y, epochs=epochs, initial_epoch=first, callbacks=[pruning, *callbacks], **options
    )


def test_sparsity_follows_the_schedule():
    schedule = PolynomialDecay(0.0, 0.75, begin_step=0, end_step=9, power=1, frequency=3)
    history = fit(make(), schedule, 3).history["sparsity"]
    # Three steps an epoch: a third, two thirds and all of 0.75, rounded to whole weights.
    np.testing.assert_allclose(history, [0.25, 0.5, 0.75], atol=0.01)


def test_the_smallest_go_and_stay_zero():
    model = make()
    before = np.array(model.layers[0].kernel)
    fit(model, ConstantSparsity(0.5, begin_step=1, end_step=1, frequency=1), 1)
    first = np.array(model.layers[0].kernel) == 0
    assert first.mean() == 0.5
    assert np.abs(before[first]).max() < np.abs(before[~first]).min() + 0.05
    assert np.all(np.array(model.layers[0].bias) != 0)
    fit(model, ConstantSparsity(0.5, begin_step=1, end_step=1, frequency=1), 1)
    np.testing.assert_array_equal(np.array(model.layers[0].kernel) == 0, first)


def test_moving_averages_end_as_sparse_as_the_weights():
    model = make(use_ema=True, ema_momentum=0.9)
    fit(model, ConstantSparsity(0.5, begin_step=2, frequency=1), 2)
    assert kernel_sparsity(model) == 0.5


def test_a_resumed_run_ends_with_the_same_weights():
    schedule = PolynomialDecay(0.1, 0.6, begin_step=0, end_step=8, frequency=2)
    whole = make()
    fit(whole, schedule, 4)
    first = make()
    fit(first, schedule, 2)
    second = make()
    second.optimizer.build(second.trainable_variables)
    for variable, value in zip(
        [*second.variables, *second.optimizer.variables],
        [*first.variables, *first.optimizer.variables],
        strict=True,
    ):
        variable.assign(value)
    fit(second, schedule, 4, first=2)
    for one, other in zip(whole.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_depthwise_kernels_are_left_alone():
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.DepthwiseConv2D(3), keras.layers.Conv2D(4, 1)]
    )
    model.compile("sgd", "mse", run_eagerly=True)
    images = np.ones((2, 8, 8, 3), "float32")
    pruning = MagnitudePruning(ConstantSparsity(0.5, begin_step=0, frequency=1))
    model.fit(images, np.ones((2, 6, 6, 4)), verbose=0, callbacks=[pruning])
    assert np.all(np.array(model.layers[0].kernel) != 0)
    assert np.mean(np.array(model.layers[1].kernel) == 0) == 0.5


def test_a_schedule_that_never_prunes_is_said():
    with pytest.warns(UserWarning, match="pruned nothing.* 3 steps"):
        fit(make(), ConstantSparsity(0.5, begin_step=0, frequency=100), 1)


def test_refuses_what_is_no_schedule():
    with pytest.raises(TypeError, match="PolynomialDecay"):
        MagnitudePruning(0.5)
