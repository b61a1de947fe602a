"""The region term: its value worked out in NumPy, its levels, and the regions it reads."""

import keras
import numpy as np
import pytest

from keras_hkd.hierarchies import Region
from keras_hkd.hierarchies.roi_align import roi_align
from keras_hkd.losses import FeatureImitation
from keras_hkd.replicas import weighted_mean

SMALL, MIDDLE = (10.0, 8.0, 26.0, 40.0), (4.0, 4.0, 60.0, 60.0)


def region(teacher, student, **options):
    hierarchy = Region(FeatureImitation(), **{"num_detections": 2, **options})
    hierarchy.attach(teacher, student)
    return hierarchy


def test_is_the_mean_squared_difference_over_all_regions(family, step_of):
    teacher, student = family(), family()
    teacher.found = [(30.0, 30.0, 62.0, 60.0)]
    # 32 px reads P4, 16 px P3, 64 px P5: all levels take part in one mean.
    hierarchy = region(teacher, student, canonical_size=32.0)
    step = step_of(teacher, student, [SMALL, MIDDLE])
    errors = []
    for box, level in ((SMALL, "P3"), (MIDDLE, "P4"), (teacher.found[0], "P3")):
        boxes = np.array([[box]] * 2, "float32")
        maps = (
            outputs["pyramid"][level] for outputs in (step.teacher_outputs, step.student_outputs)
        )
        a, b = (np.asarray(roi_align(values, boxes, 2 ** int(level[1]))) for values in maps)
        errors.append(np.square(a - b).mean())
    assert float(hierarchy.compute(step)) == pytest.approx(np.mean(errors), rel=1e-5)


def test_is_zero_for_a_copy_and_where_there_is_no_region(family, step_of):
    teacher, student = family(), family()
    hierarchy = region(teacher, student)
    assert float(hierarchy.compute(step_of(teacher, student, [SMALL], student_seed=0))) == 0.0
    assert float(hierarchy.compute(step_of(teacher, student))) == 0.0
    assert float(region(teacher, student, num_detections=0).compute(step_of(teacher, student))) == 0


def test_reads_features_inside_the_regions_only(family, step_of):
    teacher, student = family(levels=("P3",)), family(levels=("P3",))
    hierarchy = region(teacher, student)
    step = step_of(teacher, student, [(16.0, 16.0, 32.0, 32.0)])
    before = float(hierarchy.compute(step))
    features = step.student_outputs["pyramid"]["P3"]
    kept = features[:, 1:5, 1:5].copy()
    features[:] = 1e3
    features[:, 1:5, 1:5] = kept
    assert float(hierarchy.compute(step)) == before
    features[:, 2, 2] += 1.0
    assert float(hierarchy.compute(step)) != before


def test_the_order_of_regions_does_not_matter(family, step_of):
    teacher, student = family(), family()
    teacher.found = [(30.0, 30.0, 62.0, 60.0), (0.0, 0.0, 20.0, 20.0)]
    hierarchy = region(teacher, student)
    boxes = [SMALL, MIDDLE, (40.0, 2.0, 60.0, 50.0)]
    values = [
        float(hierarchy.compute(step_of(teacher, student, [boxes[i] for i in order])))
        for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0))
    ]
    assert values == pytest.approx([values[0]] * 3, rel=1e-5)
    teacher.found = teacher.found[::-1]
    again = float(hierarchy.compute(step_of(teacher, student, boxes)))
    assert again == pytest.approx(values[0], rel=1e-5)


def test_widths_that_differ_are_projected(family, step_of):
    teacher, student = family(width=6), family(width=4)
    hierarchy = region(teacher, student)
    assert set(hierarchy.projections) == {"P3", "P4", "P5"}
    assert float(hierarchy.compute(step_of(teacher, student, [SMALL]))) > 0
    assert not region(teacher, family(width=6)).projections


def test_families_may_differ(family, other_family, step_of):
    teacher = other_family(width=6, levels=("P3", "P4", "P5", "P6", "P7"))
    student = family()
    hierarchy = region(teacher, student)
    assert hierarchy.attached_levels == ["P3", "P4", "P5"]
    assert np.isfinite(float(hierarchy.compute(step_of(teacher, student, [SMALL]))))


@pytest.mark.parametrize(
    ("side", "level"),
    [(1, 3), (55.9, 3), (56, 3), (111, 3), (112.001, 4), (223, 4), (224.01, 5), (900, 5)],
)
def test_level_of_a_square(family, side, level):
    hierarchy = region(family(), family())
    got = hierarchy.level_of(np.array([[[5.0, 5.0, 5.0 + side, 5.0 + side]]], "float32"))
    assert int(got[0, 0]) == level


