import json
import types

import keras
import pytest

from keras_hkd.training import TrainingSettings
from keras_hkd.training.identity import DifferentRunError, require_same, run_identity


def test_equal_runs_pass():
    require_same({"a": {"b": [1, None]}}, {"a": {"b": [1, None]}}, where="here")


def test_names_every_difference_and_the_place():
    saved = {"settings": {"seed": 1, "epochs": 2}, "teacher_hash": "ab", "gone": 1}
    current = {"settings": {"seed": 1, "epochs": 3}, "teacher_hash": None, "new": 1}
    with pytest.raises(DifferentRunError) as error:
        require_same(saved, current, where="runs/x")
    message = str(error.value)
    for part in (
        "runs/x",
        "settings.epochs was 2 and is now 3",
        "teacher_hash was 'ab' and is now None",
        "gone was 1 and is now None",
        "new was None and is now 1",
    ):
        assert part in message
    assert "seed" not in message


def distiller(number, weight=1.0, student_loss_weight=1.0):
    return types.SimpleNamespace(
        teacher_hash="ab",
        distillation_losses=[keras.losses.Huber(delta=weight, name=f"huber_{number}")],
        distillation_loss_weights=[keras.optimizers.schedules.CosineDecay(weight, 10)],
        student_loss_weight=student_loss_weight,
        momentum=0.999,
        ramp=True,
    )


DATASET = types.SimpleNamespace(content_hash="cd")
SETTINGS = TrainingSettings(epochs=2)


def test_a_run_is_its_settings_data_teacher_and_terms():
    identity = run_identity(distiller(1), DATASET, SETTINGS)
    assert identity["settings"]["epochs"] == 2
    assert (identity["data_hash"], identity["teacher_hash"]) == ("cd", "ab")
    assert json.loads(json.dumps(identity)) == identity
    alone = run_identity(types.SimpleNamespace(), DATASET, SETTINGS)
    assert alone["teacher_hash"] is None and alone["distillation"] is None


def test_the_order_of_building_is_no_difference_but_a_weight_is():
    identity = run_identity(distiller(1), DATASET, SETTINGS)
    assert run_identity(distiller(17), DATASET, SETTINGS) == identity
    slower, unramped = distiller(1), distiller(1)
    slower.momentum, unramped.ramp = 0.99, False  # of a MeanTeacher
    for other in (
        distiller(1, weight=2.0),
        distiller(1, student_loss_weight=0.5),
        slower,
        unramped,
    ):
        with pytest.raises(DifferentRunError, match="distillation"):
            require_same(identity, run_identity(other, DATASET, SETTINGS), "here")
