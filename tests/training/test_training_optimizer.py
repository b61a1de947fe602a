import json

import keras
import numpy as np
import pytest

from keras_hkd.training import (
    AveragedAdamW,
    ReplicatedLossScaleOptimizer,
    TrainingSettings,
    build_optimizer,
)
from keras_hkd.training.ema import averaged_weights, moving_averages


def stepped(optimizer, gradients, start=1.0):
    """Values of one variable (1, 1) after each step with the given gradients."""
    variable = keras.Variable(np.full((1, 1), start, "float32"))
    optimizer.build([variable])
    values = []
    for gradient in gradients:
        optimizer.apply([keras.ops.full((1, 1), gradient)], [variable])
        values.append(float(variable.value[0, 0]))
    return variable, values


def test_weights_decay_and_vectors_do_not():
    kernel = keras.Variable(np.ones((2, 2), "float32"), name="kernel")
    scale = keras.Variable(np.ones((2,), "float32"), name="gamma")
    optimizer = AveragedAdamW(0.1, weight_decay=0.5)
    optimizer.build([kernel, scale])
    optimizer.apply([keras.ops.zeros((2, 2)), keras.ops.zeros((2,))], [kernel, scale])
    np.testing.assert_allclose(kernel, np.full((2, 2), 1 - 0.5 * 0.1), rtol=1e-6)
    np.testing.assert_array_equal(scale, np.ones(2))


def test_the_average_warms_up():
    optimizer = AveragedAdamW(0.1, weight_decay=0.0, use_ema=True, ema_momentum=0.2)
    _, values = stepped(optimizer, [1.0, -0.5, 2.0, 1.0, 1.0])
    expected = values[0]
    for step in range(1, 5):
        momentum = min(0.2, step / (step + 9))
        expected = momentum * expected + (1 - momentum) * values[step]
    ((_, average),) = moving_averages(optimizer)
    np.testing.assert_allclose(average.numpy(), [[expected]], rtol=1e-6)


def test_a_short_run_forgets_its_initial_weights():
    optimizer = AveragedAdamW(0.1, weight_decay=0.0, use_ema=True, ema_momentum=0.998)
    variable, values = stepped(optimizer, [1.0] * 50, start=10.0)
    optimizer.finalize_variable_values([variable])
    # Keras's own average would still be 90 % of the first step's weights.
    assert float(variable.value[0, 0]) < values[-1] + 0.25 * (values[0] - values[-1])


def test_before_the_first_step_there_is_no_average_to_take():
    optimizer = AveragedAdamW(0.1, use_ema=True)
    variable, _ = stepped(optimizer, [])
    optimizer.finalize_variable_values([variable])
    assert float(variable.value[0, 0]) == 1.0


