"""RTMDet on two devices, in a process of its own."""

import pytest

DATA = """
import numpy as np

images = np.random.default_rng(0).uniform(0, 255, (4, 64, 64, 3)).astype("float32")
boxes = [
    [(10, 8, 40, 56), (-1, -1, -1, -1)],
    [(4, 4, 20, 40), (30, 10, 50, 60)],
    [(20, 12, 44, 60), (-1, -1, -1, -1)],
    [(-1, -1, -1, -1), (-1, -1, -1, -1)],
]
boxes = np.array(boxes, "float32")
labels = {"boxes": boxes, "classes": np.where(boxes[..., 2] > 0, 0.0, -1.0).astype("float32")}
"""
TWO_DEVICES = """
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

import keras

from keras_hkd.batch_norm import synchronize_batch_norm
from keras_hkd.detectors.rtmdet import RTMDet, RTMDetConfig

CONFIG = RTMDetConfig(depth=0.167, width=0.0625, pyramid_channels=8, num_classes=1)


def trained(strategy):
    with strategy.scope():
        keras.utils.set_random_seed(1)
        detector = RTMDet(CONFIG, image_size=(64, 64))
        synchronize_batch_norm(detector)
        detector.compile(keras.optimizers.SGD(0.1))
    before = detector.get_weights()
    detector.fit(images, labels, batch_size=4, epochs=1, shuffle=False, verbose=0)
    after = detector.get_weights()
    assert any((a != b).any() for a, b in zip(before, after))
    return after


one = trained(tf.distribute.get_strategy())
two = trained(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
for a, b in zip(one, two, strict=True):
    np.testing.assert_allclose(a, b, atol=1e-4, rtol=1e-3)
print("EQUAL")
"""


@pytest.mark.long
@pytest.mark.own_process
def test_two_devices_learn_what_one_does(fresh_python):
    assert fresh_python(DATA + TWO_DEVICES).endswith("EQUAL\n")
