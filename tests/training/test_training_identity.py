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


def test_a_class_that_moved_to_another_module_is_the_same_class():
    saved = {"module": "keras_hkd.hierarchies.rotations", "registered_name": "keras_hkd>Branches"}
    moved = {**saved, "module": "keras_hkd.methods.hsakd.rotated_logits"}
    require_same({"terms": [saved]}, {"terms": [moved]}, where="runs/x")
    with pytest.raises(DifferentRunError, match="registered_name was .*Branches.*Logits"):
        require_same(saved, {**moved, "registered_name": "keras_hkd>Logits"}, where="runs/x")
    library = {"module": "keras.losses", "registered_name": None}
    with pytest.raises(DifferentRunError, match="module was 'keras.losses'"):
        require_same(library, {**library, "module": "mine"}, where="runs/x")


class Distiller(types.SimpleNamespace):
    """What the identity reads of a Distiller."""

    teacher_hash = "ab"

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        losses = [serialize(loss) for loss in self.distillation_losses]
        return {**vars(self), "distillation_losses": losses}


def distiller(number, gamma=1.0, **options):
    return Distiller(
        name=f"distiller_{number}",
        teacher={"number": number},  # known by its hash
        distillation_losses=[
            keras.losses.BinaryFocalCrossentropy(gamma=gamma, name=f"focal_{number}")
        ],
        **{"student_loss_weight": 1.0, "image_size": (64, 96), "layer": "block_6", **options},
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
    for other in (
        distiller(1, gamma=2.0),
        distiller(1, student_loss_weight=0.5),
        distiller(1, momentum=0.99),
        distiller(1, image_size=(96, 96)),
        distiller(1, layer="block_7"),
    ):
        with pytest.raises(DifferentRunError, match="distillation"):
            require_same(identity, run_identity(other, DATASET, SETTINGS), "here")
    message = r"distillation.distillation_losses\[0\].config.gamma was 1.0 and is now 2.0\."
    with pytest.raises(DifferentRunError, match=message):
        require_same(identity, run_identity(distiller(1, gamma=2.0), DATASET, SETTINGS), "here")


def test_a_long_table_counts_and_is_not_written():
    table = [[float(number), 0.5] for number in range(1000)]
    identity, other = (
        run_identity(distiller(1, table=values), DATASET, SETTINGS) for values in (table, table[1:])
    )
    assert len(json.dumps(identity)) < 3000
    with pytest.raises(DifferentRunError, match="table was 'sha256:.* is now 'sha256:") as error:
        require_same(identity, other, "here")
    assert len(str(error.value)) < 500
