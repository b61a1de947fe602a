"""Batches: a function of seed and epoch, boxes that follow pixels, labels of people alone."""

import dataclasses
import itertools
import os
import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_hkd.data.annotations import BadDataError, ImageAnnotation
from keras_hkd.data.batches import cache_mode, free_memory
from keras_hkd.data.batches.augmentation import Augmentation
from keras_hkd.data.batches.letterbox import Letterbox
from keras_hkd.data.batches.pipeline import (
    evaluation_batches,
    prediction_batches,
    steps_per_epoch,
    training_batches,
)
from keras_hkd.data.batches.semi_supervised import SemiSupervisedDataset
from keras_hkd.data.dataset import Dataset

NO_COLOUR = {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0}


@dataclasses.dataclass(frozen=True, eq=False)
class Pictures(Dataset):
    """Images in memory."""

    images: tuple = ()

    def load_image(self, index):
        return self.images[index]


def pictures(images, boxes=None, ignore=None, classes=None):
    boxes = boxes if boxes is not None else [[]] * len(images)
    rows = [
        ImageAnnotation(
            "", index, image.shape[1], image.shape[0],
            boxes=np.reshape(boxes[index], (-1, 4)),
            classes=np.zeros(len(boxes[index])) if classes is None else classes[index],
            ignore=None if ignore is None else ignore[index],
        )
        for index, image in enumerate(images)
    ]  # fmt: skip
    return Pictures(rows, ("person",), "pictures in memory", "none", (), tuple(images))


def plain(value, size=(40, 56)):
    return np.full((*size, 3), value, np.uint8)


def numbered(count):
    """Images whose brightness is their number, with as many boxes as their number modulo 3."""
    boxes = [[[2, 3, 12 + i, 30]] * (i % 3) for i in range(count)]
    return pictures([plain(10 * i) for i in range(count)], boxes)


def take(batches, count):
    return [
        (images.numpy(), {name: value.numpy() for name, value in labels.items()})
        for images, labels in itertools.islice(batches, count)
    ]


def assert_equal(left, right):
    assert len(left) == len(right) > 0
    for (images, labels), (other_images, other_labels) in zip(left, right, strict=True):
        np.testing.assert_array_equal(images, other_images)
        for name in labels:
            np.testing.assert_array_equal(labels[name], other_labels[name])


