"""Several teachers: one forward pass of each, weighted terms, and terms of one teacher."""

import keras
import numpy as np
import pytest

import keras_hkd
from keras_hkd import hierarchies, losses
from keras_hkd.distillation import weights_hash

SIZE = (64, 64)


@pytest.fixture(scope="module")
def trio(pair_of):
    return pair_of("yolo_v8")[0], pair_of("retinanet")[0], pair_of("yolo_v8")[1]


def pyramid(**options):
    return hierarchies.Pyramid(losses.PearsonCorrelation(), levels=("P3", "P4"), **options)


def term_values(distiller, batch):
    images, labels = batch
    values = distiller.compute_terms(images, labels, distiller(images))
    return {name: float(value) for name, value in values.items()}


def test_a_term_of_all_teachers_is_the_weighted_sum_of_theirs(trio, batch):
    first, second, student = trio
    both = [first, second]
    distiller = keras_hkd.Distiller(
        both,
        student,
        [pyramid(), pyramid(teacher=0, name="a"), pyramid(teacher=1, name="b")],
        teacher_weights=(0.25, 0.75),
    )
    calls = []
    for number, teacher in enumerate(both):
        layer = teacher.network
        original = layer.call
        layer.call = lambda *a, _call=original, _n=number, **k: calls.append(_n) or _call(*a, **k)
    try:
        # Projections are random: all terms take those of the first.
        every = distiller.distillation_losses[0]
        for number, one in enumerate(distiller.distillation_losses[1:]):
            for key, layer in one.projections.items():
                layer.set_weights(every.of_teacher[number].projections[key].get_weights())
        values = term_values(distiller, batch)
    finally:
        for teacher in both:
            del teacher.network.call
    assert sorted(calls) == [0, 1]
    wanted = 0.25 * values["a_loss"] + 0.75 * values["b_loss"]
    assert values["pyramid_loss"] == pytest.approx(wanted, rel=1e-5)
    assert distiller.teachers == (first, second) and distiller.teacher is first


def test_losses_that_need_labels_are_served_by_all_teachers(trio, batch):
    first, second, student = trio
    terms = [
        hierarchies.Pyramid(losses.FocalGlobal(relation_weight=0.0), name="focal"),
        hierarchies.Boxes(losses.TeacherBoundedRegression(), decoded=True, name="bounded"),
    ]
    distiller = keras_hkd.Distiller([first, second], student, terms)
    values = term_values(distiller, batch)
    assert values["focal_loss"] > 0 and np.isfinite(values["bounded_loss"])


def test_a_hierarchy_serves_one_distiller(trio):
    first, _, student = trio
    term = pyramid()
    keras_hkd.Distiller(first, student, term)
    with pytest.raises(ValueError, match="This Pyramid belongs to another Distiller"):
        keras_hkd.Distiller(first, student, term)


def test_both_hashes_and_no_teacher_in_the_weights(trio, tmp_path):
    first, second, student = trio
    distiller = keras_hkd.Distiller([first, second], student, [pyramid()])
    assert distiller.teacher_hash == [weights_hash(first), weights_hash(second)]
    assert not any(teacher.trainable for teacher in distiller.teachers)
    from keras_hkd.training.checkpoint import checkpoint_variables

    held = {id(variable) for variable in checkpoint_variables(distiller)}
    assert not held & {id(v) for teacher in distiller.teachers for v in teacher.variables}
    assert {id(v) for v in distiller.distillation_losses[0].trainable_variables} <= held
    path = tmp_path / "weights.weights.h5"
    distiller.save_weights(path)
    import h5py

    with h5py.File(path) as file:
        assert "teacher" not in file and "more_teachers" not in file and "teachers" not in file


