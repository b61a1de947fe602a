import numpy as np
import pytest

from keras_hkd.export.graph_post_processing import post_processing_function
from keras_hkd.export.raw_heads import grid_of
from keras_hkd.export.verification import ExportError, check_post_processing
from keras_hkd.inference.post_processing import Suppression, detections


@pytest.mark.parametrize("num_classes", [1, 3])
def test_numpy_finds_what_the_detector_finds(family, num_classes, micro_detector, random_heads):
    detector = micro_detector(family, num_classes)
    grid = grid_of(detector, detector.image_size)
    logits, outputs = random_heads(grid, num_classes)
    options = {"max_detections": 60, "score_threshold": 0.2, "iou_threshold": 0.45}
    heads = {"class_logits": logits[None], "box_outputs": outputs[None]}
    expected = detector.detections(heads, detector.image_size, **options)
    found = detections(logits, outputs, grid, Suppression(**options))
    num = int(expected["num_detections"][0])
    assert len(found["confidence"]) == num > 5
    for name, tolerance in (("boxes", 0.02), ("classes", 0), ("confidence", 1e-5)):
        np.testing.assert_allclose(
            found[name], np.asarray(expected[name])[0, :num], atol=tolerance, err_msg=name
        )


@pytest.mark.parametrize("num_classes", [1, 3])
def test_the_graph_finds_what_the_detector_finds(family, num_classes, micro_detector):
    detector = micro_detector(family, num_classes)
    grid = grid_of(detector, detector.image_size)
    suppression = Suppression(60, 0.2, 0.45)
    post = post_processing_function(grid, suppression, num_classes)

    def run(*heads):
        import tensorflow as tf

        return post(*map(tf.constant, heads))

    check_post_processing(detector, grid, suppression, run)
    with pytest.raises(ExportError, match="disagrees"):
        check_post_processing(detector, grid, Suppression(60, 0.2, 0.9), run)


def test_of_equal_scores_the_first_is_kept_by_every_runtime(micro_detector, random_heads):
    """Int8 scores are often equal; a heap would keep another one with another C++ library."""
    from keras_hkd.export.conversion import convert
    from keras_hkd.inference.tflite_runner import TFLiteRunner

    grid = grid_of(micro_detector("yolo_v8"), (64, 96))
    suppression = Suppression(60, 0.2, 0.45)
    runner = TFLiteRunner(convert(post_processing_function(grid, suppression, 1)))
    for seed in range(3):
        logits, outputs = random_heads(grid, seed=seed)
        logits = np.round(logits)  # a handful of different scores
        expected = detections(logits, outputs, grid, suppression)
        num = len(expected["confidence"])
        assert len(np.unique(expected["confidence"])) < num / 2
        boxes, _, scores, count = runner.run(logits[None], outputs[None])
        assert int(count[0]) == num
        np.testing.assert_allclose(scores[0, :num], expected["confidence"], atol=1e-5)
        pixels = boxes[0, :num][:, [1, 0, 3, 2]] * [96, 64, 96, 64]
        np.testing.assert_allclose(pixels, expected["boxes"], atol=0.02)


def test_nothing_above_the_threshold(micro_detector, random_heads):
    grid = grid_of(micro_detector("yolo_v8"), (64, 96))
    logits, outputs = random_heads(grid)
    found = detections(logits - 100, outputs, grid, Suppression())
    assert {name: value.shape for name, value in found.items()} == {
        "boxes": (0, 4),
        "classes": (0,),
        "confidence": (0,),
    }


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"max_detections": 0}, "max_detections"),
        ({"max_detections": 2.5}, "max_detections"),
        ({"score_threshold": 1.0}, "score_threshold"),
        ({"iou_threshold": 0.0}, "iou_threshold"),
        ({"iou_threshold": float("nan")}, "iou_threshold"),
    ],
)
def test_bad_input(options, word):
    with pytest.raises(ValueError, match=word):
        Suppression(**options)
