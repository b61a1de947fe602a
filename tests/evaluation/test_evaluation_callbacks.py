import keras
import numpy as np
import pytest

from keras_hkd.evaluation.callbacks import DetectionMetrics

SCENES = [((64, 64), [16, 4, 40, 60])] * 100


@keras.saving.register_keras_serializable(package="tests")
class Learner(keras.Sequential):
    """Learns something else, and detects as the object that it carries."""

    def __init__(self, detector):
        super().__init__([keras.Input((1,)), keras.layers.Dense(1)])
        self.detects = detector.predict_on_batch
        self.image_size = detector.image_size
        self.class_names = detector.class_names

    def predict_on_batch(self, images):
        return self.detects(images)


def fit(model, callbacks, epochs=2):
    model.compile("sgd", "mse")
    x = np.ones((4, 1))
    return model.fit(x, x, epochs=epochs, verbose=0, callbacks=callbacks).history


def test_scores_join_the_logs(WhiteBoxDetector, white_boxes):
    callback = DetectionMetrics(white_boxes(SCENES))
    history = fit(Learner(WhiteBoxDetector()), [callback])
    for name in ("val_AP", "val_AP50", "val_AP75", "val_AR100", "val_MR2"):
        assert len(history[name]) == 2
    assert history["val_AP"] == pytest.approx([1.0, 1.0])
    assert history["val_MR2"] == [0.0, 0.0]


def test_other_callbacks_can_watch_them(WhiteBoxDetector, white_boxes):
    metrics = DetectionMetrics(white_boxes(SCENES), prefix="")
    stop = keras.callbacks.EarlyStopping(monitor="AP", mode="max", patience=1)
    history = fit(Learner(WhiteBoxDetector()), [metrics, stop], epochs=5)
    assert len(history["AP"]) == 2


def test_every_so_many_epochs(WhiteBoxDetector, white_boxes):
    detector = WhiteBoxDetector()
    fit(Learner(detector), [DetectionMetrics(white_boxes(SCENES), every=2)], epochs=5)
    assert len(detector.batch_shapes) == 2 * 7  # 100 images, 16 at a time


def test_of_a_distiller_the_student(WhiteBoxDetector, white_boxes):
    blind = Learner(WhiteBoxDetector(score=0.0, max_detections=1))
    blind.student = WhiteBoxDetector()
    history = fit(blind, [DetectionMetrics(white_boxes(SCENES))], epochs=1)
    assert history["val_AP50"] == pytest.approx([1.0])


def test_every_below_one():
    with pytest.raises(ValueError, match="every"):
        DetectionMetrics(None, every=0)
