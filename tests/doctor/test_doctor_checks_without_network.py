"""Every fault of labels, pictures and predictions is planted: each is found, and no other."""

import types
import warnings

import numpy as np
import pytest
from PIL import Image

from keras_hkd.batch_watch import BatchWarning
from keras_hkd.doctor import examination, first_look
from keras_hkd.doctor.checks import cost
from keras_hkd.doctor.declared import CHECKS

SIDE = 64
QUIET = (
    *("class_names", "pictures", "odd_boxes", "teacher_is_better", "box_format"),
    *("pixels_of_the_models", "labels_agree", "people_size", "memory"),
)


def severities(found):
    return [one.severity for one in found]


def test_a_healthy_pair_gets_no_alarm(people, case_of, ask):
    case = case_of(people(), num_images=12)
    said = {name: ask(name, case) for name in QUIET}
    assert all(said.values())
    assert not [one for found in said.values() for one in found if one.severity != "ok"]


class TestTeacher:
    def test_that_finds_nobody(self, people, case_of, finder, ask):
        (found,) = ask("teacher_is_better", case_of(people(), teacher=finder(blind=1.1)))
        assert (found.severity, found.figures["teacher_AP"]) == ("fault", 0)
        assert "next to nobody" in found.text

    def test_that_is_no_better_than_the_student(self, people, case_of, finder, ask):
        (found,) = ask("teacher_is_better", case_of(people(), student=finder()))
        assert found.severity == "fault"
        assert "no better" in found.text and "too high" in found.advice
        assert found.figures["labels_that_only_the_teacher_finds"] == 0

    def test_counts_what_only_the_teacher_finds(self, people, case_of, ask):
        case = case_of(people(6), num_images=6)
        (found,) = ask("teacher_is_better", case)
        assert found.figures["labels_that_only_the_teacher_finds"] == case.dataset.num_boxes

    def test_that_needs_its_own_size(self, people, case_of, finder, ask):
        small = finder(reads=lambda images: images if images.shape[1] == 128 else 0 * images)
        small.image_size = (128, 128)
        found = ask("teacher_is_better", case_of(people(6), teacher=small))
        assert severities(found) == ["fault", "note"]
        assert "128x128" in found[0].advice
        assert found[1].figures["AP_at_own_size"] > 0.9

    def test_images_without_a_label(self, people, case_of, ask):
        (found,) = ask("teacher_is_better", case_of(people(4, unlabelled=1.1)))
        assert (found.severity, "No image has a label" in found.text) == ("fault", True)


MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
PIXELS = {
    "blue, green, red in [0, 255]": lambda images: images[..., ::-1],
    "red, green, blue in [0, 1]": lambda images: images * 255.0,
    "red, green, blue in [-1, 1]": lambda images: (images + 1) * 127.5,
    "the mean of ImageNet subtracted": lambda images: images + MEAN,
    "the mean of ImageNet subtracted, divided by its deviation": lambda images: (
        images * DEVIATION + MEAN
    ),
    "255 times the pixels": lambda images: images / 255.0,
}


@pytest.mark.parametrize("trained_on", PIXELS)
def test_a_teacher_that_was_trained_on_other_pixels(trained_on, people, case_of, finder, ask):
    case = case_of(people(8), teacher=finder(reads=PIXELS[trained_on]))
    (found,) = ask("pixels_of_the_models", case)
    assert found.severity == "fault"
    assert f"with {trained_on}" in found.text
    assert found.figures["AP50"] < 0.1 < 0.9 < found.figures[f"AP50: {trained_on}"]


def test_a_student_that_was_trained_on_other_pixels(people, case_of, finder, ask):
    # One that finds nobody would say nothing of its pixels: this one sees red above, blue below.
    above = np.arange(SIDE)[:, None, None] < SIDE // 2
    student = finder(reads=lambda images: np.where(above, images, images[..., ::-1]))
    blue = finder(reads=lambda images: images[..., ::-1])
    teacher, student = ask("pixels_of_the_models", case_of(people(8), student=student))
    assert (teacher.severity, student.figures["AP50"] > 0.1) == ("ok", True)
    found = ask("pixels_of_the_models", case_of(people(8), student=blue))
    assert len(found) == 1  # finds nobody: it is not trained yet


def test_wrong_pixels_that_are_shown_on_purpose_give_no_warning(people, case_of, finder, ask):
    def warns(images):
        if images.max() < 200:
            warnings.warn("Pixels lie in [0, 1].", BatchWarning, stacklevel=2)
        return images

    with warnings.catch_warnings():
        warnings.simplefilter("error", BatchWarning)
        (found,) = ask("pixels_of_the_models", case_of(people(4), teacher=finder(reads=warns)))
    assert found.severity == "ok"


