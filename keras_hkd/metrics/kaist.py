"""The KAIST protocol, "reasonable": all, day and night images.

S. Hwang et al., Multispectral Pedestrian Detection: Benchmark Dataset and Baseline, CVPR 2015.
Checked against the evaluation code of its authors' laboratory.
"""

from __future__ import annotations

import re

import numpy as np

from keras_hkd.errors import InvalidValueError
from keras_hkd.metrics.ground_truth import GroundTruth
from keras_hkd.metrics.protocols import Protocol
from keras_hkd.metrics.subsets import Subset

_NUM_DAY_IMAGES, _NUM_TEST_IMAGES = 1455, 2252
_DAY_SETS = range(6, 9)
_NIGHT_SETS = range(9, 12)

KAIST = Protocol(
    name="kaist",
    subsets=tuple(
        Subset(images, min_height_px=55, occlusion_levels=(0, 1), images=images)
        for images in ("all", "day", "night")
    ),
    height_tolerance=None,
    image_bounds=(5, 5, 635, 507),
    skips_images_without_detections=True,
    zero_id_is_no_match=True,
    num_test_images=_NUM_TEST_IMAGES,
)


def is_day(ground_truth: GroundTruth) -> np.ndarray:
    """`(num_images,)` bool: images taken by day.

    Sets 06 to 08 of the test part are day and 09 to 11 night; where the names do not tell, the
    first 1455 of the 2252 test images are day.

    Args:
        ground_truth: KAIST's test part or images of it.

    Raises:
        ValueError: neither names nor number of the images tell.
    """
    found = [re.search(r"set(\d\d)", name) for name in ground_truth.image_names]
    sets = [int(match.group(1)) if match else -1 for match in found]
    if all(number in _DAY_SETS or number in _NIGHT_SETS for number in sets):
        return np.isin(sets, _DAY_SETS)
    if ground_truth.num_images == _NUM_TEST_IMAGES:
        return np.arange(_NUM_TEST_IMAGES) < _NUM_DAY_IMAGES
    raise InvalidValueError(
        "KAIST tells day from night by image names such as 'set06/V000/I00019' (sets 06 to 08 day, "
        f"09 to 11 night) or by the order of the {_NUM_TEST_IMAGES} test images. Received: "
        f"{ground_truth.num_images} images, the first named {ground_truth.image_names[:1]}"
    )
