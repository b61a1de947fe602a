"""Curves of detections against numbers worked out by hand, and against pycocotools."""

import dataclasses
import math
import warnings

import numpy as np
import pytest

from keras_hkd import metrics
from keras_hkd.data.annotations import ImageAnnotation
from keras_hkd.data.dataset import Dataset
from keras_hkd.report.detection_curves import People, miss_rate, reliability

EVERYBODY = (0.0, math.inf)


def dataset_of(boxes, ignore=None, visible=None):
    """A dataset with a list of boxes for each image."""
    images = [
        ImageAnnotation(
            "",
            number,
            640,
            480,
            boxes=one,
            classes=[0] * len(one),
            ignore=None if ignore is None else ignore[number],
            visible_boxes=None if visible is None else visible[number],
        )
        for number, one in enumerate(boxes)
    ]
    return Dataset(tuple(images), ("person",), source="by hand", format="none")


def result(image, box, score):
    x1, y1, x2, y2 = box
    one = {"image_id": image, "category_id": 1, "score": score}
    return {**one, "bbox": [x1, y1, x2 - x1, y2 - y1]}


ONE, TWO, NOBODY = [0, 0, 20, 60], [100, 0, 140, 120], [300, 300, 320, 340]


def test_precision_recall_threshold_and_who_is_found():
    people = People.of(
        dataset_of([[ONE, TWO], [ONE]]),
        [
            result(0, ONE, 0.9),
            result(1, NOBODY, 0.8),
            result(1, ONE, 0.7),
            result(0, NOBODY, 0.6),
        ],
    )
    recall, precision = people.precision_recall()
    np.testing.assert_allclose(recall, [1 / 3, 1 / 3, 2 / 3, 2 / 3])
    np.testing.assert_allclose(precision, [1, 1 / 2, 2 / 3, 1 / 2])
    # Two images: one false alarm is half of one per image.
    assert people.threshold_at(0.0) == 0.9
    assert people.threshold_at(0.5) == 0.7
    assert people.threshold_at(1.0) == 0.6
    assert people.found_from(0.8).tolist() == [True, False, False]
    assert people.found_from(0.0).tolist() == [True, False, True]


def test_ignore_regions_are_neither_missed_nor_false():
    people = People.of(
        dataset_of([[ONE, TWO]], ignore=[[False, True]]),
        [result(0, TWO, 0.9), result(0, ONE, 0.8)],
    )
    assert people.num_people == 1
    recall, precision = people.precision_recall()
    assert recall.tolist() == [1.0] and precision.tolist() == [1.0]


def test_a_detector_that_begins_with_false_alarms_has_no_threshold():
    people = People.of(dataset_of([[ONE]]), [result(0, NOBODY, 0.9), result(0, ONE, 0.8)])
    assert people.threshold_at(0.5) == math.inf
    assert not people.found_from(math.inf).any()


def test_ap_over_everybody_is_that_of_pycocotools():
    generator = np.random.default_rng(0)
    boxes, found = [], []
    for image in range(30):
        corner = generator.uniform(0, 300, (4, 2))
        here = np.concatenate([corner, corner + generator.uniform(20, 120, (4, 2))], axis=1)
        boxes.append(here.tolist())
        for box in here:
            shift = generator.normal(0, 8, 4)
            moved = box + shift
            if moved[2] > moved[0] + 2 and moved[3] > moved[1] + 2:
                found.append(result(image, moved.tolist(), float(generator.uniform())))
        found.append(result(image, [400, 100, 440, 200], float(generator.uniform())))
    data = dataset_of(boxes)
    people = People.of(data, found)
    everybody = np.ones(len(people.truth.boxes), bool)
    wanted = metrics.coco_average_precision(data, found)["AP50"]
    assert 0.2 < wanted < 0.9
    assert people.average_precision(everybody, EVERYBODY) == pytest.approx(wanted, abs=1e-6)


def test_ap_by_height_leaves_the_others_aside():
    found = [result(0, TWO, 0.9), result(0, ONE, 0.8), result(0, [200, 0, 210, 20], 0.7)]
    people = People.of(dataset_of([[ONE, TWO]]), found)
    rows = {name: (number, ap) for name, number, ap in people.by_height()}
    assert rows["30 to 80 px"] == (1, pytest.approx(1.0))  # 60 px high
    assert rows["80 to 160 px"] == (1, pytest.approx(1.0))  # 120 px high
    assert rows["under 30 px"][0] == 0 and math.isnan(rows["under 30 px"][1])


def test_ap_by_visible_share():
    half = [0, 0, 20, 30]
    data = dataset_of([[ONE, TWO]], visible=[[half, TWO]])
    people = People.of(data, [result(0, TWO, 0.9)])
    rows = {name: (number, ap) for name, number, ap in people.by_visibility()}
    assert rows["90 to 100 % visible"] == (1, pytest.approx(1.0))
    assert rows["0 to 65 % visible"] == (1, pytest.approx(0.0))
    assert rows["65 to 90 % visible"][0] == 0


def test_reliability_by_hand():
    boxes = [[ONE]] * 10
    found = [result(n, ONE if n < 8 else NOBODY, 0.95) for n in range(10)]
    found += [result(n, [300, 300, 320, 340], 0.15) for n in range(4)]
    one = reliability([People.of(dataset_of(boxes), found)])
    np.testing.assert_allclose(one.scores, [0.15, 0.95])
    np.testing.assert_allclose(one.precisions, [0.0, 0.8])
    assert one.numbers.tolist() == [4, 10]
    assert one.error == pytest.approx((4 * 0.15 + 10 * 0.15) / 14)
    assert math.isnan(reliability([People.of(dataset_of(boxes), [])]).error)


def test_the_miss_rate_curve_is_the_one_of_mr2():
    boxes = [[ONE]] * 120
    found = [result(n, ONE, 0.9) for n in range(60)]
    curve = miss_rate(dataset_of(boxes), found)
    assert curve.miss_rates[-1] == pytest.approx(0.5)
    assert curve.log_average == pytest.approx(0.5)


def test_classes_without_people_have_curves_of_nobody():
    data = dataclasses.replace(
        dataset_of([[ONE]] * 120), class_names=("dog", "car"), category_ids=((1,), (2,))
    )
    found = [result(n, ONE, 0.9) for n in range(60)]
    assert People.of(data, found).num_people == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(miss_rate(data, found).log_average)
