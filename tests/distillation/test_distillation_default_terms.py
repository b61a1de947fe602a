"""The terms that a Distiller chooses by itself: the table, its rows, and what is said of them."""

import pathlib
import re

import numpy as np
import pytest

import keras_hkd
from keras_hkd.boxes.coding import BoxCoding
from keras_hkd.distillation import default_terms
from keras_hkd.distillation.distiller import Distiller
from keras_hkd.hierarchies import ClassLogits, Pyramid
from keras_hkd.losses import FeatureImitation, LogitDistillation
from keras_hkd.methods import auto

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZE = (64, 64)


def detector(name, **options):
    return keras_hkd.detectors.build(name, image_size=SIZE, **options)


@pytest.fixture(scope="module")
def models():
    from keras_hkd.classifiers import build as classifier
    from keras_hkd.detectors.rtmdet import RTMDet, RTMDetConfig, rtmdet_network

    rtmdet = RTMDet(rtmdet_network(RTMDetConfig(num_classes=1)), class_names=("person",))
    rtmdet.image_size = SIZE
    return {
        "yolo": detector("yolo_v8_micro", seed=1),
        "other yolo": detector("yolo_v8_micro", seed=2),
        "retinanet": detector("retinanet_mobilenet_v2_0.35"),
        "rtmdet": rtmdet,
        "classifier": classifier("cnn_micro", class_names="ab"),
        "other classifier": classifier("cnn_micro", class_names="ab"),
    }


@pytest.mark.parametrize(
    ("teacher", "student", "row"),
    [
        ("other yolo", "yolo", "distributions"),
        ("rtmdet", "yolo", "distributions"),
        ("yolo", "rtmdet", "soft labels"),
        ("yolo", "retinanet", "boxes"),
        ("other classifier", "classifier", "classes"),
    ],
)
def test_the_row_of_a_pair(models, teacher, student, row):
    chosen = default_terms.choose([models[teacher]], models[student], [None])
    assert chosen.row == row
    (wanted,) = [one for one in default_terms.table() if one["name"] == row]
    assert [type(one).__name__ for one in chosen.hierarchies] == [
        term["hierarchy"] for term in wanted["terms"]
    ]
    assert row == "classes" or chosen.shares == [term["share"] for term in wanted["terms"]]


def test_a_row_whose_term_is_impossible_is_passed_over_and_said(models, tmp_path):
    from keras_hkd.data import load_dataset
    from keras_hkd.teacher_cache import TeacherCache

    scenes = load_dataset("synthetic:train?num_images=2&height=64&width=64")
    found = [{"image_id": 1, "category_id": 1, "bbox": [4, 4, 20, 40], "score": 0.9}]
    cache = TeacherCache.from_detections(
        [{**found[0], "image_id": scenes[0].image_id}],
        scenes,
        tmp_path / "cache",
        image_size=SIZE,
        category_ids={1: "person"},
    )
    distiller = auto(cache, models["yolo"])
    assert distiller.term_names == ("boxes",)
    assert distiller.shares == (0.3,)
    assert "A better row of the table does not fit: " in distiller.chosen


def test_a_distiller_without_terms_says_what_it_chose_and_balances_it(models, capsys):
    distiller = Distiller(models["other yolo"], models["yolo"])
    assert distiller.term_names == ("boxes", "pyramid")
    assert distiller.shares == (0.3, 0.2)
    again = Distiller.from_config(distiller.get_config())
    assert (again.term_names, again.shares) == (distiller.term_names, distiller.shares)
    distiller.compile(optimizer="sgd")
    images = np.random.default_rng(0).uniform(0, 255, (2, *SIZE, 3)).astype("float32")
    boxes = np.array([[[5, 5, 30, 60], [20, 10, 50, 50]]] * 2, "float32")
    labels = {"boxes": boxes, "classes": np.zeros((2, 2), "float32")}
    distiller.fit(images, labels, batch_size=2, verbose=2)
    said = capsys.readouterr().out
    assert "Boxes(LocalizationDistillation) 0.3 + Pyramid(PearsonCorrelation) 0.2. Why: " in said
    assert "Balanced on 1 batch" in said
    after = distiller.balance.record["shares_after"]
    assert (after["boxes"], after["pyramid"]) == pytest.approx((0.3, 0.2), rel=1e-4)


def test_chosen_terms_take_shares_and_numbers_of_the_user(models):
    pair = models["other yolo"], models["yolo"]
    distiller = auto(*pair, shares=[0.1, 0.4])
    assert distiller.shares == (0.1, 0.4)
    assert "Boxes(LocalizationDistillation) 0.1 + Pyramid(PearsonCorrelation) 0.4." in str(
        distiller.chosen
    )
    with pytest.raises(ValueError, match="one share for each.*1 shares for 2"):
        auto(*pair, shares=[0.1])
    distiller = Distiller(*pair, distillation_loss_weights=[20.0, 6.0])
    assert distiller.balance is None
    assert "pair: Boxes(LocalizationDistillation) + Pyramid(PearsonCorrelation). Why" in str(
        distiller.chosen
    )


def test_given_terms_are_balanced_unless_weights_are_numbers(models):
    terms = [Pyramid(FeatureImitation()), ClassLogits(LogitDistillation(activation="sigmoid"))]
    distiller = Distiller(models["other yolo"], models["yolo"], terms)
    assert distiller.chosen is None
    assert distiller.shares == (0.25, 0.25)
    terms = [Pyramid(FeatureImitation())]
    assert Distiller(models["other yolo"], models["yolo"], terms, 3.0).balance is None
    assert Distiller(models["other yolo"], models["yolo"], []).balance is None


def test_without_a_teacher_there_is_nothing_to_choose_from(models):
    with pytest.raises(ValueError, match="`distillation_losses`.*Received: teacher=None"):
        Distiller(None, models["yolo"])


def test_a_pair_without_a_row_is_told_what_it_allows(models):
    with pytest.raises(ValueError, match="No default terms fit this pair.*\n.*\n.*"):
        default_terms.choose([models["classifier"]], models["yolo"], [None])


def test_rows_are_complete_and_their_evidence_exists():
    codings = {kind.name for kind in BoxCoding.__subclasses__()}
    for row in default_terms.table():
        assert 0 < sum(term["share"] for term in row["terms"]) < 1
        assert row.get("student_boxes") in codings | {None}
        assert not row["why"].endswith(".")
        for file in re.findall(r"benchmarks/\S+\.json", row["evidence"]):
            assert (ROOT / file).is_file(), file
