import dataclasses
import math
import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from keras_hkd.metrics.miss_rate import (
    FewImagesWarning,
    log_average_miss_rate,
    miss_rate_curve,
    miss_rates,
)
from keras_hkd.metrics.protocols import CITY_PERSONS
from keras_hkd.metrics.subsets import Subset

PERSON = [100.0, 100.0, 140.0, 200.0]
ELSEWHERE = [900.0, 100.0, 940.0, 200.0]


def people(num_images, boxes=(PERSON,), **fields):
    return [{"image_id": i, "boxes": list(boxes), **fields} for i in range(num_images)]


def hit(image_id, score, box=PERSON):
    x, y, right, bottom = box
    return {"image_id": image_id, "bbox": [x, y, right - x, bottom - y], "score": score}


def miss(image_id, score):
    return hit(image_id, score, ELSEWHERE)


def geometric_mean(values):
    return math.prod(values) ** (1 / len(values))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param([], 1.0, id="nothing found"),
        pytest.param([miss(0, 0.5)], 1.0, id="only a false positive"),
        pytest.param([hit(i, 0.5) for i in range(60)], 0.4, id="60 of 100, no false positive"),
        pytest.param([hit(i, 0.5) for i in range(100)], 0.0, id="everybody found"),
        # One false positive in 100 images is 0.01 per image: the first reference still reaches
        # beyond it.
        pytest.param(
            [hit(0, 0.9), miss(0, 0.8), *(hit(i, 0.7) for i in range(1, 50))],
            0.5,
            id="a false positive at the first reference",
        ),
        # Two make 0.02, above the first two references (0.01, 0.0178), below the other seven.
        pytest.param(
            [hit(0, 0.9), miss(0, 0.8), miss(1, 0.8), *(hit(i, 0.7) for i in range(1, 50))],
            geometric_mean([0.99] * 2 + [0.5] * 7),
            id="two false positives",
        ),
        # 100 of them make 1.0 per image, below no reference but the last.
        pytest.param(
            [*(miss(i, 0.9) for i in range(100)), hit(0, 0.5)],
            geometric_mean([1.0] * 8 + [0.99]),
            id="a hundred false positives first",
        ),
        pytest.param([hit(0, 0.9), hit(0, 0.8)], 0.99, id="found twice: one false positive"),
    ],
)
def test_hand_worked_with_100_images(found, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert log_average_miss_rate(people(100), found) == pytest.approx(expected, abs=1e-12)


def test_few_images_read_the_end_of_the_curve():
    """Best detection a false positive, 50 images: 0.02 per image at once, two references below."""
    found = [miss(0, 0.9), *(hit(i, 0.8) for i in range(25))]
    with pytest.warns(FewImagesWarning, match="lowest miss rate of all"):
        curve = miss_rate_curve(people(50), found)
    assert curve.reference_miss_rates.tolist() == [0.5] * 9
    with pytest.warns(FewImagesWarning, match="a miss rate of 1 is read"):
        curve = miss_rate_curve(people(50), found, "caltech")
    assert curve.reference_miss_rates.tolist() == [1.0] * 2 + [0.5] * 7


def test_the_warning_points_at_the_caller():
    for score in (log_average_miss_rate, miss_rates, miss_rate_curve):
        with pytest.warns(FewImagesWarning) as caught:
            score(people(3), [])
        assert caught[0].filename == __file__


def test_nobody_counts():
    for truth in (people(100, ()), people(100, ignore=[True]), people(100, ([0, 0, 20, 49],))):
        assert math.isnan(log_average_miss_rate(truth, [hit(0, 0.5)]))
        assert miss_rate_curve(truth, []).num_people == 0


def test_images_without_people_count_for_false_positives():
    """10 false positives in 100 images with nobody else but 10 people: 0.1 per image."""
    truth = people(10) + [{"image_id": i, "boxes": []} for i in range(10, 100)]
    found = [*(miss(i, 0.9) for i in range(10, 20)), *(hit(i, 0.8) for i in range(10))]
    curve = miss_rate_curve(truth, found)
    assert curve.reference_miss_rates.tolist() == [1.0] * 4 + [0.0] * 5
    assert curve.num_people == 10


def test_ignored_boxes_neither_help_nor_hurt():
    truth = people(100, (PERSON, ELSEWHERE), ignore=[False, True])
    found = [hit(i, 0.5) for i in range(50)]
    extra = [miss(i, 0.9) for i in range(100)] * 2
    assert log_average_miss_rate(truth, found) == pytest.approx(0.5)
    assert log_average_miss_rate(truth, found + extra) == pytest.approx(0.5)


def test_people_outside_the_subset_are_ignored():
    small = [300.0, 100.0, 320.0, 149.0]  # 49 px high
    truth = people(100, (PERSON, small))
    found = [hit(i, 0.5) for i in range(50)] + [hit(i, 0.9, small) for i in range(100)]
    assert log_average_miss_rate(truth, found) == pytest.approx(0.5)
    assert log_average_miss_rate(truth, found, subset="all") == pytest.approx(0.25)


def test_detections_of_other_heights_are_dropped():
    """From 50 / 1.25 = 40 px on they are judged, below they are not."""
    found = [hit(i, 0.5) for i in range(50)]
    low = [hit(i, 0.9, [300, 100, 320, 139.9]) for i in range(100)]
    judged = [hit(i, 0.9, [300, 100, 320, 140.0]) for i in range(100)]
    assert log_average_miss_rate(people(100), found + low) == pytest.approx(0.5)
    expected = geometric_mean([1.0] * 8 + [0.5])
    assert log_average_miss_rate(people(100), found + judged) == pytest.approx(expected)


def test_visibility_sorts_people_into_subsets():
    half = [100.0, 100.0, 140.0, 150.0]
    truth = people(50) + people(50)
    for i, image in enumerate(truth):
        image["image_id"] = i
        image["visible_boxes"] = [PERSON if i < 50 else half]
    scores = miss_rates(truth, [hit(i, 0.5) for i in range(25)])
    assert scores["reasonable"] == pytest.approx(0.5)
    assert scores["heavy_occlusion"] == pytest.approx(1.0)
    assert scores["all"] == pytest.approx(0.75)
    assert math.isnan(scores["reasonable_small"])


def test_only_the_best_1000_detections_of_an_image_count():
    found = [miss(0, 0.9)] * 1000 + [hit(0, 0.5)]
    assert miss_rate_curve(people(100), found).miss_rates[-1] == 1.0
    unlimited = dataclasses.replace(CITY_PERSONS, max_detections=None)
    assert miss_rate_curve(people(100), found, unlimited).miss_rates[-1] == pytest.approx(0.99)


def test_other_categories_are_left_out():
    truth = people(100, (PERSON, ELSEWHERE), classes=[0, 1])
    found = [hit(i, 0.5) for i in range(50)]
    others = [{**miss(i, 0.9), "category_id": 2} for i in range(100)]
    assert log_average_miss_rate(truth, found + others) == pytest.approx(0.5)
    assert log_average_miss_rate(truth, others, category_id=2) == 0.0


def test_the_person_is_found_by_name():
    truth = {
        "images": [{"id": i} for i in range(100)],
        "annotations": [
            {"image_id": i, "category_id": 0, "bbox": [100, 100, 40, 100]} for i in range(100)
        ],
        "categories": [{"id": 1, "name": "bicycle"}, {"id": 0, "name": "Pedestrian"}],
    }
    found = [{**hit(i, 0.5), "category_id": 0} for i in range(75)]
    assert log_average_miss_rate(truth, found) == pytest.approx(0.25)


def coco(num_images, first_id):
    return {
        "images": [{"id": i} for i in range(num_images)],
        "annotations": [
            {"id": first_id + i, "image_id": i, "bbox": [100, 100, 40, 100]}
            for i in range(num_images)
        ],
    }


@pytest.mark.parametrize("protocol", ["citypersons", "kaist"])
def test_annotations_may_be_numbered_from_zero(protocol):
    subset = "reasonable" if protocol == "citypersons" else "all"
    found = [hit(i, 1 - i / 100) for i in range(100)]
    for first_id in (0, 1):
        assert log_average_miss_rate(coco(100, first_id), found, protocol, subset) == 0.0


def test_id_zero_stands_for_no_match_in_the_test_part_of_kaist():
    """As its published scores have it: 2252 images, whoever finds the id 0 is wrong."""
    found = [hit(i, 0.5) for i in range(2252)]
    assert miss_rate_curve(coco(2252, 1), found, "kaist", "all").miss_rates[-1] == 0.0
    curve = miss_rate_curve(coco(2252, 0), found, "kaist", "all")
    assert curve.miss_rates[-1] == pytest.approx(1 / 2252)


def test_kaist_leaves_out_images_without_detections():
    found = [hit(i, 0.5) for i in range(25)] + [miss(i, 0.1) for i in range(25, 50)]
    curve = miss_rate_curve(people(100), found, "kaist", "all")
    assert curve.num_people == 50
    assert curve.miss_rates[24] == pytest.approx(0.5)
    assert curve.false_positives_per_image[-1] == pytest.approx(0.25)


def test_kaist_ignores_people_at_the_edge():
    truth = people(100, (PERSON, [4.0, 100.0, 44.0, 200.0]))
    assert (
        miss_rate_curve(truth, [hit(i, 0.5) for i in range(100)], "kaist", "all").num_people == 100
    )


def test_caltech_brings_boxes_to_one_shape():
    """Twice as wide as the person, but of the same centre and height: found all the same."""
    wide = [80.0, 100.0, 160.0, 200.0]
    found = [hit(i, 0.5, wide) for i in range(75)]
    assert log_average_miss_rate(people(100), found, "caltech") == pytest.approx(0.25)
    # Everybody found: 1e-10 is assumed missed at each reference.
    found = [hit(i, 0.5, wide) for i in range(100)]
    assert log_average_miss_rate(people(100), found, "caltech") == pytest.approx(1e-10)


def test_a_subset_of_ones_own():
    tall = Subset("tall", min_height_px=150)
    truth = people(100, (PERSON, [300, 100, 340, 300]))
    found = [hit(i, 0.5, [300, 100, 340, 300]) for i in range(75)]
    assert log_average_miss_rate(truth, found, subset=tall) == pytest.approx(0.25)


def test_unknown_names():
    with pytest.raises(ValueError, match="Did you mean 'citypersons'"):
        log_average_miss_rate(people(1), [], "cityperson")
    with pytest.raises(ValueError, match="Did you mean 'reasonable'"):
        log_average_miss_rate(people(1), [], subset="resonable")


@st.composite
def scenes(draw):
    """100 images, ten of them with up to three people, hits, near misses and strays."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    truth, found = [], []
    for image_id in range(100):
        num_people = int(generator.integers(0, 4)) if image_id < 10 else 0
        left_top = generator.uniform(0, 400, (num_people, 2))
        heights = generator.uniform(30, 200, num_people)
        sides = np.stack([heights * 0.41, heights], axis=1)
        boxes = np.concatenate([left_top, left_top + sides], axis=1)
        truth.append(
            {"image_id": image_id, "boxes": boxes, "ignore": generator.random(num_people) < 0.2}
        )
        for box in boxes[generator.random(num_people) < 0.8]:
            shift = generator.normal(0, 6, 4)
            found.append(hit(image_id, round(generator.random(), 2), (box + shift).tolist()))
        for _ in range(generator.integers(0, 2)):
            found.append(miss(image_id, round(generator.random(), 2)))
    found = [f for f in found if f["bbox"][2] > 0 and f["bbox"][3] > 0]
    return truth, found, generator


@given(scenes(), st.floats(0.1, 5), st.floats(-3, 3))
def test_only_the_order_of_scores_matters(scene, power, shift):
    truth, found, _ = scene
    changed = [{**d, "score": math.exp(power * d["score"]) + shift} for d in found]
    assert miss_rates(truth, changed) == pytest.approx(miss_rates(truth, found), nan_ok=True)


@given(scenes())
def test_the_order_of_images_does_not_matter(scene):
    truth, found, generator = scene
    shuffled = [truth[i] for i in generator.permutation(len(truth))]
    by_image = sorted(found, key=lambda d: -d["image_id"])
    assert miss_rates(shuffled, by_image) == pytest.approx(miss_rates(truth, found), nan_ok=True)


@given(scenes())
def test_curve_is_monotone_and_within_bounds(scene):
    truth, found, _ = scene
    curve = miss_rate_curve(truth, found)
    assume(curve.num_people)
    assert (np.diff(curve.miss_rates) <= 0).all()
    assert (np.diff(curve.false_positives_per_image) >= 0).all()
    assert (np.diff(curve.scores) <= 0).all()
    assert 0 <= curve.log_average <= 1
    assert len(curve.miss_rates) <= len(found)


@given(scenes(), st.floats(0.5, 2))
def test_moving_the_picture_changes_nothing(scene, shift):
    truth, found, _ = scene
    moved = [{**t, "boxes": np.asarray(t["boxes"]).reshape(-1, 4) + shift} for t in truth]
    found_moved = [
        {**d, "bbox": [d["bbox"][0] + shift, d["bbox"][1] + shift, *d["bbox"][2:]]} for d in found
    ]
    # Heights at a subset's limit may fall on its other side by rounding: compare matched counts.
    a, b = miss_rate_curve(truth, found), miss_rate_curve(moved, found_moved)
    assert a.log_average == pytest.approx(b.log_average, abs=1e-9, nan_ok=True)


def test_numpy_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        miss_rates(people(100), [hit(i, 0.5) for i in range(100)])
        miss_rates(people(100), [])
