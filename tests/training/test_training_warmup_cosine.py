import math

import keras
import numpy as np
import pytest

from keras_hkd.training import TrainingSettings, WarmupCosine
from keras_hkd.training.optimizer import learning_rate_schedule


def rates(schedule, steps):
    return np.array([float(schedule(step)) for step in steps])


def test_values_worked_out_by_hand():
    schedule = WarmupCosine(peak=0.8, total_steps=10, warmup_steps=3, final_fraction=0.5)
    np.testing.assert_allclose(rates(schedule, range(4)), [0.2, 0.4, 0.6, 0.8], rtol=1e-6)
    third = 0.4 + 0.4 * (1 + math.cos(math.pi * 3 / 7)) / 2
    np.testing.assert_allclose(rates(schedule, [6, 10, 99]), [third, 0.4, 0.4], rtol=1e-6)


def test_agrees_with_keras_after_the_warm_up():
    ours = WarmupCosine(peak=1e-3, total_steps=40, warmup_steps=8, final_fraction=0.1)
    theirs = keras.optimizers.schedules.CosineDecay(
        1e-3 / 9, 32, alpha=0.1, warmup_target=1e-3, warmup_steps=8
    )
    steps = range(45)
    np.testing.assert_allclose(rates(ours, steps), rates(theirs, steps), rtol=1e-5)


def test_round_trip():
    schedule = WarmupCosine(peak=0.1, total_steps=9, warmup_steps=2, final_fraction=0.1)
    copy = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    assert type(copy) is WarmupCosine
    assert copy.get_config() == schedule.get_config()


@pytest.mark.parametrize("warmup_steps", [-1, 5, 6])
def test_refuses_a_warm_up_that_never_ends(warmup_steps):
    with pytest.raises(ValueError, match="warmup_steps < total_steps"):
        WarmupCosine(peak=1.0, total_steps=5, warmup_steps=warmup_steps)


def test_settings_give_epochs_in_steps():
    schedule = learning_rate_schedule(TrainingSettings(epochs=10, warmup_epochs=0.5), 20)
    assert (schedule.total_steps, schedule.warmup_steps) == (200, 10)
    assert schedule.final_fraction == 0.01


def test_a_run_shorter_than_its_warm_up_still_reaches_the_peak():
    schedule = learning_rate_schedule(TrainingSettings(epochs=1, warmup_epochs=5), 10)
    assert (schedule.total_steps, schedule.warmup_steps) == (10, 5)
    schedule = learning_rate_schedule(TrainingSettings(epochs=1, warmup_epochs=5), 1)
    assert (schedule.total_steps, schedule.warmup_steps) == (1, 0)
