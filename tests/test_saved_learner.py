"""What is in a file beyond the network: float32, frozen layers, the optimizer."""

import os

import keras
import numpy as np
import pytest

import keras_hkd
from keras_hkd.detectors import build, load_detector
from keras_hkd.detectors.rtmdet import RTMDet, RTMDetConfig
from keras_hkd.saved_learner import MIXED, in_float32, in_precision
from keras_hkd.training import checkpoint

SIZE = (64, 64)


def tiny(**options):
    """An RTMDet, the family that is built fastest."""
    return RTMDet(RTMDetConfig(width=0.125, num_classes=1), image_size=SIZE, **options)


def batch():
    images = np.random.default_rng(0).uniform(0, 255, (1, *SIZE, 3)).astype("float32")
    boxes = np.array([[[8, 4, 28, 60]]], "float32")
    return images, {"boxes": boxes, "classes": np.zeros((1, 1), "float32")}


def policies(model):
    return {layer.dtype_policy.name for layer in model._flatten_layers()}


@pytest.fixture(params=[pytest.param("rtmdet", marks=pytest.mark.long), "yolo_v8"])
def mixed(request):
    """A detector that was built to train in mixed precision."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        made = tiny() if request.param == "rtmdet" else build("yolo_v8_micro", image_size=SIZE)
    finally:
        keras.config.set_dtype_policy("float32")
    assert policies(made) & set(MIXED)
    return made


def test_a_model_of_mixed_precision_is_saved_in_float32(mixed, tmp_path):
    mixed.save(tmp_path / "student.keras")
    for loaded in (
        keras.models.load_model(tmp_path / "student.keras"),
        load_detector(tmp_path / "student.keras"),
        in_float32(mixed),
    ):
        assert not policies(loaded) & set(MIXED)
        for one, other in zip(loaded.get_weights(), mixed.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    assert policies(mixed) & set(MIXED), "what trains goes on as it was"
    keras.saving.save_model(mixed, tmp_path / "by_keras.keras")
    assert not policies(load_detector(tmp_path / "by_keras.keras")) & set(MIXED)
    assert in_float32(loaded) is loaded


def test_a_loaded_model_is_compiled_and_its_optimizer_is_the_saved_one(tmp_path):
    detector = tiny()
    detector.compile(keras.optimizers.AdamW(3e-4), run_eagerly=True)
    detector.fit(*batch(), epochs=2, verbose=0)
    detector.save(tmp_path / "student.keras")
    loaded = keras.models.load_model(tmp_path / "student.keras")
    assert int(loaded.optimizer.iterations) == 2
    assert float(loaded.optimizer.learning_rate) == pytest.approx(3e-4)
    pairs = zip(loaded.optimizer.variables, detector.optimizer.variables, strict=True)
    for one, other in pairs:
        np.testing.assert_array_equal(one, other)
    loaded.fit(*batch(), verbose=0)
    assert int(loaded.optimizer.iterations) == 3
    plain = keras.models.load_model(tmp_path / "student.keras", compile=False)
    with pytest.raises(ValueError, match=r"compile\(\)"):
        plain.fit(*batch(), verbose=0)


def test_a_save_that_fails_leaves_the_file_of_before(tmp_path, monkeypatch):
    def fail(*args):
        raise OSError("disk full")

    detector = tiny()
    detector.compile("sgd")
    path = tmp_path / "best.keras"
    detector.save(path)
    before = path.read_bytes()
    best = keras_hkd.BestStudent(path, monitor="loss")
    best.set_model(detector)
    monkeypatch.setattr(keras.layers.Layer, "save_own_variables", fail)
    for save in (lambda: detector.save(str(path)), lambda: best.on_epoch_end(0, {"loss": 1.0})):
        with pytest.raises(OSError, match="disk full"):
            save()
        assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["best.keras"]


def test_keras_is_asked_for_all_that_is_no_file_to_replace(tmp_path, monkeypatch):
    path = tmp_path / "mine.keras"
    path.write_bytes(b"mine")
    monkeypatch.setattr("builtins.input", lambda *args: "n")
    tiny().save(path, overwrite=False)
    assert path.read_bytes() == b"mine"
    with pytest.raises(ValueError, match=r"filepath=.*/model\.tflite"):
        tiny().save(tmp_path / "model.tflite")
    tiny().save(tmp_path / "folder", zipped=False)
    assert (tmp_path / "folder" / "config.json").is_file()
    tiny().save(tmp_path / "new.keras", overwrite=False)
    assert sorted(os.listdir(tmp_path)) == ["folder", "mine.keras", "new.keras"]


def test_frozen_layers_stay_frozen(tmp_path):
    detector = build("yolo_v8_micro", image_size=SIZE, seed=1)
    detector.model.backbone.trainable = False
    detector.save(tmp_path / "student.keras")
    loaded = load_detector(tmp_path / "student.keras")
    shapes = [[tuple(w.shape) for w in one.trainable_weights] for one in (detector, loaded)]
    assert shapes[0] == shapes[1] and len(shapes[0]) < len(detector.weights)
    detector.trainable = False  # as a Distiller does with its teacher
    detector.save(tmp_path / "teacher.keras")
    assert load_detector(tmp_path / "teacher.keras").trainable_weights


def distiller(*students):
    loss = keras_hkd.hierarchies.ClassLogits(keras_hkd.losses.AdaptiveDistillation())
    if len(students) == 2:
        return keras_hkd.distillation.MutualDistiller(students, loss)
    return keras_hkd.Distiller(tiny(), *students, loss)


@pytest.mark.parametrize("num_students", [1, 2])
def test_the_student_is_read_out_of_a_distillers_weights(num_students, tmp_path):
    students = [tiny() for _ in range(num_students)]
    distiller(*students).save_weights(tmp_path / "best.weights.h5")
    other = tiny()
    other.load_weights(tmp_path / "best.weights.h5")
    for one, student in zip(other.get_weights(), students[0].get_weights(), strict=True):
        np.testing.assert_array_equal(one, student)
    with pytest.raises(ValueError, match=r"weights of a Distiller.*load_weights\('best"):
        load_detector(tmp_path / "best.weights.h5")


def test_files_that_hold_no_model_are_named_with_what_to_do(tmp_path):
    detector = tiny()
    detector.compile("sgd")
    detector.optimizer.build(detector.trainable_variables)
    checkpoint.write_state(tmp_path / "epoch_0007.npz", checkpoint.state_of(detector, 7, {}, {}))
    with pytest.raises(ValueError, match="is a checkpoint.*--resume"):
        load_detector(tmp_path / "epoch_0007.npz")
    detector.save_weights(tmp_path / "own.weights.h5")
    with pytest.raises(ValueError, match="weights of a detector, and not how it is built"):
        load_detector(tmp_path / "own.weights.h5")


@pytest.mark.long
def test_a_model_checkpoint_of_a_distiller_is_refused_before_the_first_step(tmp_path):
    trained = distiller(tiny())
    trained.compile("sgd", run_eagerly=True)
    steps = []
    count = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *args: steps.append(args))
    whole = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", monitor="loss")
    with pytest.raises(ValueError, match=r"keras_hkd\.BestStudent\(.*best\.keras"):
        trained.fit(*batch(), verbose=0, callbacks=[count, whole])
    assert not steps
    best = keras_hkd.BestStudent(tmp_path / "best.keras", monitor="loss")
    weights = keras.callbacks.ModelCheckpoint(
        tmp_path / "all.weights.h5", save_weights_only=True, monitor="loss"
    )
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
    trained.fit(*batch(), verbose=0, callbacks=[best, weights, backup])
    for saved in (load_detector(tmp_path / "best.keras"), tiny()):
        if saved.name != trained.student.name:
            saved.load_weights(tmp_path / "all.weights.h5")
        for one, student in zip(saved.get_weights(), trained.student.get_weights(), strict=True):
            np.testing.assert_array_equal(one, student)
    again = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    history = trained.fit(*batch(), epochs=2, verbose=0, callbacks=[again])
    assert history.epoch == [1], "the first epoch was done before"


@pytest.mark.parametrize(
    "precision", [pytest.param("mixed_float16", marks=pytest.mark.long), "mixed_bfloat16"]
)
def test_a_float32_model_computes_in_half_precision_as_one_built_for_it(precision):
    whole = tiny()
    half = in_precision(whole, precision)
    assert in_precision(whole, "float32") is whole and in_precision(half, precision) is half
    keras.config.set_dtype_policy(precision)
    try:
        built = tiny()
    finally:
        keras.config.set_dtype_policy("float32")
    dtypes = [[layer.compute_dtype for layer in m.network._flatten_layers()] for m in (half, built)]
    assert dtypes[0] == dtypes[1]
    for a, b in zip(half.weights, whole.weights, strict=True):
        assert a.dtype == "float32"
        np.testing.assert_array_equal(a, b)
    images = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype("float32")
    logits = [np.asarray(model(images)["class_logits"], "float32") for model in (half, whole)]
    np.testing.assert_allclose(*logits, rtol=0.05, atol=0.05)
    assert np.abs(logits[0] - logits[1]).max() > 0