def stream(dataset, **options):
    defaults = {"image_size": (48, 64), "batch_size": 3, "seed": 1, "ignore_regions": True}
    return training_batches(dataset, **{**defaults, **options})


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Eight files of several sizes, JPEG and PNG, with smooth content and one person each."""
    folder, rows = tmp_path_factory.mktemp("photos"), []
    rng = np.random.default_rng(0)
    for index, size in enumerate([(60, 80), (80, 60), (33, 77), (200, 300)] * 2):
        coarse = Image.fromarray(rng.integers(0, 255, (6, 8, 3), np.uint8))
        path = folder / f"{index}.{('jpg', 'png')[index % 2]}"
        coarse.resize(size[::-1], Image.Resampling.BICUBIC).save(path, quality=95)
        rows.append(ImageAnnotation(str(path), index, size[1], size[0], [[5, 6, 25, 31]], [0]))
    return Dataset(rows, ("person",), str(folder), "none")


@pytest.fixture(autouse=True)
def no_shared_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HKD_CACHE_FOLDER", str(tmp_path / "pictures"))


@pytest.mark.parametrize("cache", ["memory", "disk", "none"])
def test_a_resumed_stream_equals_the_uninterrupted_one(photos, cache):
    steps = steps_per_epoch(photos, 3)
    whole = take(stream(photos, cache=cache), 4 * steps)
    for epoch in (1, 3):
        resumed = take(stream(photos, cache=cache, first_epoch=epoch), (4 - epoch) * steps)
        assert_equal(resumed, whole[epoch * steps :])


def test_the_same_stream_can_be_read_twice(photos):
    batches = stream(photos)
    assert_equal(take(batches, 7), take(batches, 7))


def test_epochs_and_seeds_differ(photos):
    first, second = take(stream(photos, batch_size=8), 2)
    (other,) = take(stream(photos, batch_size=8, seed=2), 1)
    assert not np.array_equal(first[0], second[0])
    assert not np.array_equal(first[0], other[0])


@pytest.fixture(params=["photographs", "zoomed out", "two streams"])
def modes(request, photos):
    """Give a function from a mode to batches: half-size canvases and two streams among them."""
    dataset, options = photos, {}
    if request.param == "zoomed out":
        options["augmentation"] = Augmentation(scale=(0.3, 0.6))
    if request.param == "two streams":
        dataset = SemiSupervisedDataset(photos.select(range(4)), photos.select(range(4, 8)))
    return lambda cache: take(stream(dataset, cache=cache, **options), 5)


def test_every_mode_gives_the_same_bits(modes, tmp_path):
    expected = modes("memory")
    for cache in ("disk", "none", "auto", True, False):
        assert_equal(modes(cache), expected)
    assert len(os.listdir(tmp_path / "pictures")) == 1


def test_drawn_images_are_the_same_bits_where_nothing_is_kept():
    memory, none = (take(stream(numbered(8), cache=cache), 4) for cache in ("memory", "none"))
    assert_equal(none, memory)


def test_auto_does_without_memory(photos, monkeypatch, tmp_path, capsys):
    expected = take(stream(photos), 4)
    assert not (tmp_path / "pictures").exists()
    monkeypatch.setattr(free_memory, "available_memory_bytes", lambda: 1000)
    folder = tmp_path / "given"
    assert_equal(take(stream(photos, cache_folder=folder), 4), expected)
    assert (folder / os.listdir(folder)[0] / "facts.json").exists()
    assert "kept on disk" in capsys.readouterr().err
    monkeypatch.setattr(cache_mode, "missing_disk_bytes", lambda num_bytes, folder: 1)
    assert_equal(take(stream(photos, cache_folder=tmp_path / "full"), 4), expected)
    assert "decoded anew in every epoch" in capsys.readouterr().err
    take(stream(numbered(8)), 1)  # drawn: nowhere to be kept
    assert not (tmp_path / "full").exists()


def test_an_epoch_holds_each_image_at_most_once_and_drops_the_rest():
    dataset = numbered(8)
    batches = take(stream(dataset, augmentation=None), 6)
    assert steps_per_epoch(dataset, 3) == 2
    numbers = [np.round(images[:, 4, 4, 0] / 10).astype(int).tolist() for images, _ in batches]
    epochs = [sorted(numbers[i] + numbers[i + 1]) for i in (0, 2, 4)]
    assert all(len(set(epoch)) == 6 and set(epoch) <= set(range(8)) for epoch in epochs)
    assert numbers[:2] != numbers[2:4] != numbers[4:]


def test_labels_belong_to_their_images():
    for images, labels in take(stream(numbered(8), augmentation=None), 6):
        for image, classes in zip(images, labels["classes"], strict=True):
            assert (classes == 0).sum() == int(round(image[4, 4, 0] / 10)) % 3


def test_without_augmentation_boxes_are_letterboxed():
    dataset = pictures([plain(0, (60, 160))], [[[10, 20, 90, 50]]])
    ((images, labels),) = take(stream(dataset, batch_size=1, augmentation=None), 1)
    expected = Letterbox.fit((60, 160), (48, 64)).apply([10, 20, 90, 50])
    np.testing.assert_allclose(labels["boxes"][0, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(images[0, :23], 0, atol=1e-3)
    np.testing.assert_allclose(images[0, 25:], 114, atol=1e-3)


def test_shapes_are_static_and_types_are_fixed():
    spec_images, spec_labels = stream(numbered(8)).element_spec
    assert spec_images == tf.TensorSpec((3, 48, 64, 3), tf.float32)
    assert spec_labels["boxes"] == tf.TensorSpec((3, 2, 4), tf.float32)
    assert spec_labels["classes"] == tf.TensorSpec((3, 2), tf.float32)
    assert spec_labels["ignore_boxes"].shape[::2] == (3, 4)
    spec_images, spec_labels = stream(numbered(8), ignore_regions=False, max_boxes=9).element_spec
    assert set(spec_labels) == {"boxes", "classes"}
    assert spec_labels["boxes"].shape == (3, 9, 4)


def test_padding_is_minus_one_and_comes_last():
    for _, labels in take(stream(numbered(8), max_boxes=5), 8):
        is_person = labels["classes"] >= 0
        assert (np.diff(is_person.astype(int), axis=1) <= 0).all()
        assert (labels["boxes"][~is_person] == -1).all()
        assert (labels["classes"][~is_person] == -1).all()
        assert (labels["boxes"][is_person] >= 0).all()


@pytest.mark.parametrize("size", [(96, 128), (300, 120), (50, 70)])
def test_boxes_follow_pixels(size):
    """A green rectangle on red: the label bounds the green pixels of the view."""
    image = np.zeros((*size, 3), np.uint8)
    image[..., 0] = 255
    top, left, bottom, right = (
        int(f * s) for f, s in zip((0.3, 0.4, 0.6, 0.7), size * 2, strict=True)
    )
    image[top:bottom, left:right] = (0, 255, 0)
    dataset = pictures([image] * 4, [[[left, top, right, bottom]]] * 4)
    jitter = Augmentation(**NO_COLOUR, translate=0.3, min_visible=0.01)
    num_seen = 0
    for images, labels in take(stream(dataset, batch_size=4, augmentation=jitter), 12):
        for picture, boxes in zip(images, labels["boxes"], strict=True):
            # By one grey level: channels of the grey around differ in the last bit of a product.
            green = np.argwhere(picture[..., 1] - picture[..., 0] > 1)
            if boxes[0, 0] < 0:
                continue
            num_seen += 1
            found = [*green.min(0)[::-1], *(green.max(0)[::-1] + 1)]
            np.testing.assert_allclose(boxes[0], found, atol=1.5)
    assert num_seen > 30


def test_pictures_are_not_mirrored_by_mistake():
    """The left half is dark: with flips off it stays on the left, with flips on both occur."""
    image = np.concatenate([plain(20, (40, 30)), plain(220, (40, 30))], axis=1)
    dataset = pictures([image] * 4)
    quiet = Augmentation(**NO_COLOUR, scale=(1, 1), aspect=(1, 1), translate=0, flip=False)
    for flip, expected in ((False, {True}), (True, {True, False})):
        batches = take(stream(dataset, augmentation=dataclasses.replace(quiet, flip=flip)), 6)
        dark_left = {bool(v[20, 8, 0] < v[20, 55, 0]) for images, _ in batches for v in images}
        assert dark_left == expected


def test_people_out_of_view_are_dropped_by_the_stated_rule():
    """Independent arithmetic on an untouched copy of the boxes, kept by min_visible=0."""
    boxes = [[[2, 2, 20, 38], [30, 10, 50, 30], [40, 1, 44, 5]]]
    dataset = pictures([plain(50)], boxes)
    loose = Augmentation(min_visible=0.0, min_side_px=0.0, translate=0.6)
    strict = dataclasses.replace(loose, min_visible=0.5, min_side_px=4.0)
    num_dropped = 0
    for (_, all_labels), (_, labels) in zip(
        take(stream(dataset, batch_size=1, augmentation=loose), 40),
        take(stream(dataset, batch_size=1, augmentation=strict), 40),
        strict=True,
    ):
        kept = {tuple(box) for box in labels["boxes"][0] if box[0] >= 0}
        ignored = {tuple(box) for box in labels["ignore_boxes"][0] if box[0] >= 0}
        shown = [tuple(box) for box in all_labels["boxes"][0]]
        assert kept <= set(shown)
        for box in set(shown) - kept:
            width, height = box[2] - box[0], box[3] - box[1]
            touches_edge = box[0] == 0 or box[1] == 0 or box[2] == 64 or box[3] == 48
            assert touches_edge or min(width, height) < 4
            assert (box in ignored) == (width > 0 and height > 0)
            num_dropped += 1
        for box in kept:
            assert min(box[2] - box[0], box[3] - box[1]) >= 4
    assert num_dropped > 10


def test_ignore_regions_are_never_people():
    boxes = [[[1, 1, 20, 30], [22, 1, 50, 38]]] * 3
    dataset = pictures([plain(50)] * 3, boxes, ignore=[[False, True]] * 3)
    ((_, labels),) = take(stream(dataset, augmentation=None), 1)
    person, region = (np.array(box) * 64 / 56 for box in boxes[0])
    np.testing.assert_allclose(labels["boxes"][0], [person], rtol=1e-6)
    np.testing.assert_allclose(labels["ignore_boxes"][0, 0], region, rtol=1e-6)
    for images, labels in take(stream(dataset), 10):
        assert labels["boxes"].shape == (3, 1, 4) and len(images) == 3


def test_classes_are_kept():
    dataset = pictures([plain(1)], [[[1, 1, 9, 9], [5, 5, 30, 30]]], classes=[[2, 1]])
    ((_, labels),) = take(stream(dataset, batch_size=1, augmentation=None), 1)
    assert labels["classes"].tolist() == [[2, 1]]


def test_of_too_many_people_the_largest_stay_and_the_others_are_ignored():
    boxes = [[[0, 0, 4, 4], [0, 0, 30, 30], [0, 0, 5, 5], [0, 0, 20, 20]]]
    dataset = pictures([plain(1, (48, 64))], boxes)
    ((_, labels),) = take(stream(dataset, batch_size=1, augmentation=None, max_boxes=2), 1)
    assert labels["boxes"][0, :, 2].tolist() == [30, 20]
    assert sorted(box[2] for box in labels["ignore_boxes"][0] if box[0] >= 0) == [4, 5]


def test_images_without_people():
    dataset = pictures([plain(9 * i) for i in range(4)])
    batches = take(stream(dataset), 5)
    assert all((labels["boxes"] == -1).all() for _, labels in batches)
    assert batches[0][1]["boxes"].shape == (3, 1, 4)
    (_, labels), *_ = take(evaluation_batches(dataset, image_size=(48, 64), batch_size=4), 1)
    assert (labels["classes"] == -1).all()


def test_zoomed_out_pictures_lie_on_grey():
    small = Augmentation(scale=(0.4, 0.4), aspect=(1, 1), translate=0)
    for images, _ in take(stream(numbered(6), augmentation=small), 4):
        grey = (np.abs(images - 114) < 0.01).all(-1).mean(axis=(1, 2))
        assert (grey > 0.7).all()
        assert images.min() >= 0 and images.max() <= 255


def test_shrunk_stripes_do_not_alias():
    """Far beyond the canvas's own size the half-size canvas is read."""
    stripes = np.zeros((72, 96, 3), np.uint8)
    stripes[:, ::2] = 255
    small = Augmentation(scale=(0.5, 0.5), aspect=(1, 1), translate=0, **NO_COLOUR)
    (images, _), *_ = take(stream(pictures([stripes] * 3), augmentation=small), 1)
    inside = np.abs(images - 114) > 1
    assert np.ptp(images[inside & (images > 100) & (images < 160)]) < 40
    assert images.max() < 200


