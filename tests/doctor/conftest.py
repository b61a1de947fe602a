"""Pictures of people that are red rectangles, and a detector without a network that finds them."""

import dataclasses

import numpy as np
import pytest

from keras_hkd.data.annotations import ImageAnnotation
from keras_hkd.data.dataset import Dataset

SIDE = 64
SIZE = (SIDE, SIDE)
RED = (220, 30, 30)


@dataclasses.dataclass(frozen=True, eq=False)
class Pictures(Dataset):
    """Pictures in memory."""

    pictures: tuple = ()

    def load_image(self, index):
        return self.pictures[index]


def red_people(number=16, seed=0, *, height=(14, 27), relabel=None, unlabelled=0.0, repaint=None):
    """Up to four people in each picture, one a quarter.

    Args:
        number: of pictures.
        height: least and most of a person, in pixels; the width is half of it.
        relabel: (boxes, picture's side) -> what stands in the labels.
        unlabelled: share of the people that have no label.
        repaint: pictures -> other pictures.
    """
    rng = np.random.default_rng(seed)
    annotations, pictures = [], []
    for image_id in range(1, number + 1):
        picture = rng.integers(90, 130, (SIDE, SIDE, 3)).astype(np.uint8)
        boxes = []
        for top, left in ((0, 0), (0, 32), (32, 0), (32, 32)):
            if boxes and rng.random() < 0.4:
                continue
            h = int(rng.integers(*height))
            w = max(h // 2, 1)
            y, x = top + rng.integers(1, 32 - h), left + rng.integers(1, 32 - w)
            picture[y : y + h, x : x + w] = RED
            boxes.append((x, y, x + w, y + h))
        boxes = np.array(boxes, float)[rng.random(len(boxes)) >= unlabelled]
        if relabel is not None:
            boxes = relabel(boxes, SIDE)
        picture = picture if repaint is None else repaint(picture)
        pictures.append(picture)
        zeros = np.zeros(len(boxes), int)
        annotations.append(ImageAnnotation("", image_id, SIDE, SIDE, boxes, zeros))
    return Pictures(annotations, ("person",), "red people", "none", pictures=tuple(pictures))


class RedFinder:
    """Finds the red rectangle of each quarter.

    Args:
        reads: what it makes of the pixels that it is given, to RGB in [0, 255].
        blind: share of the people that it overlooks.
    """

    class_names = ("person",)
    kind = "detector"
    levels = ("P3", "P4")
    strides = (8, 16)
    image_size = SIZE

    def __init__(self, reads=lambda images: images, blind=0.0, class_names=("person",)):
        self.reads, self.blind, self.class_names = reads, blind, tuple(class_names)

    @property
    def deployed(self):
        return self

    @property
    def num_classes(self):
        return len(self.class_names)

    def predict_on_batch(self, images):
        images = self.reads(np.asarray(images, np.float32))
        rng = np.random.default_rng(int(images.sum()) % 1000)
        boxes = np.full((len(images), 4, 4), -1.0, np.float32)
        confidence = np.full((len(images), 4), -1.0, np.float32)
        counts = np.zeros(len(images), int)
        half = images.shape[1] // 2
        for number, image in enumerate(images):
            red = (image[..., 0] > 180) & (image[..., 0] < 300) & (np.abs(image[..., 2]) < 80)
            for top, left in ((0, 0), (0, half), (half, 0), (half, half)):
                rows, columns = np.nonzero(red[top : top + half, left : left + half])
                if len(rows) < 4 or rng.random() < self.blind:
                    continue
                box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
                place = counts[number]
                boxes[number, place] = np.array(box) + [left, top, left, top]
                confidence[number, place] = 0.9 - 0.01 * place
                counts[number] += 1
        return {
            "boxes": boxes,
            "classes": np.where(confidence >= 0, 0, -1),
            "confidence": confidence,
            "num_detections": counts,
        }


@pytest.fixture
def people():
    return red_people


@pytest.fixture
def finder():
    return RedFinder


@pytest.fixture
def case_of(finder):
    """Give a case of a perfect teacher and a student that finds nobody, or of what is named."""
    from keras_hkd.doctor import Case
    from keras_hkd.training import TrainingSettings

    def make(dataset, **options):
        how = options.pop("how", {})
        options = {"teacher": finder(), "student": finder(blind=1.1), **options}
        settings = TrainingSettings(**{"epochs": 2, "batch_size": 4, "image_size": SIZE, **how})
        return Case(dataset=dataset, settings=settings, **options)

    return make


@pytest.fixture
def ask():
    """Give what one check says of a case, as a list."""
    from keras_hkd.doctor.declared import chosen
    from keras_hkd.doctor.examination import examine

    def run(name, case):
        return list(examine(case, chosen([name]), progress=False).findings)

    return run
