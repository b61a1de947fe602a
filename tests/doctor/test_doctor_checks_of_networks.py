"""Faults of terms, maps, anchors, classes and stored teachers are planted in small networks."""

import types

import numpy as np
import pytest
from keras import ops

import keras_hkd
from keras_hkd.doctor import case as case_module
from keras_hkd.doctor.checks import cost
from keras_hkd.doctor.checks.terms import _judged
from keras_hkd.training import TrainingSettings

SIZE = (64, 64)


@pytest.fixture(scope="module")
def pair():
    from keras_hkd.detectors import build

    return tuple(build("yolo_v8_micro", image_size=SIZE, seed=seed) for seed in (1, 2))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """One batch, and no tracing, which takes longer than the steps."""
    import tensorflow as tf

    monkeypatch.setattr(case_module, "NUM_BATCHES", 1)
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def case(pair, people, case_of):
    """Give a function from losses by name of their term, and weights, to a case with them."""

    def make(losses=None, weights=None, **options):
        teacher, student = pair
        distiller = None
        if losses is not None:
            terms = [
                keras_hkd.hierarchies.Pyramid(loss, levels=("P3",), name=name)
                for name, loss in losses.items()
            ]
            distiller = keras_hkd.Distiller(teacher, student, terms, weights)
        options = {"teacher": teacher, "student": student, **options}
        return case_of(people(8), given_distiller=distiller, **options)

    return make


def mean_of(student):
    return ops.mean(ops.square(student))


PLANTED = {
    "nothing": lambda teacher, student, mask=None: 0.0 * mean_of(student),
    "undefined": lambda teacher, student, mask=None: mean_of(student) / 0.0,
    "constant": lambda teacher, student, mask=None: 3.0 + 0.0 * mean_of(student),
    "stopped": lambda teacher, student, mask=None: ops.stop_gradient(mean_of(student)),
}


def test_terms_that_say_nothing(case, ask, monkeypatch):
    monkeypatch.setattr(case_module, "NUM_BATCHES", 2)  # one batch has no constant term
    imitation = keras_hkd.losses.FeatureImitation()
    found = ask("terms", case({**PLANTED, "sound": imitation}))
    assert [one.severity for one in found] == ["fault"] * 4
    for one, words in zip(
        found,
        (
            "nothing_loss is 0",
            "undefined_loss is NaN or infinite",
            "constant_loss has the same value, 3,",
            "stopped_loss has no gradient",
        ),
        strict=True,
    ):
        assert words in one.text


def test_a_term_that_is_too_heavy(case, ask):
    (found,) = ask("terms", case({"heavy": keras_hkd.losses.FeatureImitation()}, [1e6]))
    assert (found.severity, "heavy_loss drown the rest" in found.text) == ("fault", True)
    assert sum(found.figures.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("shares", "severity", "words"),
    [
        ((0.5, 0.3, 0.2), "ok", "boxes_loss 30.0%"),
        ((0.15, 0.45, 0.4), "warning", "boxes_loss and maps_loss drown"),
        ((0.1, 0.02, 0.88), "warning", "maps_loss drown"),
        ((0.01, 0.0, 0.99), "fault", "maps_loss drown"),
        ((0.6, 0.399, 0.001), "warning", "maps_loss have no effect"),
    ],
)
def test_shares_of_the_gradient(shares, severity, words):
    names = ("class_loss", "boxes_loss", "maps_loss")
    (found,) = _judged(dict(zip(names, shares, strict=True)), list(names[1:]))
    assert (found.severity, words in found.text) == (severity, True)


def test_balanced_terms_get_no_alarm_and_nothing_changes(case, pair, ask):
    examined = case({"pyramid": keras_hkd.losses.FeatureImitation()}, "balanced")
    before = [model.get_weights() for model in pair]
    (found,) = ask("terms", examined)
    assert found.severity == "ok"
    assert found.figures["shares"] == {"pyramid": 0.5}
    values = found.figures["pyramid_loss"]["values"]
    assert len(values) == 1
    assert values[0] > 0
    after = [model.get_weights() for model in pair]
    assert not examined.distiller.balance.is_measured
    assert int(examined.distiller.steps_taken) == 0
    for old, new in zip(before, after, strict=True):
        assert all((a == b).all() for a, b in zip(old, new, strict=True))


