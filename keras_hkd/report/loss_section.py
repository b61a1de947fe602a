"""Shows what the losses see of some images: labels, regions and class scores, as figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_hkd.data.batches.letterbox import Letterbox
from keras_hkd.data.dataset import Dataset
from keras_hkd.errors import UserError
from keras_hkd.report.findings import Findings
from keras_hkd.report.page_blocks import Pictures, Section, Shot, shot
from keras_hkd.report.run_records import RunGroup

NUM_IMAGES = 2
_FIGURE_PX = 1200


def losses_see(groups: Sequence[RunGroup], found: Findings) -> Section:
    """Show for each group what the losses of its first seed's student are given.

    Args:
        groups: the runs.
        found: what was measured on images.
    """
    title = "What the losses see"
    shots = [one for group in groups for one in found.seen.get(group.name, ())]
    if not shots:
        absent = "No student here assigns labels to anchors, and no image of the report has people."
        return Section("losses", title, absent=absent)
    lead = (
        "Of each group the first seed. Label assignment: every dot is an anchor that is to find "
        "the person at the end of its line; who has no dot is learnt by nobody. With --teacher "
        "also the regions that `Region` reads, and the scores that `ClassLogits` compares. "
        "`keras_hkd.visualize` draws them of any term and batch."
    )
    return Section("losses", title, lead, [Pictures(shots, columns=1)])


def loss_pictures(
    name: str, teacher: Any, student: Any, data: Dataset, size: Sequence[int] | None
) -> list[Shot]:
    """Draw what the losses of a pair are given of the images with most people.

    Projections of features are not kept after training, so terms that need one are left out.

    Args:
        name: of the group.
        teacher: a detector, or None.
        student: a detector.
        data: the images.
        size: `(height, width)` in pixels at which the student sees them; its own if None.
    """
    if len(student.class_names) != len(data.class_names):
        return []
    crowded = sorted(range(len(data)), key=lambda place: -int((~data[place].ignore).sum()))
    shots = []
    for place in crowded[:NUM_IMAGES]:
        if data[place].ignore.all():
            continue
        file = data[place].file_name or str(data[place].image_id)
        batch = _batch(data, place, student, tuple(size or student.image_size))
        for what, pixels in _figures(teacher, student, *batch):
            shots.append(
                shot(pixels, f"{what} of {file}", f"{name}: {what}, {file}", (), _FIGURE_PX)
            )
    return shots


def _batch(
    data: Dataset, place: int, student: Any, size: tuple[int, ...]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """One image and its people, as the student is given them."""
    image, one = data.load_image(place), data[place]
    box = Letterbox.fit(image.shape[:2], (size[0], size[1]))
    pixels = box.resize(image, getattr(student, "antialias", True))
    labels = {
        "boxes": box.apply(one.boxes[~one.ignore])[None].astype(np.float32),
        "classes": one.classes[~one.ignore][None].astype(np.float32),
    }
    return pixels[None].astype(np.float32), labels


def _figures(
    teacher: Any, student: Any, images: np.ndarray, labels: dict[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    from keras_hkd import visualize
    from keras_hkd.hierarchies import ClassLogits, Region
    from keras_hkd.losses import AdaptiveDistillation, FeatureImitation

    # One that is no network of ours, such as a .tflite file, gives detections alone.
    teacher = teacher if hasattr(teacher, "check_image_size") else None
    drawn = [("regions", Region(FeatureImitation()), visualize.draw_regions)] if teacher else []
    if teacher:
        logits = ClassLogits(AdaptiveDistillation())
        drawn.append(("class scores", logits, visualize.draw_maps))
    attached = []
    for what, hierarchy, draw in drawn:
        try:
            hierarchy.attach(teacher, student)
        except UserError:  # this pair has no such place in common
            continue
        attached.append((what, hierarchy, draw))
    try:
        step = visualize.look(teacher, student, images, labels)
        yield "label assignment", _pixels(visualize.draw_assignment(step))
    except UserError:  # it predicts a set of boxes, without anchors
        return
    for what, hierarchy, draw in attached:
        yield what, _pixels(draw(hierarchy, step))


def _pixels(figure: Any) -> np.ndarray:
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
