import pytest

from keras_hkd.training.identity import DifferentRunError, require_same


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