def test_evaluation_is_in_order_with_a_smaller_last_batch(photos):
    batches = take(evaluation_batches(photos, image_size=(48, 64), batch_size=3), 99)
    assert [len(images) for images, _ in batches] == [3, 3, 2]
    boxes = np.concatenate([labels["boxes"] for _, labels in batches])
    for annotation, found in zip(photos, boxes, strict=True):
        letterbox = Letterbox.fit((annotation.height, annotation.width), (48, 64))
        np.testing.assert_allclose(found, letterbox.apply(annotation.boxes), rtol=1e-5)


def test_evaluation_images_equal_the_letterbox(photos):
    images = np.concatenate(list(prediction_batches(photos, image_size=(48, 64), batch_size=5)))
    again = np.concatenate(
        list(prediction_batches(photos, image_size=(48, 64), batch_size=5, cache=True))
    )
    for index, annotation in enumerate(photos):
        letterbox = Letterbox.fit((annotation.height, annotation.width), (48, 64))
        expected = letterbox.resize(photos.load_image(index)).astype(float)
        assert np.abs(images[index] - expected).max() < 8
        assert np.abs(images[index] - expected).mean() < 0.6
        assert np.abs(again[index] - expected).mean() < 0.6


def test_evaluation_static_sizes_and_same_images_as_prediction(photos):
    options = {"image_size": (48, 64), "batch_size": 3}
    batches = evaluation_batches(photos, ignore_regions=True, **options)
    images, labels = batches.element_spec
    assert images.shape.as_list() == [None, 48, 64, 3]
    assert labels["boxes"].shape.as_list() == [None, 1, 4]
    assert "ignore_boxes" in labels
    for (images, _), predicted in zip(batches, prediction_batches(photos, **options), strict=True):
        np.testing.assert_array_equal(images, predicted)


