import dataclasses
import json

import pytest

from keras_hkd.training import TrainingSettings


def test_survives_json():
    settings = TrainingSettings(epochs=3, image_size=(64, 96), ema_momentum=None, augment=False)
    assert TrainingSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


def test_to_dict_names_every_setting():
    names = {field.name for field in dataclasses.fields(TrainingSettings)}
    assert set(TrainingSettings(epochs=1).to_dict()) == names


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("epochs", True),
        ("batch_size", 0),
        ("seed", -1),
        ("learning_rate", 0.0),
        ("weight_decay", -1.0),
        ("warmup_epochs", -1),
        ("final_learning_rate_fraction", 1.5),
        ("global_clip_norm", 0.0),
        ("ema_momentum", 1.0),
        ("image_size", (256,)),
        ("image_size", (16, 256)),
        ("strategy", "tpu"),
        ("validate_every", -1),
        ("shares_every", -1),
        ("rebalance_after", (0,)),
        ("rebalance_after", (1,)),  # as many as there are epochs
    ],
)
def test_refuses_what_cannot_be_trained_with(name, value):
    with pytest.raises(ValueError, match=f"{name}.*Received"):
        TrainingSettings(**{"epochs": 1, name: value})


def test_an_unknown_name_shows_the_nearest():
    with pytest.raises(ValueError, match="'learning_rate'.*Received: 'learning_rat'"):
        TrainingSettings.from_dict({"epochs": 1, "learning_rat": 0.1})


def test_what_changes_no_weight_may_differ_in_a_resumed_run():
    settings = TrainingSettings(epochs=2, validate_every=1, cache=False)
    assert settings.must_match() == TrainingSettings(epochs=2).must_match()
    assert settings.must_match() != TrainingSettings(epochs=3).must_match()


def test_runs_from_before_there_was_mixing_can_be_resumed():
    known = set(TrainingSettings(epochs=2).must_match())
    later = {"mosaic", "mixup", "copy_paste", "sizes", "mosaic_off_epochs", "rebalance_after"}
    assert not known & later
    mixed = TrainingSettings(epochs=2, mosaic=0.5, sizes=[64, (96, 128)]).must_match()
    assert set(mixed) - known == {"mosaic", "sizes"}
    assert mixed["sizes"] == [[64, 64], [96, 128]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mosaic": 1.1}, "`mosaic` must be"),
        ({"sizes": []}, "`sizes` must name at least one"),
        ({"sizes": [16]}, "`sizes` must be .* at least 32"),
        ({"mixup": 0.2, "augment": False}, "augment=False, {'mixup': 0.2}"),
        ({"sizes": [64], "cache": "disk"}, "take cache='auto'.* Received: cache='disk', {'sizes'"),
    ],
)
def test_impossible_mixing_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        TrainingSettings(epochs=2, **values)
