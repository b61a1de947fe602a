"""Means over replicas: on one device here, on two logical devices in a process of its own."""

import numpy as np
import pytest
from keras import ops

from keras_hkd import replicas

TWO_REPLICAS = """
    import keras
    import numpy as np
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    from keras_hkd import losses, replicas

    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    generator = np.random.default_rng(0)
    teacher = generator.normal(size=(4, 6, 3)).astype("float32")
    student = generator.normal(size=(4, 6, 3)).astype("float32")

    def value_and_gradient(loss, teacher, student, mask):
        kernel = tf.eye(3)
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            value = loss(teacher, tf.matmul(student, kernel), mask=mask)
        return value, tape.gradient(value, kernel)

    def on_two(loss, mask, first):
        # The first images go to one replica, the others to the other.
        def pick(x):
            if x is None:
                return None
            parts = [tf.constant(x[:first]), tf.constant(x[first:])]
            return strategy.experimental_distribute_values_from_function(
                lambda context: parts[context.replica_id_in_sync_group])

        @tf.function
        def step(*shares):
            def replica(teacher, student, mask):
                assert replicas.num_replicas() == 2
                return value_and_gradient(loss, teacher, student, mask)

            return [
                strategy.reduce("MEAN", x, axis=None) for x in strategy.run(replica, args=shares)
            ]

        return step(pick(teacher), pick(student), pick(mask))

    uneven = np.zeros((4, 6), "float32")
    uneven[0, :2] = 1.0
    uneven[2, 1:] = 0.5
    cases = {
        "no mask": (None, 2),
        "unequal shares": (None, 3),
        "an empty share": (None, 4),
        "unequal weights": (uneven, 2),
        "one share all masked": (uneven * [[1], [1], [0], [0]], 2),
        "all masked": (0 * uneven, 2),
    }
    terms = [
        losses.FeatureImitation(),
        losses.PearsonCorrelation(),
        losses.LogitDistillation(),
        losses.LogitDistillation(activation="sigmoid"),
        losses.AdaptiveDistillation(),
        losses.AdaptiveDistillation(form="paper"),
    ]
    for loss in terms:
        for name, (mask, first) in cases.items():
            mask = None if mask is None else mask.astype("float32")
            one = value_and_gradient(loss, teacher, student, mask)
            two = on_two(loss, mask, first)
            message = f"{loss} with {name}"
            np.testing.assert_allclose(two[0], one[0], rtol=1e-5, atol=1e-7, err_msg=message)
            np.testing.assert_allclose(two[1], one[1], rtol=1e-4, atol=1e-6, err_msg=message)

    with strategy.scope():  # building and variable creation: no replica runs
        assert replicas.num_replicas() == 1
        assert replicas.sum_over_replicas(3.0) == 3.0


    class Imitator(keras.Model):
        def __init__(self):
            super().__init__()
            self.project = keras.layers.Dense(3, kernel_initializer="identity")

        def call(self, x):
            return self.project(x)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            total = sum(loss(y["teacher"], y_pred, mask=y["mask"]) for loss in terms)
            return total / replicas.num_replicas()


    def fitted(scope):
        with scope:
            model = Imitator()
            model.compile(optimizer=keras.optimizers.SGD(0.1), jit_compile=False)
        images = tf.data.Dataset.from_tensor_slices(
            (student, {"teacher": teacher, "mask": uneven}))
        history = model.fit(images.repeat(3).batch(4, drop_remainder=True), verbose=0)
        return np.append(model.project.kernel.numpy(), history.history["loss"])


    one = fitted(tf.distribute.get_strategy().scope())
    two = fitted(strategy.scope())
    np.testing.assert_allclose(two, one, rtol=1e-5)
    print("EQUAL")
"""


@pytest.mark.own_process
@pytest.mark.slow
def test_two_replicas_give_the_loss_and_the_update_of_one_device(fresh_python):
    assert fresh_python(TWO_REPLICAS).endswith("EQUAL\n")


def test_one_replica_sums_nothing():
    assert replicas.num_replicas() == 1
    x = ops.ones(3)
    assert replicas.sum_over_replicas(x) is x


def test_plain_mean_is_exactly_the_mean():
    values = np.random.default_rng(0).normal(size=(3, 50, 7)).astype("float32")
    assert float(replicas.weighted_mean(values)) == float(ops.mean(values))


