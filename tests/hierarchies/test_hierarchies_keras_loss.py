"""Keras's own distillation losses on several devices."""

import keras
import pytest

from keras_hkd.hierarchies import KerasLoss

TWO_REPLICAS = """
    import types

    import keras
    import numpy as np
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

    from keras_hkd.hierarchies import KerasLoss

    rng = np.random.default_rng(0)
    batches = rng.normal(size=(2, 4, 3)).astype("float32")
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for loss in ("mse", keras.losses.MeanSquaredError()):
        hierarchy = KerasLoss(keras.distillation.LogitsDistillation(loss=loss))

        def compute(teacher, student):
            step = types.SimpleNamespace(
                teacher_outputs={"logits": teacher}, student_outputs={"logits": student})
            return hierarchy.compute(step)

        whole = compute(*batches)
        halves = [
            strategy.experimental_distribute_values_from_function(
                lambda context, of=of: tf.constant(of[2 * context.replica_id_in_sync_group:][:2]))
            for of in batches
        ]
        parts = strategy.experimental_local_results(strategy.run(compute, args=halves))
        np.testing.assert_allclose(np.mean(parts), whole, rtol=1e-5, err_msg=str(loss))
    print("EQUAL")
"""


@pytest.mark.own_process
@pytest.mark.slow
def test_the_mean_over_replicas_is_the_loss_of_the_batch(fresh_python):
    assert fresh_python(TWO_REPLICAS).endswith("EQUAL\n")


def test_objects_beside_functions_are_refused():
    loss = keras.distillation.LogitsDistillation()
    loss.loss = [keras.losses.MeanSquaredError(), keras.losses.mean_squared_error]
    with pytest.raises(TypeError, match="objects or functions, not both"):
        KerasLoss(loss)
