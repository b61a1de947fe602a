import keras
import numpy as np

from keras_hkd.training.ema import moving_averages
from keras_hkd.training.optimizer import AveragedAdamW
from keras_hkd.training.validation import Validation


def test_measures_the_averaged_student_every_few_epochs():
    student = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    student.compile(AveragedAdamW(0.1, use_ema=True, ema_momentum=0.9), "mse")
    student.student = student
    seen = []

    def measure(detector):
        assert detector is student
        averages = [average.numpy() for _, average in moving_averages(student.optimizer)]
        np.testing.assert_array_equal(detector.layers[0].kernel, averages[0])
        seen.append(detector)
        return {"AP": np.float64(0.5), "MR2": 0.25, "protocol": "coco"}

    images, targets = np.ones((4, 1)), np.ones((4, 1))
    logs = student.fit(
        images, targets, batch_size=1, epochs=5, verbose=0, callbacks=[Validation(measure, every=2)]
    )
    assert len(seen) == 2
    assert logs.history["val_AP"] == [0.5, 0.5]
    assert logs.history["val_MR2"] == [0.25, 0.25]
    assert "val_protocol" not in logs.history