@pytest.mark.parametrize(
    ("repaint", "severity", "words"),
    [
        (lambda picture: picture // 255, "fault", "black"),
        (lambda picture: np.full_like(picture, 254), "fault", "white"),
        (lambda picture: np.repeat(picture[..., :1], 3, axis=-1), "note", "grey"),
        (lambda picture: picture // [2, 1, 1], "warning", "blue"),
    ],
)
def test_pictures_that_were_stored_wrongly(repaint, severity, words, people, case_of, ask):
    dataset = people(4, repaint=lambda picture: repaint(picture).astype(np.uint8))
    (found,) = ask("pictures", case_of(dataset))
    assert found.severity == severity
    assert words in found.text


def corners_as_size(boxes, side):
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def size_as_corners(boxes, side):
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def centre_as_corner(boxes, side):
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    return np.concatenate([boxes[:, :2] + half, boxes[:, 2:] + half], axis=1)


def from_below(boxes, side):
    return np.stack([boxes[:, 0], side - boxes[:, 3], boxes[:, 2], side - boxes[:, 1]], axis=1)


WRITTEN = {
    "left, top, width, height, read as corners": size_as_corners,
    "corners, read as left, top, width, height": corners_as_size,
    "centre, width, height, read as left, top, width, height": centre_as_corner,
    "top before left": lambda boxes, side: boxes[:, [1, 0, 3, 2]],
    "shares of the picture, read as pixels": lambda boxes, side: boxes / side,
    "upside down, measured from the lower edge": from_below,
}


@pytest.mark.parametrize("meant", WRITTEN)
def test_boxes_of_another_format(meant, people, case_of, ask, tmp_path):
    (found,) = ask("box_format", case_of(people(relabel=WRITTEN[meant]), out=tmp_path))
    assert Image.open(found.pictures[0]).size[0] > 200
    assert found.severity == "fault"
    assert meant in found.text
    assert found.figures[meant] > 0.9


@pytest.mark.parametrize(
    ("relabel", "kind"),
    [
        (lambda boxes, side: boxes / side, "tiny"),
        (lambda boxes, side: boxes + 2 * side, "outside"),
        (lambda boxes, side: np.repeat(boxes, 2, axis=0), "repeated"),
    ],
)
def test_boxes_that_look_odd(relabel, kind, people, case_of, ask):
    (found,) = ask("odd_boxes", case_of(people(relabel=relabel)))
    assert found.is_alarm
    assert found.figures[kind] >= 0.5 * found.figures["num_boxes"]


class TestLabels:
    def test_people_without_label(self, people, case_of, ask, tmp_path):
        (found,) = ask("labels_agree", case_of(people(24, unlabelled=0.5), out=tmp_path))
        share = found.figures["share_of_confident_detections_without_label"]
        assert found.is_alarm
        assert 0.35 < share < 0.75
        (picture,) = found.pictures
        assert Image.open(picture).size[0] > 2 * 200  # labels beside the teacher's boxes

    def test_labels_where_nobody_is(self, people, case_of, ask):
        def one_more(boxes, side):
            return np.concatenate([boxes, np.repeat([[2.0, 2.0, 62.0, 62.0]], 3, axis=0)])

        (found,) = ask("labels_agree", case_of(people(relabel=one_more)))
        assert found.is_alarm
        assert found.figures["share_of_large_labels_found"] < 0.5

    def test_a_teacher_that_finds_nobody_says_nothing_of_labels(self, people, case_of, finder, ask):
        assert ask("labels_agree", case_of(people(), teacher=finder(blind=1.1))) == []


class TestClasses:
    def test_the_data_have_others(self, people, case_of, finder, ask):
        cats = finder(blind=1.1, class_names=("cat", "dog"))
        (found,) = ask("class_names", case_of(people(4), student=cats))
        assert found.severity == "fault"
        assert "cat, dog" in found.text

    @pytest.mark.parametrize(
        ("known", "severity"), [(("pedestrian",), "warning"), (("car", "bicycle"), "fault")]
    )
    def test_the_teacher_has_others(self, known, severity, people, case_of, finder, ask):
        case = case_of(people(4), teacher=finder(class_names=known))
        (found,) = ask("class_names", case)
        assert found.severity == severity
        assert known[0] in found.text


@pytest.mark.parametrize(
    ("height", "severity"), [((14, 27), "ok"), ((8, 12), "warning"), ((4, 8), "fault")]
)
def test_people_that_are_too_small(height, severity, people, case_of, ask):
    # Half as wide as high: of 11 px and less the root of the area is below 8 px.
    case = case_of(people(40, height=height))
    sides = [np.sqrt(np.prod(box[2:] - box[:2])) for one in case.dataset for box in one.boxes]
    (found,) = ask("people_size", case)
    assert found.figures["share"] == np.mean(np.array(sides) < 8)
    if severity == "warning":
        assert found.is_alarm
    else:
        assert found.severity == severity
    assert ("--image-size" in found.advice) == found.is_alarm


class Assigns:
    """A student of three levels with one cell each, whose labels get the cells that are named."""

    levels, strides, anchors_per_cell = ("P3", "P4", "P5"), (8, 16, 32), 1

    def __init__(self, *cells):
        self.cells = cells

    def level_shapes(self, image_size):
        return dict.fromkeys(self.levels, (1, 1))

    def check_labels(self, labels):
        return labels

    def __call__(self, images, training):
        return None

    def assign(self, outputs, labels, image_size):
        boxes = np.asarray(labels["boxes"])
        positive = np.zeros((len(boxes), 3), bool)
        positive[:, list(self.cells)] = True
        first = np.repeat(boxes[:, :1], 3, axis=1)
        return types.SimpleNamespace(positive=positive, target_boxes=first)


@pytest.mark.parametrize(
    ("cells", "severity", "words"),
    [
        ((0, 1, 2), "ok", "0% of 16 labels get no anchor of the student; the others 3 each"),
        ((0, 1), "ok", "no label goes to P5."),
        ((0,), "warning", "no label goes to P4, P5."),
        ((), "fault", "100% of 16 labels get no anchor"),
    ],
)
def test_levels_and_labels_without_one_another(cells, severity, words, people, case_of, ask):
    def first_alone(boxes, side):
        return boxes[:1]

    case = case_of(people(4, relabel=first_alone), student=Assigns(*cells), how={"augment": False})
    (found,) = ask("anchors", case)
    assert (found.severity, words in found.text) == (severity, True)


class TestLeakage:
    def test_none(self, people, case_of, ask):
        (found,) = ask("leakage", case_of(people(6), test=people(3, seed=1)))
        assert (found.severity, found.figures["num_test_images"]) == ("ok", 3)

    def test_the_same_pictures(self, people, case_of, ask, tmp_path):
        train = people(6)
        (found,) = ask("leakage", case_of(train, test=train.select([4, 5]), out=tmp_path))
        assert (found.severity, found.figures["num_identical"]) == ("fault", 2)
        assert found.pictures[0].exists()

    def test_pictures_that_were_stored_anew(self, people, case_of, ask):
        train = people(6)
        again = people(6, repaint=lambda picture: np.clip(picture + 2.0, 0, 255).astype(np.uint8))
        (found,) = ask("leakage", case_of(train, test=again))
        assert found.severity == "warning"
        assert (found.figures["num_identical"], found.figures["num_near_duplicates"]) == (0, 6)

    def test_does_not_apply_without_test_images(self, people, case_of, ask):
        assert ask("leakage", case_of(people(4))) == []

    def test_is_looked_for_before_a_training_where_pictures_are_few(
        self, people, case_of, monkeypatch
    ):
        case = case_of(people(6))

        def named(test):
            pair = case.teacher, case.student
            found = first_look(*pair, case.dataset, case.settings, test)
            return {one.check: one.severity for one in found}

        assert named(case.dataset.select([1]))["leakage"] == "fault"
        assert "leakage" not in named(None)
        monkeypatch.setattr(examination, "_QUICKLY_COMPARED", 6)
        assert "leakage" not in named(case.dataset.select([1]))


def test_more_images_than_memory(people, case_of, ask, monkeypatch):
    monkeypatch.setattr(cost, "available_memory_bytes", lambda: 1000)
    (found,) = ask("memory", case_of(people(4)))
    assert found.severity == "ok" and "kept on disk" in found.text
    (found,) = ask("memory", case_of(people(4), how={"cache": True}))
    assert (found.severity, found.figures["free_bytes"]) == ("warning", 1000)
    # Four canvases of 64 px (pictures are not enlarged), at full and at half size, twice.
    assert found.figures["decoded_images_bytes"] == 2 * 4 * SIDE * SIDE * 3 * 1.25
    (found,) = ask("memory", case_of(people(4), how={"cache": False}))
    assert found.severity == "ok"


def test_every_check_is_cheap_or_says_what_it_needs():
    without_a_model = {name for name, one in CHECKS.items() if one.cheap}
    assert without_a_model == {"class_names", "pictures", "odd_boxes", "people_size", "memory"}
    orders = [one.order for one in CHECKS.values()]
    assert orders == sorted(orders)
    assert len(set(orders)) == len(orders)