def test_agrees_with_keras_where_nothing_is_corrected():
    gradients = [0.3, -1.0, 0.7]
    _, ours = stepped(AveragedAdamW(0.01, weight_decay=0.1, global_clipnorm=0.5), gradients)
    _, theirs = stepped(
        keras.optimizers.AdamW(0.01, weight_decay=0.1, global_clipnorm=0.5), gradients
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_round_trip():
    optimizer = build_optimizer(TrainingSettings(epochs=2), steps_per_epoch=3)
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(copy) is AveragedAdamW
    assert copy.get_config() == optimizer.get_config()


def test_settings_reach_the_optimizer():
    settings = TrainingSettings(epochs=2, weight_decay=0.1, global_clip_norm=3.0, ema_momentum=0.9)
    optimizer = build_optimizer(settings, steps_per_epoch=3)
    assert (optimizer.weight_decay, optimizer.global_clipnorm) == (0.1, 3.0)
    assert (optimizer.use_ema, optimizer.ema_momentum) == (True, 0.9)
    assert not build_optimizer(TrainingSettings(epochs=2, ema_momentum=None), 3).use_ema


def test_mixed_precision_scales_the_loss_and_keeps_the_average():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    settings = TrainingSettings(epochs=2, warmup_epochs=0, mixed_precision=True)
    model.compile(build_optimizer(settings, 4), "mse")
    assert type(model.optimizer) is ReplicatedLossScaleOptimizer
    model.fit(np.random.rand(4, 2), np.ones((4, 3)), batch_size=1, verbose=0)
    averages = [average.numpy() for _, average in moving_averages(model.optimizer)]
    assert len(averages) == 2
    for weight, average in zip(model.trainable_variables, averages, strict=True):
        np.testing.assert_array_equal(weight, average)


def small_model():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model.compile(build_optimizer(TrainingSettings(epochs=2, warmup_epochs=0), 4), "mse")
    return model


def test_looking_at_the_averaged_weights_changes_no_bit():
    model = small_model()
    model.fit(np.random.rand(4, 2), np.ones((4, 3)), batch_size=1, verbose=0)
    before = [weight.numpy() for weight in model.weights]
    averages = [average.numpy() for _, average in moving_averages(model.optimizer)]
    model_was = None
    with pytest.raises(KeyError), averaged_weights(model):
        model_was = [weight.numpy() for weight in model.weights]
        raise KeyError("an evaluation that fails")
    for inside, average in zip(model_was, averages, strict=True):
        np.testing.assert_array_equal(inside, average)
    for now, then in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_without_an_average_the_weights_stand():
    model = small_model()
    before = model.layers[0].kernel.numpy()
    with averaged_weights(model):  # not a step taken
        np.testing.assert_array_equal(model.layers[0].kernel, before)
    model.compile("sgd", "mse")
    with averaged_weights(model):
        np.testing.assert_array_equal(model.layers[0].kernel, before)


REPLICAS_SCRIPT = """
import json
import sys

import keras
import numpy as np
import tensorflow as tf

num_replicas = int(sys.argv[1])
cpu = tf.config.list_physical_devices("CPU")[0]
logical = [tf.config.LogicalDeviceConfiguration()] * num_replicas
tf.config.set_logical_device_configuration(cpu, logical)
from keras_hkd.training import AveragedAdamW, strategy_scope

with strategy_scope("mirrored" if num_replicas > 1 else None) as replicas:
    assert replicas == num_replicas
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, kernel_initializer="ones")])
    optimizer = AveragedAdamW(
        0.05, weight_decay=0.5, global_clipnorm=0.01, epsilon=0.01, use_ema=True, ema_momentum=0.9
    )
    model.compile(optimizer, "mse")
images = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
# The halves of every batch pull in opposite directions: clipped apart they would cancel.
images[4::8] *= -3.0
targets = images[:, :3] * 2.0 + 1.0
model.fit(images, targets, batch_size=8, epochs=2, shuffle=False, verbose=0)
averages = [v for v in model.optimizer.variables if v.path.endswith("_average")]
values = [keras.ops.convert_to_numpy(v).tolist() for v in [*model.weights, *averages]]
print(json.dumps(values))
"""


@pytest.fixture
def output_of(fresh_python):
    """Give a function that runs a script and reads the last line it printed."""
    return lambda script, *words: json.loads(fresh_python(script, *words).splitlines()[-1])


@pytest.mark.long
@pytest.mark.own_process
def test_two_replicas_take_the_step_of_one_device(output_of):
    one, two = (output_of(REPLICAS_SCRIPT, number) for number in (1, 2))
    assert len(one) == 4
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


OVERFLOW_SCRIPT = """
import json

import keras
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from keras_hkd.training import TrainingSettings, build_optimizer, strategy_scope

settings = TrainingSettings(epochs=4, warmup_epochs=0, mixed_precision=True)
with strategy_scope("mirrored"):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(build_optimizer(settings, steps_per_epoch=2), "mse")
images = np.ones((4, 1), "float32")
images[-1] = np.inf  # in the share of the second replica
scale = []
for batch in (images, np.ones((4, 1), "float32")):
    model.fit(batch, batch * 2, batch_size=4, verbose=0)
    scale.append(float(model.optimizer.dynamic_scale.numpy()))
    scale.append(float(keras.ops.convert_to_numpy(model.layers[0].kernel)[0, 0]))
print(json.dumps(scale))
"""


@pytest.mark.long
@pytest.mark.own_process
def test_a_step_that_overflows_on_any_replica_is_skipped_by_all(output_of):
    scale_after, kernel_after, scale_later, kernel_later = output_of(OVERFLOW_SCRIPT)
    assert kernel_after == 1.0
    assert scale_after == scale_later == 2.0**14
    assert kernel_later != 1.0 and np.isfinite(kernel_later)
