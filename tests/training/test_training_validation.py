import types

import keras
import numpy as np

import keras_hkd.evaluation.callbacks
from keras_hkd.training.ema import moving_averages
from keras_hkd.training.optimizer import AveragedAdamW
from keras_hkd.training.validation import AveragedDetectionMetrics


def test_measures_the_averaged_student_every_few_epochs(monkeypatch):
    student = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    student.compile(AveragedAdamW(0.1, use_ema=True, ema_momentum=0.9), "mse")
    student.student = student
    seen = []

    def evaluate(detector, *args, **options):
        assert detector is student
        averages = [average.numpy() for _, average in moving_averages(student.optimizer)]
        np.testing.assert_array_equal(detector.layers[0].kernel, averages[0])
        seen.append(detector)
        return dict.fromkeys(("AP", "AP50", "AP75", "AR100", "MR2"), 0.5)

    monkeypatch.setattr(keras_hkd.evaluation.callbacks, "evaluate_detector", evaluate)
    metrics = AveragedDetectionMetrics(types.SimpleNamespace(), every=2)
    images, targets = np.ones((4, 1)), np.ones((4, 1))
    logs = student.fit(images, targets, batch_size=1, epochs=5, verbose=0, callbacks=[metrics])
    assert len(seen) == 2
    assert logs.history["val_AP"] == [0.5, 0.5]
