import numpy as np
import pytest

from keras_hkd.metrics.ground_truth import as_ground_truth
from keras_hkd.metrics.kaist import is_day


def named(names):
    images = [{"id": i, "im_name": name} for i, name in enumerate(names)]
    return as_ground_truth({"images": images, "annotations": []})


def test_by_name():
    sets = ["set06/V000/I00019", "set08/V001/I00019", "set09/V000/I00019", "set11/V000/I00019"]
    assert is_day(named(sets)).tolist() == [True, True, False, False]
    assert is_day(named([])).tolist() == []


def test_by_order():
    assert np.flatnonzero(~is_day(named([""] * 2252)))[0] == 1455


@pytest.mark.parametrize("names", [["a.jpg"], ["set00/V000/I00019"]])
def test_neither(names):
    with pytest.raises(ValueError, match="tells day from night"):
        is_day(named(names))