def test_weighted_mean_spreads_weights_over_trailing_axes():
    generator = np.random.default_rng(0)
    values, weights = generator.normal(size=(3, 5, 7)), generator.uniform(size=(3, 5))
    expected = np.average(values.mean(-1), weights=weights)
    assert float(replicas.weighted_mean(values, weights)) == pytest.approx(expected, rel=1e-5)
    per_image = np.average(values.mean((1, 2)), weights=weights[:, 0])
    assert float(replicas.weighted_mean(values, weights[:, 0])) == pytest.approx(per_image, 1e-5)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
def test_mean_of_nothing_is_zero(shape):
    assert float(replicas.weighted_mean(np.zeros(shape))) == 0.0
    assert float(replicas.weighted_mean(np.zeros(shape), np.zeros(shape))) == 0.0


def test_tiny_weights_count_and_no_weight_is_zero():
    assert float(replicas.weighted_mean([1.0, 3.0], [1e-30, 1e-30])) == pytest.approx(2.0)
    assert float(replicas.weighted_mean([1.0, 3.0], [0.0, 0.0])) == 0.0


def test_values_of_weight_zero_are_not_read():
    values = [1.0, np.nan, np.inf]
    assert float(replicas.weighted_mean(values, [1.0, 0.0, 0.0])) == 1.0
    assert float(replicas.weighted_mean(values, [True, False, False])) == 1.0


def test_integers_and_half_precision_are_averaged_in_float32():
    assert float(replicas.weighted_mean(np.array([1, 2]))) == 1.5
    large = np.full(1000, 300.0, "float16")  # its sum overflows float16
    assert float(replicas.weighted_mean(large, np.ones(1000))) == pytest.approx(300.0)


@pytest.mark.parametrize("weights_shape", [None, (3,), (3, 5), (3, 5, 7)])
def test_mean_square_is_the_mean_of_squares_and_so_is_its_gradient(weights_shape):
    import tensorflow as tf

    generator = np.random.default_rng(0)
    values, weights = tf.constant(generator.normal(size=(3, 5, 7)), tf.float32), None
    if weights_shape is not None:
        weights = generator.uniform(size=weights_shape) * (
            generator.uniform(size=weights_shape) > 0.4
        )
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(values)
        found = replicas.weighted_mean_square(values, weights)
        expected = replicas.weighted_mean(ops.square(values), weights)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)
    gradients = [tape.gradient(one, values) for one in (found, expected)]
    np.testing.assert_allclose(*gradients, rtol=1e-5, atol=1e-9)


def test_mean_square_reads_nothing_of_weight_zero_and_is_zero_of_nothing():
    import tensorflow as tf

    values = tf.constant([[3.0, 1.0], [np.nan, 1.0], [np.inf, 1.0]])
    with tf.GradientTape() as tape:
        tape.watch(values)
        mean = replicas.weighted_mean_square(values, [0.5, 0.0, 0.0])
    assert float(mean) == pytest.approx(5.0)
    np.testing.assert_allclose(tape.gradient(mean, values), [[3.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    assert float(replicas.weighted_mean_square(values, [0.0, 0.0, 0.0])) == 0.0
    for shape in ((0,), (0, 3), (2, 0)):
        assert float(replicas.weighted_mean_square(np.zeros(shape))) == 0.0
        assert float(replicas.weighted_mean_square(np.zeros(shape), np.zeros(shape))) == 0.0


def test_mean_square_takes_batches_of_any_size():
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, 2)), tf.TensorSpec((None,))])
    def both(values, weights):
        return (
            replicas.weighted_mean_square(values),
            replicas.weighted_mean_square(values, weights),
        )

    found = both(tf.constant([[1.0, 2.0], [3.0, 5.0]]), tf.constant([1.0, 0.0]))
    assert [float(one) for one in found] == [9.75, 2.5]
    assert [float(one) for one in both(tf.zeros((0, 2)), tf.zeros((0,)))] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("weights", "values"), [((3,), (2, 3)), ((2, 1), (2, 3)), ((2, 3, 1), (2, 3)), ((1,), (2,))]
)
def test_weights_that_would_broadcast_are_refused(weights, values):
    with pytest.raises(ValueError, match="`weights` must have the leading axes"):
        replicas.weighted_mean(np.ones(values), np.ones(weights))


def test_global_ratio_has_a_floor_or_is_zero():
    assert float(replicas.global_ratio(3.0, 0.0)) == 0.0
    assert float(replicas.global_ratio(3.0, 2.0)) == 1.5
    assert float(replicas.global_ratio(3.0, 0.5, minimum=1.0)) == 3.0
