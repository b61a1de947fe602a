"""Day and night images of the KAIST benchmark."""

from __future__ import annotations

import re

import numpy as np

from keras_hkd.errors import InvalidValueError
from keras_hkd.metrics.ground_truth import GroundTruth

_NUM_DAY_IMAGES, NUM_TEST_IMAGES = 1455, 2252
_DAY_SETS = range(6, 9)
_NIGHT_SETS = range(9, 12)


def is_day(ground_truth: GroundTruth) -> np.ndarray:
    """Find the images that were taken by day.

    Sets 06 to 08 of the test part are day and 09 to 11 night. If the names do not contain the set,
    the first 1455 of the 2252 test images are day.

    Args:
        ground_truth: KAIST's test part or images of it.

    Returns:
        `(num_images,)` bool.

    Raises:
        ValueError: if neither the names nor the number of the images tell.
    """
    found = [re.search(r"set(\d\d)", name) for name in ground_truth.image_names]
    sets = [int(match.group(1)) if match else -1 for match in found]
    if all(number in _DAY_SETS or number in _NIGHT_SETS for number in sets):
        return np.isin(sets, _DAY_SETS)
    if ground_truth.num_images == NUM_TEST_IMAGES:
        return np.arange(NUM_TEST_IMAGES) < _NUM_DAY_IMAGES
    raise InvalidValueError(
        "KAIST tells day from night by image names such as 'set06/V000/I00019' (sets 06 to 08 day, "
        f"09 to 11 night) or by the order of the {NUM_TEST_IMAGES} test images. Received: "
        f"{ground_truth.num_images} images, the first named {ground_truth.image_names[:1]}"
    )
