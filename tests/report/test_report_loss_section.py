"""The report's section of what the losses see: which figures there are, of which pair."""

import base64
import dataclasses
import io

import keras
import numpy as np
import pytest
from PIL import Image

from keras_hkd.data import synthetic_dataset
from keras_hkd.detectors.rtmdet import RTMDet, RTMDetConfig
from keras_hkd.report.findings import Findings
from keras_hkd.report.loss_section import NUM_IMAGES, loss_pictures, losses_see
from keras_hkd.report.run_records import RunGroup

SIZE = (64, 96)


@pytest.fixture(scope="module")
def pair():
    """Two detectors that have learnt nothing."""
    keras.utils.set_random_seed(1)
    config = RTMDetConfig(width=0.125, num_classes=1)
    return [RTMDet(config, image_size=SIZE) for _ in range(2)]


@pytest.fixture(scope="module")
def scenes():
    return synthetic_dataset(4, (96, 128), seed=3)


def test_labels_regions_and_scores_of_the_images_with_most_people(pair, scenes):
    found = loss_pictures("distilled", *pair, scenes, SIZE)
    counts = {one.file_name or str(one.image_id): int((~one.ignore).sum()) for one in scenes}
    told = [one.caption.removeprefix("distilled: ").split(", ") for one in found]
    assert [what for what, _ in told] == [
        "label assignment",
        "regions",
        "class scores",
    ] * NUM_IMAGES
    shown = [counts[name] for _, name in told[::3]]
    assert shown == sorted(counts.values(), reverse=True)[:NUM_IMAGES] and shown[0] > 0
    for one in found:
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(one.uri.split(",")[1]))))
        assert pixels.std() > 20 and max(pixels.shape) <= 1200


def test_without_a_teacher_labels_alone(pair, scenes):
    class File:
        """A teacher that is known by its detections alone."""

    for teacher in (None, File()):
        found = loss_pictures("alone", teacher, pair[1], scenes, None)
        assert len(found) == NUM_IMAGES
        assert all("label assignment" in one.caption for one in found)


def test_what_cannot_be_drawn_is_said(pair, scenes):
    riders = dataclasses.replace(scenes, class_names=("person", "rider"), category_ids=None)
    assert loss_pictures("alone", None, pair[1], riders, SIZE) == []
    section = losses_see([], Findings(scenes, {}, None))
    assert "assigns labels" in section.absent and not section.blocks


def test_the_pictures_are_in_the_section(pair, scenes):
    shots = loss_pictures("alone", None, pair[1], scenes, SIZE)
    group = RunGroup("alone", ())
    (pictures,) = losses_see([group], Findings(scenes, {}, None, {"alone": shots})).blocks
    assert list(pictures.shots) == shots and pictures.columns == 1
