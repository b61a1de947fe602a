import numpy as np
import pytest

from keras_hkd.export.verification import ExportError, check_heads, head_errors

HEADS = {
    "class_logits": np.array([[-3.0, -1.0]]),  # standard deviation 1
    "box_outputs": np.array([[0.0, 8.0]]),  # standard deviation 4
}


def shifted(name, by):
    return {**HEADS, name: HEADS[name] + by}


def test_errors_are_shares_of_the_spread():
    assert head_errors(HEADS, HEADS) == {"class_logits": 0.0, "box_outputs": 0.0}
    assert head_errors(HEADS, shifted("class_logits", 0.5))["class_logits"] == 0.5
    assert head_errors(HEADS, shifted("box_outputs", 0.5))["box_outputs"] == 0.125


def test_heads_that_hardly_vary_are_compared_on_a_scale_of_a_quarter():
    flat = {name: np.zeros((1, 4)) for name in HEADS}
    assert head_errors(flat, {**flat, "class_logits": np.full((1, 4), 0.1)})["class_logits"] == 0.4


def test_the_worst_head_is_named():
    assert check_heads(HEADS, shifted("box_outputs", 0.1), 0.05, "file")["box_outputs"] == 0.025
    with pytest.raises(ExportError, match=r"int8 TFLite file.*error of box_outputs is 0\.5"):
        check_heads(HEADS, shifted("box_outputs", 2.0), 0.3, "int8 TFLite file")


def test_what_is_not_finite_never_agrees():
    with pytest.raises(ExportError, match="class_logits is nan"):
        check_heads(HEADS, shifted("class_logits", np.nan), 0.5, "file")
