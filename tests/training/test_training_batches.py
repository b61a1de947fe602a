"""Which batches a run gets, and what is refused before it begins."""

import types

import numpy as np
import pytest

from keras_hkd.data import Dataset, DataWarning, ImageAnnotation, classification_dataset
from keras_hkd.training import TrainingSettings
from keras_hkd.training.batches import check_fits, check_people, run_batches

NAMES = ("cat", "dog")
IMAGES = [np.full((32, 32, 3), value, np.uint8) for value in (10, 200, 90)]
CLASSES = classification_dataset(IMAGES, [0, 1, 0], NAMES)
SETTINGS = TrainingSettings(epochs=1, batch_size=2, image_size=(32, 32))


class Scenes(Dataset):
    """The same images with a person in each."""

    def load_image(self, index):
        return IMAGES[index]


SCENES = Scenes(
    [ImageAnnotation("", i, 32, 32, [[4, 4, 12, 28]], [0]) for i in range(3)],
    ("person",),
    "memory",
    "none",
)


def model(kind, names=NAMES, distilled=False):
    learner = types.SimpleNamespace(kind=kind, class_names=names)
    return types.SimpleNamespace(learner=learner) if distilled else learner


def test_batches_follow_the_kind_of_the_images():
    _, labels = next(iter(run_batches(CLASSES, SETTINGS, 0)))
    assert set(labels) == {"classes"} and labels["classes"].shape == (2,)
    _, labels = next(iter(run_batches(SCENES, SETTINGS, 0)))
    assert set(labels) == {"boxes", "classes", "ignore_boxes"}


def test_the_epoch_decides_the_batches():
    first, again, second = (
        next(iter(run_batches(CLASSES, SETTINGS, epoch)))[0] for epoch in (0, 0, 1)
    )
    assert np.array_equal(first, again) and not np.array_equal(first, second)


def test_images_of_the_other_kind_or_other_classes_are_refused():
    check_fits(model("classifier"), CLASSES)
    check_fits(model("detector", ("person",)), SCENES)
    check_fits(object(), SCENES)
    with pytest.raises(ValueError, match="detector learns from images with boxes"):
        check_fits(model("detector"), CLASSES)
    with pytest.raises(ValueError, match="classifier learns from images with one class"):
        check_fits(model("classifier", distilled=True), SCENES)
    with pytest.raises(ValueError, match=r"tells \('dog', 'cat'\) apart"):
        check_fits(model("classifier", NAMES[::-1]), CLASSES)


def people(*boxes, ignore=None):
    one = ImageAnnotation("", 1, 320, 160, list(boxes), [0] * len(boxes), ignore=ignore)
    return Dataset((one,), ("person",), "by hand", "none")


@pytest.mark.parametrize(
    "dataset, message",
    [
        (people(), "nothing to learn from in 'by hand': no box counts"),
        (people([0, 0, 90, 90], ignore=[True]), "no box counts"),
        # At 32 pixels a pixel is a tenth of what it was.
        (people([0, 0, 19, 90], [0, 0, 90, 1]), "2 of 2 boxes have a side below 2 pixels at 32x32"),
    ],
)
def test_images_without_a_box_to_learn_from_are_refused(dataset, message):
    with pytest.raises(ValueError, match=message):
        check_people(dataset, SETTINGS)


def test_many_small_boxes_are_warned_of(recwarn):
    check_people(people(*[[0, 0, 21, 90]] * 9, [0, 0, 19, 90]), SETTINGS)
    check_people(CLASSES, SETTINGS)
    assert not recwarn.list
    with pytest.warns(DataWarning, match="1 of 2 boxes have a side below 2 pixels at 32x32"):
        check_people(people([0, 0, 21, 90], [0, 0, 19, 90]), SETTINGS)
