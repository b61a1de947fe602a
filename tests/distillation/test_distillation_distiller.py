"""The Distiller as a Keras model: what a step changes, what it refuses, what it saves."""

import h5py
import keras
import numpy as np
import pytest

import keras_hkd
from keras_hkd.distillation import Distiller, schedules, weights_hash
from keras_hkd.hierarchies import ClassLogits, Pyramid
from keras_hkd.losses import FeatureImitation

NAMES = ["class_loss", "box_loss", "pyramid_loss", "region_loss", "class_tower_loss"]


def values(variables):
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def counted(monkeypatch, detector):
    calls = []
    run = detector.network.call
    monkeypatch.setattr(
        detector.network,
        "call",
        lambda *args, **options: calls.append(options.get("training")) or run(*args, **options),
    )
    return calls


def test_a_step_trains_student_and_projections_and_leaves_the_teacher(
    distiller, batch, monkeypatch, tmp_path
):
    images, labels = batch
    teacher, student = distiller.teacher, distiller.student
    frozen = values(teacher.variables)
    identity = distiller.teacher_hash
    projections = [layer.kernel for layer in distiller.projections]
    before = values(student.trainable_variables), values(projections)
    statistics = values(student.non_trainable_variables)
    with monkeypatch.context() as patch:
        calls = {d: counted(patch, d) for d in (teacher, student)}
        logs = distiller.train_on_batch(images, labels, return_dict=True)
        assert calls == {teacher: [False], student: [True]}
    assert set(logs) == {"loss", *NAMES}
    wanted = sum(
        float(weight) * logs[name] for weight, name in zip((1, 1, 0.5, 30, 30), NAMES, strict=True)
    )
    assert logs["loss"] == pytest.approx(wanted, rel=1e-5)
    assert same(values(teacher.variables), frozen)
    assert weights_hash(teacher) == identity
    assert not same(values(student.trainable_variables), before[0])
    assert not same(values(student.non_trainable_variables), statistics)
    assert not same(values(projections), before[1])
    assert int(distiller.steps_taken) == int(distiller.optimizer.iterations) == 1
    check_saved_weights(distiller, tmp_path / "run.weights.h5", frozen)


def check_saved_weights(distiller, path, frozen):
    """The file holds student, projections and optimizer, no weight of the teacher, and restores."""
    distiller.save_weights(path)
    stored = []
    with h5py.File(path) as file:
        file.visititems(lambda _, x: stored.append(x[()]) if isinstance(x, h5py.Dataset) else None)
    kernels = [value for value in frozen if value.ndim == 4 and value.shape[0] == 3]
    assert not any(np.array_equal(x, kernel) for kernel in kernels for x in stored)
    ours = distiller.trainable_variables + distiller.student.non_trainable_variables
    for variable in ours:
        value = keras.ops.convert_to_numpy(variable)
        assert any(np.array_equal(x, value) for x in stored), variable.path
    kept = values(ours)
    for variable in (*ours, distiller.steps_taken):
        variable.assign(variable + 1)
    distiller.optimizer.iterations.assign(7)
    distiller.load_weights(path)
    assert same(values(ours), kept)
    assert int(distiller.steps_taken) == int(distiller.optimizer.iterations) == 1
    assert same(values(distiller.teacher.variables), frozen)


def test_evaluate_and_predict_change_no_weight(distiller, batch):
    images, labels = batch
    networks = distiller.teacher.variables + distiller.student.variables
    everything = [*networks, *distiller.optimizer.variables, distiller.steps_taken]
    before = values(everything)
    logs = distiller.evaluate(images, labels, verbose=0, return_dict=True)
    assert set(logs) == {"loss", *NAMES}
    found = distiller.predict(images, verbose=0)
    assert found["boxes"].shape == (2, 100, 4)
    assert same(values(everything), before)


def test_schedules_follow_the_steps_taken(pair_of, batch, monkeypatch):
    teacher, student = pair_of("yolo_v8")
    warm_up = schedules.LinearWarmUp(30.0, steps=3)
    distiller = Distiller(teacher, student, Pyramid(FeatureImitation()), warm_up, 2.0)
    terms = {"class_loss": 1.0, "box_loss": 10.0, "pyramid_loss": 100.0}
    monkeypatch.setattr(distiller, "compute_terms", lambda *args: terms)
    images, labels = batch
    totals = [float(distiller.compute_loss(images, labels, {})) for _ in range(5)]
    assert totals == pytest.approx([22, 1022, 2022, 3022, 3022])
    assert int(distiller.steps_taken) == 5
    distiller.compute_loss(images, labels, {}, training=False)
    assert int(distiller.steps_taken) == 5


