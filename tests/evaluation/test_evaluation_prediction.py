import numpy as np
import pytest
from PIL import Image

from keras_hkd.data.annotations import ImageAnnotation
from keras_hkd.data.batches.letterbox import Letterbox
from keras_hkd.data.dataset import Dataset
from keras_hkd.evaluation.prediction import category_ids, predict_dataset
from keras_hkd.inference.prediction import predict_images

SCENES = [
    ((64, 64), [10, 20, 30, 60]),
    ((128, 256), [40, 20, 120, 100]),
    ((300, 100), None),
    ((32, 16), [4, 4, 12, 28]),
    ((480, 640), [600, 100, 640, 480]),
]


def as_xyxy(result):
    left, top, width, height = result["bbox"]
    return [left, top, left + width, top + height]


def test_boxes_come_back_in_original_pixels(WhiteBoxDetector, white_boxes):
    dataset = white_boxes(SCENES)
    results = predict_dataset(WhiteBoxDetector((128, 128)), dataset, batch_size=2)
    assert [r["image_id"] for r in results] == [1, 2, 4, 5]
    assert {r["category_id"] for r in results} == {1}
    for result in results:
        size, box = SCENES[result["image_id"] - 1]
        pixel_of_input = max(size) / 128
        assert as_xyxy(result) == pytest.approx(box, abs=1.1 * pixel_of_input)
        assert result["score"] == pytest.approx(0.9)


def test_boxes_are_plain_numbers_that_json_takes(WhiteBoxDetector, white_boxes):
    import json

    results = predict_dataset(WhiteBoxDetector(), white_boxes(SCENES))
    assert json.loads(json.dumps(results)) == results


def test_every_batch_has_the_same_shape(WhiteBoxDetector, white_boxes):
    detector = WhiteBoxDetector((64, 96))
    predict_dataset(detector, white_boxes(SCENES), batch_size=2)
    assert detector.batch_shapes == [(2, 64, 96, 3)] * 3
    detector = WhiteBoxDetector((64, 96))
    predict_dataset(detector, white_boxes(SCENES), image_size=(32, 32), batch_size=16)
    assert detector.batch_shapes == [(5, 32, 32, 3)]


def test_score_threshold(WhiteBoxDetector, white_boxes):
    detector, dataset = WhiteBoxDetector(score=0.5), white_boxes(SCENES)
    assert len(predict_dataset(detector, dataset, score_threshold=0.5)) == 4
    assert predict_dataset(detector, dataset, score_threshold=0.6) == []


def test_images_in_memory_and_datasets_agree(WhiteBoxDetector, white_boxes):
    dataset = white_boxes(SCENES)
    images = [dataset.load_image(i) for i in range(len(dataset))]
    found = predict_images(WhiteBoxDetector((128, 128)), images, batch_size=2)
    assert [len(one["boxes"]) for one in found] == [1, 1, 0, 1, 1]
    results = predict_dataset(WhiteBoxDetector((128, 128)), dataset)
    for result in results:
        box = found[result["image_id"] - 1]["boxes"][0]
        pixel_of_input = max(SCENES[result["image_id"] - 1][0]) / 128
        assert as_xyxy(result) == pytest.approx(box.tolist(), abs=1.1 * pixel_of_input)


@pytest.mark.parametrize(
    ("detector", "dataset", "expected"),
    [
        (None, ("person",), [1]),
        (None, ("person", "car"), [1, 2]),
        (("person",), ("person",), [1]),
        (("human",), ("pedestrian",), [1]),
        (("car", "person"), ("person",), [None, 1]),
        (("car", "Pedestrian"), ("people", "bus"), [None, 1]),
        (("person",), ("car", "person"), [2]),
    ],
)
def test_classes_go_by_name(detector, dataset, expected):
    assert category_ids(detector, dataset) == expected


def test_no_class_in_common():
    names = [f"class_{i}" for i in range(80)]
    with pytest.raises(ValueError, match=r"class_4, \.\.\. \(80 in all\).*none in common"):
        category_ids(names, ("person",))


@pytest.mark.parametrize("antialias", [True, False])
def test_images_reach_a_detector_resized_as_it_wants(antialias, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    seen = []

    class Looks:
        image_size, class_names = (32, 32), ("person",)

        def predict_on_batch(self, images):
            seen.append(np.asarray(images[0]))
            return {
                "boxes": np.zeros((len(images), 0, 4)),
                "classes": np.zeros((len(images), 0)),
                "confidence": np.zeros((len(images), 0)),
                "num_detections": np.zeros(len(images)),
            }

    detector = Looks()
    detector.antialias = antialias
    expected = Letterbox.fit((96, 96), (32, 32)).resize(pixels, antialias).astype(float)
    annotation = ImageAnnotation(str(tmp_path / "noise.png"), 1, 96, 96, [], [])
    predict_dataset(detector, Dataset([annotation], ("person",), "", ""), progress=False)
    predict_images(detector, [pixels])
    for images in seen:
        assert np.abs(images - expected).max() <= 1.0
