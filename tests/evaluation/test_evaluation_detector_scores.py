import dataclasses
import math
import warnings

import pytest

from keras_hkd.evaluation.detector_scores import (
    ScoreThresholdWarning,
    check_protocol,
    evaluate_detector,
    score_predictions,
)
from keras_hkd.metrics import FewImagesWarning

SCENES = [((128, 128), [32, 16, 64, 96]), ((64, 64), None)] * 50


def test_a_perfect_detector(WhiteBoxDetector, white_boxes):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = evaluate_detector(WhiteBoxDetector((128, 128)), white_boxes(SCENES))
    assert scores == {
        "AP": pytest.approx(1.0),
        "AP50": pytest.approx(1.0),
        "AP75": pytest.approx(1.0),
        "AR100": pytest.approx(1.0),
        "MR2": 0.0,
        "num_images": 100,
    }


def test_few_images_are_warned_of(WhiteBoxDetector, white_boxes):
    with pytest.warns(FewImagesWarning) as caught:
        evaluate_detector(WhiteBoxDetector((128, 128)), white_boxes(SCENES[:4]))
    assert caught[0].filename == __file__


def test_subsets_of_a_protocol(white_boxes):
    scores = score_predictions(white_boxes(SCENES), [], "citypersons")
    subsets = scores["citypersons"]
    assert list(subsets) == ["reasonable", "reasonable_small", "heavy_occlusion", "all"]
    assert subsets["reasonable"] == scores["MR2"] == 1.0
    assert math.isnan(subsets["heavy_occlusion"])


@pytest.mark.parametrize(
    "classes, protocol, word",
    [
        (("person",), "kaist", "set06/V000"),
        (("dog", "car"), "citypersons", "no category called person"),
        (("person",), "voc", "citypersons, kaist, caltech"),
    ],
)
def test_a_protocol_that_does_not_fit_is_refused_before_detection(
    white_boxes, classes, protocol, word
):
    def detector(*_, **__):
        raise AssertionError("detected")

    with pytest.raises(ValueError, match=word):
        evaluate_detector(detector, white_boxes(SCENES, classes), protocol=protocol)


def test_a_protocol_that_fits_is_not_refused(white_boxes):
    for protocol in (None, "citypersons", "caltech"):
        check_protocol(white_boxes(SCENES), protocol)
    check_protocol(white_boxes(SCENES, ("dog",)), "citypersons")


def test_a_high_score_threshold_is_warned_of(WhiteBoxDetector, white_boxes):
    detector = WhiteBoxDetector((128, 128))
    detector.score_threshold = 0.3
    with pytest.warns(ScoreThresholdWarning, match="scores 0.3 or less") as caught:
        evaluate_detector(detector, white_boxes(SCENES))
    assert caught[0].filename == __file__


def test_parameters_are_counted_where_they_can_be(WhiteBoxDetector, white_boxes):
    class Weighty(WhiteBoxDetector):
        weights = ()

        def count_params(self):
            return 0

    assert evaluate_detector(Weighty(), white_boxes(SCENES))["parameters"] == 0


def test_the_person_class_makes_the_miss_rate(white_boxes):
    dataset = white_boxes(SCENES, ("person", "car"))
    cars = [
        {"image_id": 1 + i, "category_id": 2, "bbox": [32, 16, 32, 80], "score": 0.9}
        for i in range(100)
    ]
    assert score_predictions(dataset, cars)["MR2"] == 1.0


def found_in_all(category):
    box = {"bbox": [32, 16, 32, 80], "score": 0.9}
    return [{"image_id": 1 + i, "category_id": category, **box} for i in range(0, 100, 2)]


def test_classes_without_people_have_average_precision_and_no_miss_rate(white_boxes):
    """The scenes' boxes are of the first class, dogs."""
    dataset = white_boxes(SCENES, ("dog", "car"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = score_predictions(dataset, found_in_all(1))
    assert scores["AP"] == pytest.approx(1)
    assert math.isnan(scores["MR2"])
    with pytest.raises(ValueError, match="no category called person"):
        score_predictions(dataset, [], "citypersons")


@pytest.mark.parametrize("name", ["dog", "3"])
def test_the_only_class_makes_the_miss_rate_whatever_it_is_called(white_boxes, name):
    """A class that was chosen by its number has that number for a name."""
    dataset = dataclasses.replace(white_boxes(SCENES, (name,)), category_ids=((3,),))
    assert score_predictions(dataset, found_in_all(3))["MR2"] == 0.0
    assert score_predictions(dataset, found_in_all(3)[:25])["MR2"] == pytest.approx(0.5)
