"""Whether the numbers of a label are left, top, right, bottom in pixels."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_hkd.boxes.iou import pairwise_iou
from keras_hkd.data.annotations import ImageAnnotation
from keras_hkd.data.odd_boxes import MOST_ODD, count_odd_boxes
from keras_hkd.doctor.case import Case
from keras_hkd.doctor.declared import check
from keras_hkd.doctor.finding import Finding, fault, ok, warning
from keras_hkd.report import save_contact_sheet

_LEAST, _TIMES = 0.2, 2.0
_MOST_SHOWN = 6

Reading = Callable[[np.ndarray, ImageAnnotation], np.ndarray]


def _centred(boxes: np.ndarray) -> np.ndarray:
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, 2:] - half], axis=1)


READINGS: dict[str, Reading] = {
    "left, top, width, height, read as corners": lambda boxes, image: np.concatenate(
        [boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1
    ),
    "corners, read as left, top, width, height": lambda boxes, image: np.concatenate(
        [boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1
    ),
    "centre, width, height, read as left, top, width, height": lambda boxes, image: _centred(boxes),
    "top before left": lambda boxes, image: boxes[:, [1, 0, 3, 2]],
    "shares of the picture, read as pixels": lambda boxes, image: (
        boxes * [image.width, image.height, image.width, image.height]
    ),
    "upside down, measured from the lower edge": lambda boxes, image: np.stack(
        [boxes[:, 0], image.height - boxes[:, 3], boxes[:, 2], image.height - boxes[:, 1]], axis=1
    ),
}
"""What the numbers might have been, and how they were read -> the boxes that were meant."""


@check(order=25, needs=("teacher",))
def box_format(case: Case) -> Finding | None:
    """Compare the teacher's best detections with the labels, read in this way and in others."""
    by_image: dict[int | str, list[dict]] = {}
    for one in case.teacher_found:
        by_image.setdefault(one["image_id"], []).append(one)
    found: dict[str, list[bool]] = {"as read": [], **{name: [] for name in READINGS}}
    for image in case.images:
        labels = image.boxes[~image.ignore]
        best = sorted(by_image.get(image.image_id, ()), key=lambda one: -one["score"])
        xywh = np.array([one["bbox"] for one in best[: len(labels)]], float).reshape(-1, 4)
        boxes = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
        meant = {"as read": labels, **{name: to(labels, image) for name, to in READINGS.items()}}
        for name, these in meant.items():
            found[name] += (pairwise_iou(these, boxes) >= 0.5).any(axis=1).tolist()
    shares = {name: float(np.mean(hits or [False])) for name, hits in found.items()}
    other = max(READINGS, key=lambda name: shares[name])
    if shares[other] > max(_LEAST, _TIMES * shares["as read"]):
        return fault(
            f"The labels look like {other}: the teacher's detections meet {shares[other]:.0%} of "
            f"them so, and {shares['as read']:.0%} as they were read.",
            "Name the format of the data (--format), or mend the conversion that wrote them.",
            _pictures(case),
            **shares,
        )
    if not case.teacher_sees:
        return None
    return ok(
        f"Boxes are corners in pixels: the teacher's best detections meet {shares['as read']:.0%} "
        f"of the labels, and {shares[other]:.0%} at most where these are read in another way.",
        **shares,
    )


def _pictures(case: Case) -> tuple[Path, ...]:
    """Draw the labels of some images as they were read."""
    path = case.picture("labels_as_read.png")
    if path is None:
        return ()
    shown = case.images.subset(_MOST_SHOWN)
    images = [shown.load_image(index) for index in range(len(shown))]
    entries = [{"boxes": one.boxes, "ignore": one.ignore} for one in shown]
    return (save_contact_sheet(images, entries, ["labels as read"] * len(shown), path),)


@check(order=16, cheap=True)
def odd_boxes(case: Case) -> Finding:
    """Count the labels that look wrong by themselves, in some thousand images at most."""
    found = count_odd_boxes(case.dataset)
    figures = {"num_boxes": found.num_boxes, **found.kinds}
    if not found.num_boxes:
        return fault("No image has a label that counts.", "Look at the data.", **figures)
    if found.share <= MOST_ODD:
        return ok(f"{found.num_odd} of {found.num_boxes} boxes look odd by themselves.", **figures)
    make = fault if found.share > 0.5 else warning
    return make(
        f"{found.share:.0%} of the boxes look odd, most because: {found.most}.",
        "keras-hkd check DATA shows them. Are coordinates pixels, and in the order that --format "
        "says?",
        **figures,
    )
