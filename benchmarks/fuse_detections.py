"""Detections of several public detectors, at several sizes and mirrored, fused into one file.

They are the strongest teacher of people that the data folder allows: on the test list of
`coco_person` such a file has 0.54 AP, RTMDet-nano alone 0.50. `zoo_train.py` teaches by it where a
recipe says `"fused"`. Only training and validation lists are read.
"""

from __future__ import annotations

import functools
import pathlib

import numpy as np
import rich.progress
from coco_detectors import DeimV2, PicoDet, RTMDetNano, detect

from keras_hkd.boxes.iou import pairwise_iou
from keras_hkd.data.dataset import Dataset
from keras_hkd.json_files import write_json

WEIGHTS = pathlib.Path(__file__).resolve().parents[2] / "shared" / "weights"
# Side in pixels -> weight of RTMDet-nano at that size; and the weight of each of the others.
RTMDET_SIDES = {320: 1.0, 416: 1.5, 512: 1.5, 640: 1.0}
OTHERS = {"picodet_s_416.onnx": (PicoDet, 1.0), "deimv2_femto_416.onnx": (DeimV2, 1.0)}
SAME_OBJECT_IOU = 0.6
LEAST_SCORE = 0.02
LEAST_FUSED_SCORE = 0.01


def fused_detections(dataset: Dataset, file: pathlib.Path) -> pathlib.Path:
    """Writes the fused detections of a dataset's photographs, unless the file is there.

    Args:
        dataset: photographs with files.
        file: COCO results to be written, with `file_name` beside `image_id`.

    Returns:
        The path of the file.
    """
    if file.exists():
        return file
    detectors, weights = zip(*members(), strict=True)
    rows = []
    for index in rich.progress.track(range(len(dataset)), "Fused detections"):
        image, annotation = dataset.load_image(index), dataset[index]
        found = [_people(detector, image) for detector in detectors]
        boxes, scores = fuse(found, weights)
        rows += [
            {
                "image_id": annotation.image_id,
                "file_name": pathlib.Path(annotation.image_path).name,
                "category_id": 1,
                "bbox": [round(float(v), 2) for v in (x, y, right - x, bottom - y)],
                "score": round(float(score), 4),
            }
            for (x, y, right, bottom), score in zip(boxes, scores, strict=True)
            if score >= LEAST_FUSED_SCORE
        ]
    write_json(file, rows, indent=None)
    return file


def members():
    """Pairs of a detector of the ensemble and its weight."""
    pairs = []
    for side, weight in RTMDET_SIDES.items():
        pairs.append((RTMDetNano(WEIGHTS / "rtmdet_nano_person.onnx", side=side), weight))
    pairs += [(kind(WEIGHTS / name), weight) for name, (kind, weight) in OTHERS.items()]
    return [
        (each, weight)
        for detector, weight in pairs
        for each in (detector, functools.partial(_mirrored, detector))
    ]


def fuse(found, weights):
    """Fuses boxes of one image by weighted boxes fusion.

    Boxes are taken by falling weighted score; each joins the fused box that it overlaps most, if
    by more than `SAME_OBJECT_IOU`. A fused box is the mean of its boxes, weighted by their weighted
    scores; its score is the sum of these over the sum of all weights, so that what few detectors
    find scores low.

    Args:
        found: of each detector `boxes (n, 4)` xyxy and `scores (n,)`.
        weights: of the detectors.

    Returns:
        Boxes `(m, 4)` and scores `(m,)`.

    Reference:
        Solovyev et al., Weighted boxes fusion, Image and Vision Computing 2021.
    """
    rows = sorted(
        (
            (weight * score, tuple(box))
            for (boxes, scores), weight in zip(found, weights, strict=True)
            for box, score in zip(boxes, scores, strict=True)
        ),
        reverse=True,
    )
    sums, mass = np.zeros((len(rows), 4)), np.zeros(len(rows))
    count = 0
    for score, box in rows:
        place = count
        if count:
            overlap = pairwise_iou(np.array([box]), sums[:count] / mass[:count, None])[0]
            if overlap.max() > SAME_OBJECT_IOU:
                place = int(overlap.argmax())
        count = max(count, place + 1)
        sums[place] += score * np.array(box)
        mass[place] += score
    return sums[:count] / mass[:count, None], mass[:count] / sum(weights)


def _people(detector, image):
    boxes, classes, scores = detect(detector, image, LEAST_SCORE, iou_threshold=0.65)
    people = np.asarray(classes) == 0
    return np.asarray(boxes)[people], np.asarray(scores)[people]


def _mirrored(detector, image):
    """What a detector finds in the mirrored picture, mirrored back."""
    boxes, scores = detector(np.ascontiguousarray(image[:, ::-1]))
    boxes = np.asarray(boxes).reshape(-1, 4)
    left, top, right, bottom = boxes.T
    width = image.shape[1]
    return np.stack([width - right, top, width - left, bottom], axis=1), scores