def test_terms_of_one_kind_get_names_of_their_own(pair_of):
    twice = [Pyramid(FeatureImitation(), levels=(level,)) for level in ("P3", "P4")]
    named = Pyramid(FeatureImitation(), name="coarse", levels=("P5",))
    distiller = Distiller(*pair_of("yolo_v8"), [*twice, named])
    assert distiller.term_names == ("pyramid", "pyramid_2", "coarse")
    logged = [metric.name for metric in distiller.metrics]
    assert logged[-3:] == ["pyramid_loss", "pyramid_2_loss", "coarse_loss"]


def test_raw_models_are_taken_as_teacher_and_as_student(wide_model, pair_of):
    student = pair_of("yolo_v8")[1].model
    distiller = Distiller(wide_model, student, Pyramid(FeatureImitation()))
    assert distiller.teacher.model is wide_model
    assert distiller.student.model is student
    assert not distiller.teacher.trainable_variables
    assert student.trainable_variables


def test_projections_stay_behind(distiller, pair_of):
    assert distiller.projections
    student = distiller.student
    twin = pair_of("yolo_v8")[0]
    assert student.count_params() == twin.count_params()
    owned = {id(v) for v in student.variables}
    assert not owned & {id(v) for layer in distiller.projections for v in layer.variables}


def test_pairs_and_arguments_that_do_not_fit_are_refused(pair_of, wide_model):
    teacher, student = pair_of("yolo_v8")
    pyramid = Pyramid(FeatureImitation())
    with pytest.raises(ValueError, match="share .* variables.*Build them separately"):
        Distiller(student, student, pyramid)
    with pytest.raises(ValueError, match="share .* variables"):
        Distiller(student.model, student, pyramid)
    with pytest.raises(ValueError, match="one weight for each.*2 weights for 1 losses"):
        Distiller(teacher, student, pyramid, [1.0, 2.0])
    with pytest.raises(TypeError, match="must be a number or a keras_hkd schedule"):
        Distiller(teacher, student, pyramid, ["1"])
    with pytest.raises(TypeError, match="must hold hierarchies.*Received: FeatureImitation"):
        Distiller(teacher, student, FeatureImitation())
    with pytest.raises(TypeError, match="functional keras.Model.*Received: Sequential"):
        Distiller(keras.Sequential(), student, pyramid)
    with pytest.raises(ValueError, match=r"cannot read levels \['P7'\].*Pass levels="):
        Distiller(teacher, student, Pyramid(FeatureImitation(), levels=("P3", "P7")))
    for name in ("class", "student"):  # would take the place of the student's own loss
        with pytest.raises(ValueError, match=f"another name than .*class.* name='{name}'"):
            Distiller(teacher, student, Pyramid(FeatureImitation(), name=name))
    other = keras_hkd.as_detector(wide_model, class_names=("cyclist",))
    with pytest.raises(ValueError, match="has no 'person'.*cyclist"):
        Distiller(other, student, ClassLogits(FeatureImitation()))


def test_compile_and_save_say_what_to_do_instead(distiller, tmp_path):
    with pytest.raises(ValueError, match="takes no `loss`.*distillation_losses"):
        distiller.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match=r"distiller\.student\.save.*save_weights"):
        distiller.save(tmp_path / "distiller.keras")
    assert not list(tmp_path.iterdir())


def test_labels_and_images_that_are_none_are_refused(distiller, batch):
    images, labels = batch
    with pytest.raises(ValueError, match="Labels must be a dict"):
        distiller.compute_terms(images, labels["boxes"], {})
    with pytest.raises(ValueError, match="images of shape"):
        distiller.compute_terms(images[0], labels, {})


@pytest.mark.slow
def test_config_round_trip(distiller):
    config = distiller.get_config()
    again = Distiller.from_config(config)
    for key in ("name", "distillation_losses", "distillation_loss_weights", "student_loss_weight"):
        assert again.get_config()[key] == config[key]
    assert again.term_names == distiller.term_names
    shapes = [[v.shape for v in d.trainable_variables] for d in (again, distiller)]
    assert shapes[0] == shapes[1]
    assert again.teacher.count_params() == distiller.teacher.count_params()


def test_weights_come_back_with_the_optimizer(batch, tmp_path):
    """The moments of Adam too, though the model that reads them has taken no step."""
    from keras_hkd.detectors import build

    models = []
    for seed in (1, 2):
        model = build("yolo_v8_micro", image_size=(64, 64), seed=seed)
        model.compile(keras.optimizers.Adam(1e-3), run_eagerly=True)
        models.append(model)
    trained, again = models
    trained.train_on_batch(*batch)
    trained.save_weights(tmp_path / "x.weights.h5")
    again.load_weights(tmp_path / "x.weights.h5")
    assert int(again.optimizer.iterations) == 1
    for model in models:
        model.train_on_batch(*batch)
    for one, other in zip(trained.weights, again.weights, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)
