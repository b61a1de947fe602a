import numpy as np
import pytest

from keras_hkd.inference.prediction import coco_results, input_size, predict_images


def test_boxes_outside_the_picture_are_cut_or_dropped(WhiteBoxDetector):
    class Everywhere(WhiteBoxDetector):
        def predict_on_batch(self, images):
            found = super().predict_on_batch(images)
            found["boxes"][:, 0] = [0, 0, 64, 64]  # over picture and padding
            found["boxes"][:, 1] = [40, 10, 60, 60]  # in the padding only
            found["classes"][:, :2] = 0
            found["confidence"][:, :2] = 0.5
            found["num_detections"][:] = 2
            return found

    tall = np.zeros((64, 32, 3), np.uint8)
    (found,) = predict_images(Everywhere(), [tall])
    assert found["boxes"].tolist() == [[0, 0, 32, 64]]


def test_no_image(WhiteBoxDetector):
    assert predict_images(WhiteBoxDetector(), []) == []


def test_results_leave_out_classes_without_category():
    found = {
        "boxes": np.array([[0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3]], float),
        "classes": np.array([0, 1, -1]),
        "confidence": np.array([0.9, 0.8, 0.7]),
    }
    assert [r["bbox"] for r in coco_results(found, 1, [None, 5])] == [[0, 0, 2, 2]]


def test_image_size():
    assert input_size(object(), (32, 64)) == (32, 64)
    with pytest.raises(ValueError, match="object has no `image_size`"):
        input_size(object())