def test_config_round_trip(trio, batch):
    first, second, student = trio
    distiller = keras_hkd.Distiller(
        [first, second],
        student,
        [pyramid(teacher=1), pyramid()],
        teacher_image_size=[None, (96, 96)],
    )
    config = distiller.get_config()
    again = keras_hkd.Distiller.from_config(config)
    assert len(again.teachers) == 2
    assert [type(one).__name__ for one in again.distillation_losses] == ["Pyramid", "EveryTeacher"]
    assert again.distillation_losses[0].teacher == 1
    assert again.get_config()["teacher_image_size"] == [None, (96, 96)]


def test_one_teacher_in_a_list_is_one_teacher(trio):
    first, _, student = trio
    distiller = keras_hkd.Distiller([first], student, [pyramid()])
    assert type(distiller.distillation_losses[0]) is hierarchies.Pyramid
    assert distiller.teacher_hash == weights_hash(first)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"teacher_weights": (1.0,)}, "`teacher_weights` must be 2 numbers"),
        ({"teacher_weights": (1.0, -1.0)}, "at least 0"),
        ({"teacher_weights": 0.5}, "must be 2 numbers"),
        ({"teacher_image_size": 128}, "Received: teacher_image_size=128"),
        ({"teacher_image_size": [(64, 64)]}, "one for each of the 2 teachers"),
    ],
)
def test_options_that_do_not_fit_the_teachers(trio, options, said):
    with pytest.raises(ValueError, match=said):
        keras_hkd.Distiller(list(trio[:2]), trio[2], [pyramid()], **options)


def test_options_that_change_nothing_or_cannot_be(trio):
    first, _, student = trio
    with pytest.raises(ValueError, match="weighs several teachers"):
        keras_hkd.Distiller(first, student, [pyramid()], teacher_weights=(0.1,))
    with pytest.raises(ValueError, match=r"multiples of 32.*\(100, 100\)"):
        keras_hkd.Distiller(first, student, [pyramid()], teacher_image_size=(100, 100))
    with pytest.raises(ValueError, match="multiples of 32"):
        hierarchies.possible(first, student, teacher_image_size=(100, 100))


def test_a_loss_of_ones_own_is_read_from_all_teachers(trio, batch):
    def gap(teacher, student, mask=None):
        return keras.ops.mean(keras.ops.abs(teacher - student))

    first, second, student = trio
    term = hierarchies.Pyramid(gap, levels=("P3",))
    distiller = keras_hkd.Distiller([first, second], student, [term])
    assert [one.loss for one in distiller.distillation_losses[0].of_teacher] == [gap, gap]
    assert term_values(distiller, batch)["pyramid_loss"] > 0
    assert hierarchies.EveryTeacher(hierarchies.Pyramid(gap)).name == "pyramid"


def test_a_teacher_that_is_not_there_or_that_a_term_cannot_read(trio):
    first, second, student = trio
    with pytest.raises(ValueError, match="the number of one of the 2 teachers.*Received: .*2"):
        keras_hkd.Distiller([first, second], student, [pyramid(teacher=2)])
    with pytest.raises(ValueError, match="Teacher 1: CrossHead(.|\n)*teacher=NUMBER"):
        keras_hkd.Distiller([first, second], student, [hierarchies.CrossHead(teacher=1)])
    with pytest.raises(ValueError, match="share .* variables"):
        keras_hkd.Distiller([first, student], student, [pyramid()])


def test_a_step_trains_under_two_teachers(trio, batch):
    first, second, student = trio
    student.trainable = True
    distiller = keras_hkd.Distiller(
        [first, second], student, [hierarchies.ClassLogits(losses.AdaptiveDistillation())]
    )
    distiller.compile(keras.optimizers.SGD(1e-3), run_eagerly=True)
    before, hashes = student.get_weights(), distiller.teacher_hash
    logs = distiller.train_on_batch(*batch, return_dict=True)
    assert np.isfinite(list(logs.values())).all()
    assert any((a != b).any() for a, b in zip(before, student.get_weights(), strict=True))
    assert [weights_hash(teacher) for teacher in distiller.teachers] == hashes
