import json

import keras
import numpy as np
import pytest

from keras_hkd.data import Dataset, ImageAnnotation
from keras_hkd.folder_lock import FolderInUseError, folder_lock
from keras_hkd.training import (
    DifferentRunError,
    DivergedError,
    RunFolder,
    RunFolderError,
    TrainingSettings,
    train_model,
    training_scope,
)
from keras_hkd.training.checkpoint import list_checkpoints

SETTINGS = TrainingSettings(epochs=3, batch_size=2, image_size=(32, 32), seed=3, ema_momentum=0.9)


class Scenes(Dataset):
    """Four images in memory."""

    def load_image(self, index):
        return np.random.default_rng(index).integers(0, 255, (32, 32, 3)).astype(np.uint8)


def scenes(shift=0.0):
    box = [[4.0 + shift, 4.0, 12.0 + shift, 28.0]]
    annotations = [ImageAnnotation("", number, 32, 32, box, [0]) for number in range(5)]
    return Scenes(annotations, ("person",), "memory", "none")


class BrightnessDetector(keras.Model):
    """Quacks like a detector: images in, a loss on the labels' boxes of its own."""

    def __init__(self, units=4):
        super().__init__()
        self.layers_ = [
            keras.layers.AveragePooling2D(8),
            keras.layers.Flatten(),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(units),
            keras.layers.Dense(4),
        ]
        self(np.zeros((1, 32, 32, 3), "float32"))
        self.factor = 1.0

    def call(self, x, training=False):
        for layer in self.layers_:
            x = layer(x)
        return x

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        return self.factor * keras.ops.mean(keras.ops.square(y_pred - y["boxes"][:, 0] / 32))


def build(settings=SETTINGS, **options):
    with training_scope(settings):
        return BrightnessDetector(**options)


def weights(model):
    return [keras.ops.convert_to_numpy(weight) for weight in model.weights]


def test_trains_records_and_checkpoints(tmp_path):
    model = build()
    model.image_size = (320, 320)
    history = train_model(model, scenes(), SETTINGS, tmp_path / "run")
    assert model.image_size == (32, 32)  # what it was trained at is what it works at
    assert set(history) == {"loss", "learning_rate", "seconds"}
    assert [len(row) for row in history.values()] == [3, 3, 3]
    assert json.loads((tmp_path / "run" / "history.json").read_text()) == history
    names = [path.name for path in list_checkpoints(tmp_path / "run" / "checkpoints")]
    assert names == ["epoch_0003.npz", "epoch_0002.npz"]
    record = RunFolder(tmp_path / "run").read_json("run.json")
    assert record["data_hash"] == scenes().content_hash
    assert record["settings"]["seed"] == 3
    assert record["teacher_hash"] is None


