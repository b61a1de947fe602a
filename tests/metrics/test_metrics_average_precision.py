import contextlib
import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from keras_hkd.metrics.average_precision import coco_average_precision
from keras_hkd.metrics.meeting import OtherCategoriesWarning

NAMES = [
    *("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"),
    *("AR1", "AR10", "AR100", "AR_small", "AR_medium", "AR_large"),
]


def pycocotools_scores(truth, results):
    """The scores as the README of pycocotools gets them."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(NAMES, evaluation.stats, strict=True))


@st.composite
def scenes(draw):
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    num_images, num_categories = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    decimals = draw(st.sampled_from([0, 2]))
    ids = (1 + generator.choice(1000, num_images, replace=False)).tolist()
    annotations, results = [], []
    for image_id in ids:
        for _ in range(generator.integers(0, 6)):
            box = generator.uniform([0, 0, 5, 10], [200, 200, 120, 240]).round(decimals)
            annotation = {
                "id": len(annotations) + 1,
                "image_id": image_id,
                "category_id": int(generator.integers(1, num_categories + 1)),
                "bbox": box.tolist(),
                "area": float(box[2] * box[3] * generator.uniform(0.4, 1)),
                "iscrowd": int(generator.random() < 0.15),
            }
            annotations.append(annotation)
            for _ in range(generator.integers(0, 3)):
                noise = generator.normal(0, 8, 4).round(decimals)
                found = np.maximum(box + noise, 1.0)
                results.append({**annotation, "bbox": found.tolist()})
        for _ in range(generator.integers(0, 3)):
            box = generator.uniform([0, 0, 5, 10], [200, 200, 120, 240]).round(decimals)
            category = int(generator.integers(1, num_categories + 1))
            results.append({"image_id": image_id, "category_id": category, "bbox": box.tolist()})
    results = [
        {
            "image_id": r["image_id"],
            "category_id": r["category_id"],
            "bbox": r["bbox"],
            "score": round(generator.random(), 1),
        }
        for r in results
    ]
    truth = {
        "images": [{"id": i, "width": 640, "height": 480} for i in ids],
        "annotations": annotations,
        "categories": [{"id": i + 1, "name": f"thing {i}"} for i in range(num_categories)],
    }
    return truth, results


@settings(max_examples=60)
@given(scenes())
def test_agrees_with_pycocotools(scene):
    truth, results = scene
    if not results:  # pycocotools cannot load an empty list
        return
    expected = pycocotools_scores(truth, results)
    ours = coco_average_precision(truth, results)
    for name in NAMES:
        if expected[name] == -1:
            assert math.isnan(ours[name])
        else:
            assert ours[name] == pytest.approx(expected[name], abs=1e-6)


@settings(max_examples=20)
@given(scenes(), st.integers(0, 2**32 - 1))
def test_neither_scale_of_scores_nor_order_of_images_matters(scene, seed):
    truth, results = scene
    generator = np.random.default_rng(seed)
    changed = [{**r, "score": math.exp(3 * r["score"]) - 5} for r in results]
    images = [truth["images"][i] for i in generator.permutation(len(truth["images"]))]
    ours = coco_average_precision({**truth, "images": images}, changed)
    assert ours == pytest.approx(coco_average_precision(truth, results), nan_ok=True)


def one(box, **fields):
    return [{"image_id": 1, "boxes": [box], **fields}]


def found(*boxes):
    return [
        {"image_id": 1, "category_id": 1, "bbox": list(b), "score": 0.9 - i / 10}
        for i, b in enumerate(boxes)
    ]


@pytest.mark.parametrize(
    ("truth", "detections", "expected"),
    [
        pytest.param([], [], math.nan, id="no image"),
        pytest.param([{"image_id": 1, "boxes": []}], [], math.nan, id="no object"),
        pytest.param(one([0, 0, 40, 100]), [], 0.0, id="nothing found"),
        pytest.param(one([0, 0, 40, 100]), found([0, 0, 40, 100]), 1.0, id="found"),
        # IoU 0.8 passes seven of ten thresholds (0.50 to 0.80).
        pytest.param(one([0, 0, 40, 100]), found([0, 0, 40, 80]), 0.7, id="IoU 0.8"),
        # A false positive first: precision 1/2 at every recall.
        pytest.param(
            one([0, 0, 40, 100]),
            found([300, 0, 40, 100], [0, 0, 40, 100]),
            0.5,
            id="false positive first",
        ),
        pytest.param(
            one([0, 0, 40, 100], ignore=[True]), found([0, 0, 9, 9]), math.nan, id="only a crowd"
        ),
    ],
)
def test_hand_worked(truth, detections, expected):
    ours = coco_average_precision(truth, detections)
    assert ours["AP"] == pytest.approx(expected, abs=1e-9, nan_ok=True)
    assert list(ours) == NAMES


def test_ignored_boxes_are_crowd_regions():
    truth = [
        {"image_id": 1, "boxes": [[0, 0, 40, 100], [200, 0, 400, 300]], "ignore": [False, True]}
    ]
    results = found([210, 10, 30, 50], [250, 10, 30, 50], [0, 0, 40, 100])
    assert coco_average_precision(truth, results)["AP"] == pytest.approx(1.0)


def test_categories_can_be_chosen():
    truth = [{"image_id": 1, "boxes": [[0, 0, 40, 100], [200, 0, 240, 100]], "classes": [0, 1]}]
    results = found([0, 0, 40, 100], [200, 0, 40, 100])
    assert coco_average_precision(truth, results)["AP"] == pytest.approx(0.5)
    assert coco_average_precision(truth, results, category_ids=[1])["AP"] == pytest.approx(1.0)
    assert coco_average_precision(truth, results, use_categories=False)["AP"] == pytest.approx(1.0)
    with pytest.raises(ValueError, match="category_ids"):
        coco_average_precision(truth, results, category_ids=[7])


def test_prints_nothing(capsys):
    coco_average_precision(one([0, 0, 40, 100]), found([0, 0, 40, 100]))
    assert capsys.readouterr().out == ""


def test_an_annotation_may_have_the_id_zero():
    """Exports of several tools number from 0, which pycocotools takes for `no match`."""
    truth = {
        "images": [{"id": 1}],
        "annotations": [{"id": 0, "image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 100]}],
    }
    assert coco_average_precision(truth, found([0, 0, 40, 100]))["AP"] == pytest.approx(1.0)


def test_detections_of_other_categories_are_warned_of():
    truth = one([0, 0, 40, 100])
    other = [{**found([0, 0, 40, 100])[0], "category_id": 0}]
    with pytest.warns(
        OtherCategoriesWarning, match="they are of the categories 0 \\(1\\)"
    ) as caught:
        assert coco_average_precision(truth, other)["AP"] == 0.0
    assert caught[0].filename == __file__
    assert coco_average_precision(truth, other, use_categories=False)["AP"] == pytest.approx(1.0)
