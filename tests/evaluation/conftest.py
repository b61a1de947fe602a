"""A detector that needs no network: it finds the white rectangle of a black picture."""

import dataclasses

import numpy as np
import pytest

from keras_hkd.data.annotations import Dataset, ImageAnnotation


class WhiteBoxDetector:
    """Gives what a `Detector` gives: the white rectangle, then one box in the padding."""

    class_names = ("person",)

    def __init__(self, image_size=(64, 64), max_detections=5, score=0.9):
        self.image_size = image_size
        self.max_detections = max_detections
        self.score = score
        self.batch_shapes = []

    def predict_on_batch(self, images):
        images = np.asarray(images)
        self.batch_shapes.append(images.shape)
        size = (len(images), self.max_detections)
        boxes, confidence = np.full((*size, 4), -1.0, np.float32), np.full(size, -1.0, np.float32)
        classes, counts = np.full(size, -1, np.int32), np.zeros(len(images), np.int32)
        for i, image in enumerate(images):
            rows, columns = np.nonzero(image.mean(axis=-1) > 200)
            if len(rows):
                corners = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
                boxes[i, 0], confidence[i, 0], classes[i, 0] = corners, self.score, 0
                counts[i] = 1
        return {
            "boxes": boxes,
            "classes": classes,
            "confidence": confidence,
            "num_detections": counts,
        }


@dataclasses.dataclass(frozen=True, eq=False)
class WhiteBoxes(Dataset):
    """Black pictures with one white rectangle each, drawn on the fly."""

    def load_image(self, index):
        annotation = self.annotations[index]
        image = np.zeros((annotation.height, annotation.width, 3), np.uint8)
        for left, top, right, bottom in annotation.boxes.astype(int):
            image[top:bottom, left:right] = 255
        return image


def white_boxes(sizes_and_boxes, class_names=("person",)):
    annotations = [
        ImageAnnotation("", i + 1, width, height, [box] if box else [], [0] if box else [])
        for i, ((height, width), box) in enumerate(sizes_and_boxes)
    ]
    return WhiteBoxes(annotations, class_names, "white boxes", "none")


@pytest.fixture(name="WhiteBoxDetector")
def white_box_detector_class():
    return WhiteBoxDetector


@pytest.fixture(name="white_boxes")
def white_boxes_function():
    return white_boxes