def test_ends_with_the_averaged_weights(tmp_path):
    model = build()
    train_model(model, scenes(), SETTINGS, tmp_path / "run")
    for weight, average in zip(
        model.trainable_variables, model.optimizer._model_variables_moving_average, strict=True
    ):
        np.testing.assert_array_equal(weight, average)


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    with folder_lock(tmp_path / "run"), pytest.raises(FolderInUseError, match="folder of its own"):
        train_model(build(), scenes(), SETTINGS, tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()


class Interrupted(Exception):
    pass


class StopAfter(keras.callbacks.Callback):
    """Break off in the middle of an epoch, as a killed process would."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.moment = (epoch, batch)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.moment:
            raise Interrupted


@pytest.mark.parametrize("moment", [(0, 0), (2, 0)])
def test_an_interrupted_run_goes_on_to_the_same_weights(tmp_path, moment):
    whole = build()
    expected = train_model(whole, scenes(), SETTINGS, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train_model(build(), scenes(), SETTINGS, tmp_path / "run", callbacks=[StopAfter(*moment)])
    resumed = build()
    history = train_model(resumed, scenes(), SETTINGS, tmp_path / "run", resume=True)
    assert history["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    for a, b in zip(weights(whole), weights(resumed), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_run_that_was_killed_after_its_last_epoch_needs_no_training(tmp_path):
    whole = build()
    history = train_model(whole, scenes(), SETTINGS, tmp_path / "run")
    again = build()
    assert train_model(again, scenes(), SETTINGS, tmp_path / "run", resume=True) == history
    for a, b in zip(weights(whole), weights(again), strict=True):
        np.testing.assert_array_equal(a, b)


def test_refuses_what_would_mix_two_runs(tmp_path):
    train_model(build(), scenes(), SETTINGS, tmp_path / "run")
    with pytest.raises(RunFolderError, match="already holds a run"):
        train_model(build(), scenes(), SETTINGS, tmp_path / "run")
    with pytest.raises(DifferentRunError, match="data_hash"):
        train_model(build(), scenes(shift=2.0), SETTINGS, tmp_path / "run", resume=True)
    other = TrainingSettings.from_dict({**SETTINGS.to_dict(), "seed": 4})
    with pytest.raises(DifferentRunError, match="settings.seed was 3 and is now 4"):
        train_model(build(), scenes(), other, tmp_path / "run", resume=True)
    with pytest.raises(DifferentRunError, match="another student"):
        train_model(build(units=5), scenes(), SETTINGS, tmp_path / "run", resume=True)
    model = build()
    model.teacher_hash = "another"
    with pytest.raises(DifferentRunError, match="teacher_hash was None and is now 'another'"):
        train_model(model, scenes(), SETTINGS, tmp_path / "run", resume=True)


def test_refuses_to_mix_two_sets_of_images_in_one_curve(tmp_path):
    settings = TrainingSettings.from_dict({**SETTINGS.to_dict(), "validate_every": 0})
    train_model(build(), scenes(), settings, tmp_path, validation=scenes(1.0))
    train_model(build(), scenes(), settings, tmp_path, validation=scenes(1.0), resume=True)
    for other in (scenes(2.0), None):
        with pytest.raises(DifferentRunError, match="val_hash was"):
            train_model(build(), scenes(), settings, tmp_path, validation=other, resume=True)


def test_a_run_that_diverges_says_where_and_leaves_no_checkpoint_of_it(tmp_path):
    model = build()
    model.factor = float("nan")
    with pytest.raises(DivergedError, match="step 1 "):
        train_model(model, scenes(), SETTINGS, tmp_path / "run")
    assert list_checkpoints(tmp_path / "run" / "checkpoints") == []


def test_more_images_in_a_batch_than_there_are_is_refused_before_anything_is_written(tmp_path):
    settings = TrainingSettings(epochs=1, batch_size=8, image_size=(32, 32))
    with pytest.raises(ValueError, match="batch_size"):
        train_model(build(settings), scenes(), settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_finished_run_is_made_longer_and_no_shorter(tmp_path):
    history = train_model(build(), scenes(), SETTINGS, tmp_path)
    longer = TrainingSettings.from_dict({**SETTINGS.to_dict(), "epochs": 5})
    model = build()
    extended = train_model(model, scenes(), longer, tmp_path, resume=True)
    assert extended["loss"][:3] == history["loss"] and len(extended["loss"]) == 5
    assert int(model.optimizer.iterations) == 5 * 2, "two whole batches of five images an epoch"
    assert json.loads((tmp_path / "run.json").read_text())["settings"]["epochs"] == 5
    with pytest.raises(ValueError, match="has done 5 epochs"):
        train_model(build(), scenes(), SETTINGS, tmp_path, resume=True)


def test_classes_that_the_detector_lacks_are_refused(tmp_path):
    from keras_hkd.detectors.rtmdet import RTMDet, RTMDetConfig

    detector = RTMDet(RTMDetConfig(width=0.125, num_classes=1), image_size=(32, 32))
    for names in (("cat",), ("person", "cat"), ("cat", "person")):
        images = Scenes(list(scenes()), names, "memory", "none")
        with pytest.raises(ValueError, match=r"detector knows person.*with_classes"):
            train_model(detector, images, SETTINGS, tmp_path)
    assert not any(tmp_path.iterdir())


def test_schedules_and_averages_count_the_steps_of_the_optimizer():
    from keras_hkd.training import build_optimizer

    gradients = [1.0, 3.0, -1.0, 2.0, 5.0, 1.0]
    plain = {**SETTINGS.to_dict(), "epochs": 3, "warmup_epochs": 0, "weight_decay": 0}
    values = []
    for accumulated in (1, 2):
        settings = TrainingSettings.from_dict({**plain, "gradient_accumulation_steps": accumulated})
        optimizer = build_optimizer(settings, steps_per_epoch=accumulated)
        variable = keras.Variable(np.ones((1, 1), "float32"))
        optimizer.build([variable])
        if accumulated == 1:
            batches = [sum(pair) / 2 for pair in zip(gradients[::2], gradients[1::2], strict=True)]
        else:
            batches = gradients
        for gradient in batches:
            optimizer.apply([keras.ops.full((1, 1), gradient)], [variable])
        assert int(optimizer.iterations) == 3
        average = optimizer._model_variables_moving_average[0]
        values.append([float(variable.value[0, 0]), float(average.value[0, 0])])
    assert values[0] == pytest.approx(values[1], rel=1e-5)
