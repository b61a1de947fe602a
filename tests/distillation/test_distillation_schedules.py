"""Weight schedules: values, nesting, round trips, graph mode."""

import keras
import numpy as np
import pytest

from keras_hkd.distillation import schedules
from keras_hkd.distillation.schedules import Constant, CosineDecay, LinearWarmUp

SCHEDULES = {
    "constant": Constant(2.0),
    "warm_up": LinearWarmUp(30.0, steps=10, start=5.0),
    "decay": CosineDecay(30.0, steps=10, end=1.0),
    "nested": LinearWarmUp(CosineDecay(30.0, steps=10, end=1.0), steps=4),
}
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES.keys())


def values(schedule, steps):
    return [float(schedule(step)) for step in steps]


def test_constant():
    assert values(Constant(2.5), (0, 1, 10**6)) == [2.5] * 3
    assert values(Constant(), [7]) == [1.0]


def test_warm_up_is_linear_then_stays():
    schedule = LinearWarmUp(30.0, steps=10)
    assert values(schedule, (0, 1, 5, 10, 11, 10**6)) == pytest.approx([0, 3, 15, 30, 30, 30])
    assert values(LinearWarmUp(1.0, steps=4, start=3.0), range(5)) == [3.0, 2.5, 2.0, 1.5, 1.0]


def test_cosine_decay_falls_along_half_a_cosine_then_stays():
    expected = [1 + 29 * (1 + np.cos(np.pi * step / 10)) / 2 for step in range(11)]
    assert values(SCHEDULES["decay"], range(11)) == pytest.approx(expected, rel=1e-5)
    assert values(SCHEDULES["decay"], (11, 10**6)) == [1.0, 1.0]


def test_warm_up_then_decay_counts_from_the_end_of_the_warm_up():
    nested, decay = SCHEDULES["nested"], SCHEDULES["decay"]
    assert values(nested, range(4)) == pytest.approx([0, 7.5, 15, 22.5])
    assert values(nested, range(4, 20)) == pytest.approx(values(decay, range(16)))


@each_schedule
def test_negative_steps_count_as_the_first(schedule):
    assert float(schedule(-5)) == float(schedule(0))


@each_schedule
def test_steps_of_any_type_give_a_float32_scalar(schedule):
    for step in (3, 3.0, np.int64(3), keras.ops.convert_to_tensor(3, "int64")):
        weight = schedule(step)
        assert keras.backend.standardize_dtype(weight.dtype) == "float32"
        assert tuple(weight.shape) == ()
        assert float(weight) == float(schedule(3))


@each_schedule
def test_works_in_a_graph_with_a_step_variable(schedule):
    tf = pytest.importorskip("tensorflow")
    step = keras.optimizers.SGD().iterations
    compiled = tf.function(lambda: schedule(step), jit_compile=True)
    for now in (0, 3, 20):
        step.assign(now)
        assert float(compiled()) == pytest.approx(float(schedule(now)), rel=1e-6)


@each_schedule
def test_config_round_trip(schedule):
    config = keras.saving.serialize_keras_object(schedule)
    assert config["registered_name"] == f"keras_hkd>{type(schedule).__name__}"
    again = schedules.get(config)
    assert type(again) is type(schedule)
    assert again.get_config() == schedule.get_config()
    assert repr(again) == repr(schedule)
    assert values(again, range(20)) == values(schedule, range(20))


def test_numbers_become_constants_and_schedules_stay():
    assert float(schedules.get(30)(5)) == 30.0
    assert float(schedules.get(np.float32(0.5))(5)) == 0.5
    assert schedules.get(SCHEDULES["nested"]) is SCHEDULES["nested"]


@pytest.mark.parametrize("weight", ["1.0", None, True, [1.0]])
def test_what_is_no_weight_is_refused(weight):
    with pytest.raises(TypeError, match="must be a number or a keras_hkd schedule"):
        schedules.get(weight)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Constant(-1.0), ValueError, "`value` must be a finite number at least 0"),
        (lambda: Constant(float("inf")), ValueError, "`value`"),
        (
            lambda: LinearWarmUp(1.0, steps=0),
            ValueError,
            "`steps` must be .* at least 1",
        ),
        (lambda: LinearWarmUp(1.0, steps=1.5), TypeError, "`steps` must be a whole number"),
        (lambda: CosineDecay(1.0, steps=True), TypeError, "`steps` must be a whole number"),
        (lambda: CosineDecay("1", steps=5), TypeError, "`start` must be a number"),
        (lambda: LinearWarmUp("1", steps=5), TypeError, "keras_hkd schedule"),
    ],
)
def test_bad_arguments_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()
