import numpy as np
import pytest

from keras_hkd.metrics.ground_truth import as_ground_truth
from keras_hkd.metrics.subsets import Subset


def truth(height=100.0, visible=1.0, left=100.0, **fields):
    box = [left, 100.0, 40.0, height]
    content = {"id": 1, "image_id": 1, "bbox": box, "vis_ratio": visible, **fields}
    return as_ground_truth({"images": [{"id": 1}], "annotations": [content]})


@pytest.mark.parametrize(
    ("person", "ignored"),
    [
        (truth(), False),
        (truth(height=49.9), True),
        (truth(height=50), False),
        (truth(height=75), False),
        (truth(height=75.1), False),
        (truth(visible=0.65), False),
        (truth(visible=0.64), True),
        (truth(ignore=1), True),
        (truth(iscrowd=1), True),
    ],
)
def test_reasonable(person, ignored):
    subset = Subset("reasonable", min_height_px=50, min_visibility=0.65)
    assert subset.ignored(person).tolist() == [ignored]


@pytest.mark.parametrize(
    ("height", "include_max", "ignored"), [(75, True, False), (75, False, True), (76, True, True)]
)
def test_upper_height_limit(height, include_max, ignored):
    subset = Subset("small", 50, 75)
    assert subset.ignored(truth(height), include_max=include_max).tolist() == [ignored]


@pytest.mark.parametrize(("visible", "ignored"), [(0.65, False), (0.66, True), (0.19, True)])
def test_both_visibility_limits_count(visible, ignored):
    subset = Subset("heavy", min_visibility=0.2, max_visibility=0.65)
    assert subset.ignored(truth(visible=visible)).tolist() == [ignored]


@pytest.mark.parametrize(("level", "ignored"), [(0, False), (1, False), (2, True)])
def test_occlusion_levels(level, ignored):
    assert Subset("kaist", occlusion_levels=(0, 1)).ignored(truth(occlusion=level))[0] == ignored


@pytest.mark.parametrize(("left", "ignored"), [(4.9, True), (5, False), (595, False), (596, True)])
def test_bounds(left, ignored):
    bounds = (5, 5, 635, 475)
    assert Subset("all").ignored(truth(left=left), bounds).tolist() == [ignored]


def test_heights_of_detections():
    heights = np.array([39.9, 40.0, 93.7, 93.75])
    assert Subset("small", 50, 75).keeps_height(heights, 1.25).tolist() == [
        False,
        True,
        True,
        False,
    ]
    assert Subset("any").keeps_height(heights, 1.25).all()