def test_level_goes_by_area_and_padding_is_harmless(family):
    hierarchy = region(family(), family())
    boxes = np.array([[[0, 0, 80, 320], [-1, -1, -1, -1], [0, 0, 0, 0]]], "float32")
    assert np.asarray(hierarchy.level_of(boxes)).tolist() == [[4, 3, 3]]
    coarse = region(family(), family(), levels=("P4", "P5"))
    assert np.asarray(coarse.level_of(boxes)).tolist() == [[4, 4, 4]]


def test_regions_of_a_level_that_is_left_out_are_read_from_the_nearest(family, step_of):
    hierarchy = region(family(), family(), levels=("P3", "P5"))
    sides = np.array([50.0, 112.001, 220.0, 300.0, 900.0])
    boxes = np.stack([0 * sides, 0 * sides, sides, sides], axis=-1)[None]
    assert np.asarray(hierarchy.level_of(boxes.astype("float32"))).tolist() == [[3, 3, 3, 5, 5]]
    teacher, student = family(), family()
    of_middle = region(teacher, student, levels=("P3", "P5"), canonical_size=32.0)
    assert float(of_middle.compute(step_of(teacher, student, [MIDDLE]))) > 0


def test_a_loss_of_one_s_own_is_used_though_it_descends_from_another(family, step_of):
    class Absolute(FeatureImitation):
        def compute(self, teacher, student, mask):
            return weighted_mean(keras.ops.abs(student - teacher), mask)

    teacher, student = family(), family()
    values = []
    for loss in (Absolute(), lambda t, s, mask=None: Absolute()(t, s, mask=mask)):
        hierarchy = Region(loss, num_detections=0)
        hierarchy.attach(teacher, student)
        values.append(float(hierarchy.compute(step_of(teacher, student, [SMALL, MIDDLE]))))
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    squares = region(teacher, student, num_detections=0)
    assert values[0] != float(squares.compute(step_of(teacher, student, [SMALL, MIDDLE])))


def test_missing_levels_are_refused(family):
    with pytest.raises(ValueError, match=r"Region cannot read levels \['P7'\].*Pass levels="):
        region(family(), family(), levels=("P3", "P7"))


@pytest.mark.parametrize(
    "options", [{"num_detections": -1}, {"output_size": 0}, {"canonical_size": 0.0}]
)
def test_bad_options_are_refused(options):
    with pytest.raises(ValueError, match="Expected num_detections >= 0"):
        Region(FeatureImitation(), **options)


def test_config_round_trip():
    hierarchy = Region(FeatureImitation(), levels=("P3",), num_detections=3, canonical_size=64)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(hierarchy))
    assert again.get_config() == hierarchy.get_config()
    assert again.levels == ("P3",)


def test_the_cap_keeps_labelled_people_first_and_counts_no_padding(family, step_of):
    teacher, student = family(), family()
    teacher.found = [(30.0, 30.0, 62.0, 60.0)]
    step = step_of(teacher, student, [SMALL, MIDDLE])
    capped = float(region(teacher, student, max_regions=2).compute(step))
    labelled = float(region(teacher, student, num_detections=0).compute(step))
    assert capped == pytest.approx(labelled, rel=1e-6)
    assert capped != float(region(teacher, student, max_regions=3).compute(step))


class TensorByTensor(FeatureImitation):
    """The same loss, which is not known to read the difference alone."""

    of_squares = property()  # `hasattr` says no

    def compute(self, teacher, student, mask):
        return weighted_mean(keras.ops.square(student - teacher), mask)


@pytest.mark.parametrize("widths", [(4, 4), (4, 7)])
def test_one_pass_over_the_difference_is_the_loss_of_both_maps(family, step_of, widths):
    import tensorflow as tf

    teacher, student = family(width=widths[1]), family(width=widths[0])
    teacher.found = [(30.0, 30.0, 62.0, 60.0)]
    results = []
    for loss in (FeatureImitation(), TensorByTensor()):
        hierarchy = Region(loss, num_detections=2, canonical_size=32.0)
        hierarchy.attach(teacher, student)
        for layer in hierarchy.projections.values():
            kernel = np.random.default_rng(0).normal(size=layer.kernel.shape)
            layer.kernel.assign(kernel.astype("float32"))
        step = step_of(teacher, student, [SMALL, MIDDLE])
        assert hierarchy._reads_differences(step) == (type(loss) is FeatureImitation)
        maps = {k: tf.constant(v) for k, v in step.student_outputs["pyramid"].items()}
        step.student_outputs["pyramid"] = maps
        with tf.GradientTape() as tape:
            tape.watch(maps)
            value = hierarchy.compute(step)
        results.append((value, tape.gradient(value, maps)))
    (value, gradients), (wanted, expected) = results
    assert float(wanted) > 0
    np.testing.assert_allclose(value, wanted, rtol=1e-6)
    for level, gradient in expected.items():
        np.testing.assert_allclose(gradients[level], gradient, rtol=1e-4, atol=1e-7)
    assert np.abs(expected["P3"]).max() > 0 and np.abs(expected["P4"]).max() > 0