def test_evaluation_keeps_small_people():
    dataset = pictures([plain(5, (480, 640))], [[[0, 0, 4, 9]]])
    ((_, labels),) = take(evaluation_batches(dataset, image_size=(48, 64), batch_size=1), 1)
    assert labels["classes"].tolist() == [[0]]


def test_a_batch_larger_than_the_set_is_refused():
    with pytest.raises(ValueError, match=r"the dataset holds 8 images.*Received: batch_size=9"):
        stream(numbered(8), batch_size=9)
    with pytest.raises(ValueError, match="the dataset holds 0 images.*Received: batch_size=1"):
        steps_per_epoch(numbered(0), 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [("batch_size", 0), ("batch_size", 2.5), ("seed", -1), ("first_epoch", -1), ("seed", "1"),
     ("max_boxes", 0), ("image_size", (0, 3))],
)  # fmt: skip
def test_arguments_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be .*{re.escape(repr(value))}"):
        stream(numbered(8), **{name: value})


def test_images_without_a_file_are_not_kept_on_disk():
    with pytest.raises(ValueError, match="'pictures in memory'.*cache='auto'"):
        stream(numbered(8), cache="disk")


def test_drawn_images_that_do_not_fit_are_drawn_for_each_evaluation(monkeypatch):
    options = {"image_size": (48, 64), "batch_size": 3}
    expected = take(evaluation_batches(numbered(8), **options), 3)
    monkeypatch.setattr(free_memory, "available_memory_bytes", lambda: 1000)
    assert_equal(take(evaluation_batches(numbered(8), **options), 3), expected)


def test_empty_sets_are_refused():
    with pytest.raises(ValueError, match="at least one image"):
        evaluation_batches(numbered(0), image_size=(48, 64), batch_size=1)
    with pytest.raises(ValueError, match="at least one image"):
        prediction_batches(numbered(0), image_size=(48, 64), batch_size=1)


def test_an_image_of_another_size_than_annotated_is_refused(photos):
    wrong = dataclasses.replace(photos[2], width=99)
    dataset = dataclasses.replace(photos, annotations=[*photos.annotations[:2], wrong])
    with pytest.raises(BadDataError, match=r"2\.jpg.*\(33, 99, 3\).*\(33, 77, 3\)"):
        stream(dataset)
    with pytest.raises(tf.errors.InvalidArgumentError, match="another size than its annotation"):
        take(evaluation_batches(dataset, image_size=(48, 64), batch_size=3), 1)


def test_large_seeds_work():
    assert take(stream(numbered(4), seed=2**40 + 5), 1)
