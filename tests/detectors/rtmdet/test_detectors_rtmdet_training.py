"""RTMDet in a training run: broken off and resumed, in a process of its own."""

import pytest

SCRIPT = """
import sys

import keras_hkd.training as training

settings = training.TrainingSettings(
    epochs=2, batch_size=2, image_size=(64, 64), seed=3, deterministic=True
)
training.enable_determinism()

import keras
import numpy as np

import keras_hkd
from keras_hkd.detectors.rtmdet import RTMDet, RTMDetConfig

CONFIG = RTMDetConfig(depth=0.167, width=0.0625, pyramid_channels=8, num_classes=1)
dataset = keras_hkd.data.synthetic_dataset(num_images=4, image_size=(64, 64), seed=1)


class BreakOff(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


def run(folder, **options):
    with training.training_scope(settings):
        detector = RTMDet(CONFIG, image_size=(64, 64))
    training.train_model(detector, dataset, settings, f"{sys.argv[1]}/{folder}", **options)
    return detector.get_weights()


whole = run("whole")
try:
    run("broken", callbacks=[BreakOff()])
except KeyboardInterrupt:
    resumed = run("broken", resume=True)
assert len(whole) == len(resumed)
for one, other in zip(whole, resumed):
    np.testing.assert_array_equal(one, other)
print("EQUAL")
"""


@pytest.mark.long
@pytest.mark.own_process
def test_a_resumed_run_ends_with_the_same_weights(fresh_python, tmp_path):
    told = fresh_python(SCRIPT, tmp_path, TF_ENABLE_ONEDNN_OPTS="0")
    assert told.endswith("EQUAL\n")