class Turned:
    """A detector whose maps are changed."""

    def __init__(self, detector, change):
        self.levels, self.detector, self.change = detector.levels, detector, change

    def __call__(self, images, training=False):
        pyramid = self.detector(images, training=training)["pyramid"]
        return {"pyramid": {level: self.change(value) for level, value in pyramid.items()}}


@pytest.mark.parametrize(
    ("role", "change"),
    [
        ("teacher", lambda value: ops.transpose(value, (0, 2, 1, 3))),
        ("student", lambda value: ops.flip(value, axis=2)),
        ("teacher", lambda value: ops.flip(value, axis=1)),
        ("student", lambda value: value[:, ::2, ::2]),
        ("teacher", lambda value: ops.roll(value, value.shape[1] // 2, axis=1)),
    ],
    ids=["transposed", "mirrored", "upside down", "coarser", "shifted"],
)
def test_maps_that_do_not_line_up(role, change, case, pair, ask):
    model = pair[role == "student"]
    (found,) = ask("maps", case(**{role: Turned(model, change)}))
    assert found.severity == "fault"


def test_maps_that_line_up(case, ask):
    (found,) = ask("maps", case())
    assert found.severity == "ok"
    assert set(found.figures["change_within_patch_over_outside"]) == {"teacher", "student"}


def test_labels_get_anchors(case, ask):
    (found,) = ask("anchors", case(how={"augment": False}))
    assert found.severity == "ok"
    assert found.figures["share_without_anchor"] < 0.15
    by_level = found.figures["anchors_with_label_by_level"]
    assert list(by_level) == ["P3", "P4", "P5"]


def test_labels_that_get_no_anchor(people, case_of, ask):
    from keras_hkd.detectors import build

    student = build("retinanet_micro", image_size=SIZE)
    tiny = people(8, height=(3, 6))
    (found,) = ask("anchors", case_of(tiny, student=student, how={"augment": False}))
    assert found.is_alarm
    assert found.figures["share_without_anchor"] > 0.25


class ManyClasses:
    """Knows three classes, of which `scores` are given wherever a person is."""

    kind, levels, class_names, head_names = "detector", ("P3",), ("person",), ("class_logits",)

    def __init__(self, people, chosen, scores):
        self.model = types.SimpleNamespace(num_classes=3)
        self.people, self.class_indices, self.scores = people, (chosen,), scores

    def rescaled(self, images):
        return images

    def network(self, images):
        logits = np.log(np.array(self.scores) / (1 - np.array(self.scores)))
        return {"class_logits": np.broadcast_to(logits, (len(images), len(self.people), 3))}

    def joined(self, heads):
        return {**heads, "box_outputs": None}

    def decode_boxes(self, box_outputs, size):
        return np.broadcast_to(self.people, (4, *np.shape(self.people)))


@pytest.mark.parametrize(("chosen", "severity"), [(0, "ok"), (1, "fault"), (2, "fault")])
def test_the_number_of_the_class(chosen, severity, people, case_of, ask):
    dataset = people(8)
    boxes = np.concatenate([one.boxes for one in dataset])
    teacher = ManyClasses(boxes, chosen, (0.9, 0.05, 0.2))
    (found,) = ask("class_numbers", case_of(dataset, teacher=teacher, how={"augment": False}))
    assert found.severity == severity
    if severity == "fault":
        assert "--person-class 0" in found.advice
        assert found.figures["score_of_highest"] == pytest.approx(0.9)


def test_time_of_a_step_and_of_the_whole_run(case, ask, monkeypatch):
    asked = case({"pyramid": keras_hkd.losses.FeatureImitation()}, how={"epochs": 5})

    class Times:
        def median_ms(self, name):
            return {"step": 400.0, "teacher": 100.0}[name]

    def measured(calls, **options):
        for call in calls.values():
            call()
        return Times()

    monkeypatch.setattr(cost.latency, "measure_latencies", measured)
    (found,) = ask("time_per_step", asked)
    assert found.severity == "note"
    # 8 images in batches of 4 are 2 steps, times 5 epochs.
    assert (found.figures["num_steps"], found.figures["share_of_teacher"]) == (10, 0.25)
    assert found.figures["hours"] == pytest.approx(10 * 0.4 / 3600)
    assert found.figures["hours_with_cache"] == pytest.approx(10 * 0.3 / 3600)
    assert "keras-hkd cache" in found.advice


def test_a_stored_teacher(case, pair, people, ask, tmp_path):
    teacher, student = pair
    case = case(how={"augment": False})
    cache = keras_hkd.TeacherCache.build(
        teacher, case.dataset, tmp_path, outputs=("class_logits",), progress=False
    )
    case.teacher_cache = cache
    assert [one.severity for one in ask("teacher_cache", case)] == ["ok"]
    case.teacher = student
    (found,) = ask("teacher_cache", case)
    assert (found.severity, "another teacher" in found.text) == ("fault", True)
    case.teacher, case.dataset = teacher, people(8, seed=1)
    (found,) = ask("teacher_cache", case)
    assert (found.severity, str(tmp_path) in found.text) == ("fault", True)


def test_terms_of_a_distiller_that_reads_a_cache(case, pair, ask, tmp_path):
    """The batches carry what the teacher said, and every term says something."""
    teacher, student = pair
    case = case(how={"augment": False})
    cache = keras_hkd.TeacherCache.build(
        teacher, case.dataset, tmp_path, outputs=("class_logits",), progress=False
    )
    for asked in (teacher, None):
        case.teacher, case.teacher_cache = asked, cache
        term = keras_hkd.hierarchies.ClassLogits(keras_hkd.losses.AdaptiveDistillation())
        case.given_distiller = keras_hkd.Distiller(cache, student, [term], [1.0])
        case.__dict__.pop("batches", None)
        case.__dict__.pop("distiller", None)
        (found,) = ask("terms", case)
        assert found.severity == "ok", found.text
        assert "class_logits_loss" in found.figures


def test_the_teacher_is_asked_at_the_size_at_which_it_is_shown_the_images(case, pair, monkeypatch):
    teacher, student = pair
    case = case()
    sizes = {}
    monkeypatch.setattr(
        case,
        "found_by",
        lambda model, images=None, image_size=None: sizes.update({model: image_size}) or [],
    )
    pyramid = keras_hkd.hierarchies.Pyramid(keras_hkd.losses.FeatureImitation())
    case.given_distiller = keras_hkd.Distiller(
        teacher, student, [pyramid], [1.0], teacher_image_size=(128, 96)
    )
    assert case.teacher_found == [] and case.student_found == []
    assert sizes == {teacher: (128, 96), student: None}


@pytest.mark.long
def test_a_healthy_pair_of_trained_networks_gets_no_alarm(tmp_path):
    teacher, student = (keras_hkd.from_preset(f"person_{size}") for size in ("nano", "atto"))
    images = keras_hkd.data.synthetic_dataset(40, (256, 256), seed=0)
    test = keras_hkd.data.synthetic_dataset(10, (256, 256), seed=1)
    losses = [
        keras_hkd.hierarchies.Boxes(keras_hkd.losses.GIoU()),
        keras_hkd.hierarchies.Pyramid(keras_hkd.losses.PearsonCorrelation()),
    ]
    diagnosis = keras_hkd.doctor(
        teacher,
        student,
        images,
        test=test,
        distiller=keras_hkd.Distiller(teacher, student, losses, "balanced"),
        settings=TrainingSettings(epochs=10, batch_size=8, image_size=(256, 256)),
        num_images=32,
        out=tmp_path,
    )
    assert not diagnosis.alarms, str(diagnosis)
    assert diagnosis.not_applied == ("teacher_cache", "class_numbers")
    assert (tmp_path / "labels_and_teacher.png").exists()
