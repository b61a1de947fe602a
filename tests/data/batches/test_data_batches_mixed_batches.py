"""Mosaics, blends, pasted people, several sizes: labels lie on what they label."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_hkd.data import SemiSupervisedDataset, StoredViews, stored_view_batches
from keras_hkd.data.annotations import ImageAnnotation
from keras_hkd.data.batches.augmentation import Augmentation
from keras_hkd.data.batches.mixed_batches import USUAL_PLACES
from keras_hkd.data.batches.pipeline import steps_per_epoch, training_batches
from keras_hkd.data.dataset import Dataset

STILL = {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0}
GREY, SIZE = 114, (48, 64)
EVERYTHING = {"mosaic": 0.5, "mixup": 0.5, "copy_paste": 0.7, "copy_paste_people": 1}


@dataclasses.dataclass(frozen=True, eq=False)
class Pictures(Dataset):
    """Images in memory."""

    images: tuple = ()

    def load_image(self, index):
        return self.images[index]


def scenes(count=6, boxes_of=None, channel=1, seed=0):
    """Grey pictures in which whatever is marked is bright in one channel, and nothing else is."""
    rng, rows, images = np.random.default_rng(seed), [], []
    for index in range(count):
        height, width = rng.integers(60, 130, 2)
        image = np.full((height, width, 3), GREY, np.uint8)
        boxes, ignore = [], []
        for left in (0.08, 0.55):
            x, y = int(width * (left + 0.06 * rng.random())), int(height * rng.uniform(0.15, 0.3))
            boxes.append([x, y, x + width // 4, y + height // 2])
            ignore.append(bool(left > 0.5 and index % 2))
        if boxes_of is not None:
            boxes, ignore = boxes_of, [False] * len(boxes_of)
        for x1, y1, x2, y2 in boxes:
            image[y1:y2, x1:x2, channel] = 255
        rows.append(
            ImageAnnotation(
                f"{seed}-{index}.png" if seed else "",
                index + 100 * seed,
                width,
                height,
                boxes=boxes,
                classes=np.zeros(len(boxes)),
                ignore=ignore,
            )
        )
        images.append(image)
    return Pictures(rows, ("person",), f"scenes {seed}", f"{seed}", (), tuple(images))


def take(batches, count):
    return [
        (images.numpy(), {name: value.numpy() for name, value in labels.items()})
        for images, labels in itertools.islice(batches, count)
    ]


def stream(dataset, *, still=True, **options):
    names = {field.name for field in dataclasses.fields(Augmentation)}
    mixing = {name: options.pop(name) for name in [*options] if name in names}
    defaults = {"image_size": SIZE, "batch_size": 3, "seed": 1, "ignore_regions": True}
    augmentation = Augmentation(**{**(STILL if still else {}), **mixing})
    return training_batches(dataset, **{**defaults, **options}, augmentation=augmentation)


def assert_equal(left, right):
    assert len(left) == len(right) > 0
    for (images, labels), (other_images, other_labels) in zip(left, right, strict=True):
        np.testing.assert_array_equal(images, other_images)
        for name in labels:
            np.testing.assert_array_equal(labels[name], other_labels[name])


def there(boxes):
    return boxes[boxes[:, 0] >= 0]


def painted(boxes, size, grow):
    """A mask of the union of boxes, each grown by so many pixels."""
    y, x = (np.arange(side)[:, None] + 0.5 if i == 0 else np.arange(side)[None] + 0.5
            for i, side in enumerate(size))  # fmt: skip
    mask = np.zeros(size, bool)
    for x1, y1, x2, y2 in boxes:
        mask |= (x > x1 - grow) & (x < x2 + grow) & (y > y1 - grow) & (y < y2 + grow)
    return mask


@pytest.mark.slow
@pytest.mark.parametrize(
    "mixing",
    [{"mosaic": 1.0}, {"mixup": 1.0}, {"mosaic": 0.5, "mixup": 0.6, "sizes": (SIZE, (80, 72))}],
    ids=["mosaic", "mixup", "both, of two sizes"],
)
def test_what_is_marked_is_what_is_bright(mixing):
    """Every bright pixel lies in a box or an ignore region, and these hold bright pixels alone."""
    num_boxes = num_regions = 0
    for images, labels in take(stream(scenes(), **mixing), 12):
        for picture, boxes, regions in zip(
            images, labels["boxes"], labels["ignore_boxes"], strict=True
        ):
            marked = np.concatenate([there(boxes), there(regions)])
            bright = picture[..., 1] - picture[..., 0] > 12
            size = picture.shape[:2]
            assert not (bright & ~painted(marked, size, 1.5)).any()
            assert bright[painted(marked, size, -1.5)].all()
            num_boxes, num_regions = (
                num_boxes + len(there(boxes)),
                num_regions + len(there(regions)),
            )
    assert num_boxes > 60 and num_regions > 20


@pytest.mark.slow
def test_a_mosaic_shows_four_pictures_and_a_blend_two():
    one = [[20, 15, 40, 45]]
    for mixing, most in (({"mosaic": 1.0}, 4), ({"mixup": 1.0}, 2), ({"mosaic": 1, "mixup": 1}, 5)):
        batches = take(stream(scenes(8, one), min_visible=0, min_side_px=0, **mixing), 8)
        counts = [len(there(row)) for _, labels in batches for row in labels["boxes"]]
        assert max(counts) == most
        assert batches[0][1]["boxes"].shape[1] == most


@pytest.mark.slow
def test_pasted_people_are_seen_and_hide_no_more_than_allowed():
    cover, num_pasted = 0.2, 0
    plain = take(stream(scenes()), 20)
    mixed = take(stream(scenes(), copy_paste=1.0, copy_paste_cover=cover), 20)
    for (_, before), (images, labels) in zip(plain, mixed, strict=True):
        for old, picture, boxes in zip(before["boxes"], images, labels["boxes"], strict=True):
            old, boxes = there(old), there(boxes)
            np.testing.assert_array_equal(boxes[: len(old)], old)  # they stay labels
            bright = picture[..., 1] - picture[..., 0] > 12
            assert not (bright & ~painted(boxes, SIZE, 1.5))[painted(old, SIZE, 0)].any()
            for number, box in enumerate(boxes):
                inside = painted([box], SIZE, -1.0)
                if inside.sum() > 30:
                    # Of the last nobody hides anything; a rim of two pixels is blurred.
                    least = 0.97 if number == len(boxes) - 1 else 1 - cover - 0.15
                    assert bright[inside].mean() > least
            num_pasted += len(boxes) - len(old)
    assert num_pasted > 30


def test_the_soft_edge_falls_from_the_box_outwards():
    """A person on black, pasted into grey: around the box the black fades."""
    rows, images = [], []
    for index in range(3):
        image = np.full((96, 128, 3), GREY if index else 0, np.uint8)
        boxes = [] if index else [[44, 20, 84, 76]]
        for x1, y1, x2, y2 in boxes:
            image[y1:y2, x1:x2] = 255
        rows.append(ImageAnnotation("", index, 128, 96, boxes=boxes, classes=[0] * len(boxes)))
        images.append(image)
    dataset = Pictures(rows, ("person",), "edge", "edge", (), tuple(images))
    still = {"scale": (1, 1), "aspect": (1, 1), "translate": 0, "flip": False}
    seen = 0
    for pictures, labels in take(
        stream(dataset, copy_paste=1.0, copy_paste_people=1, copy_paste_scale=(1, 1), **still), 8
    ):
        for picture, boxes in zip(pictures, labels["boxes"], strict=True):
            if len(there(boxes)) != 1 or picture.min() > GREY - 5:
                continue  # nobody, or the black picture itself
            if picture[0, 0, 0] < 5:
                continue
            x1, y1, x2, y2 = np.round(boxes[0]).astype(int)
            middle = picture[(y1 + y2) // 2, :, 0]
            assert middle[x1 + 2 : x2 - 2].min() > 250
            edge = middle[max(x1 - 2, 0) : x1]
            assert 0 < edge.min() < GREY  # darker than grey, never black
            assert np.abs(middle[: max(x1 - 4, 0)] - GREY).max(initial=0) < 1
            seen += 1
    assert seen >= 3


@pytest.mark.slow
def test_the_first_epochs_alone_are_mixed_and_others_are_views_as_without():
    dataset = scenes()
    steps = steps_per_epoch(dataset, 3)
    mixed = take(stream(dataset, still=False, mosaic=1.0, mixup=1.0, mixed_epochs=2), 4 * steps)
    plain = take(stream(dataset, still=False), 4 * steps)
    for number, ((images, labels), (others, expected)) in enumerate(zip(mixed, plain, strict=True)):
        same = np.abs(images - others).max() < 0.01
        assert same == (number >= 2 * steps)
        if same:
            width = expected["boxes"].shape[1]
            np.testing.assert_array_equal(labels["boxes"][:, :width], expected["boxes"])
            assert (labels["boxes"][:, width:] == -1).all()
            regions = [len(there(row)) for row in expected["ignore_boxes"]]
            assert [len(there(row)) for row in labels["ignore_boxes"]] == regions


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The scenes as PNG files."""
    folder, drawn = tmp_path_factory.mktemp("scenes"), scenes()
    rows = []
    for index, annotation in enumerate(drawn):
        path = folder / f"{index}.png"
        Image.fromarray(drawn.images[index]).save(path)
        rows.append(dataclasses.replace(annotation, image_path=str(path)))
    return Dataset(rows, ("person",), str(folder), "none")


@pytest.mark.slow
@pytest.mark.parametrize("cache", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_resumed_stream_equals_the_uninterrupted_one(files, cache):
    steps, mixing = steps_per_epoch(files, 3), {"mosaic": 0.5, "sizes": (SIZE, (32, 32))}
    mixing["mixed_epochs"] = 3
    whole = take(stream(files, cache=cache, still=False, **mixing), 4 * steps)
    resumed = take(stream(files, cache=cache, still=False, first_epoch=2, **mixing), 2 * steps)
    assert_equal(resumed, whole[2 * steps :])
    assert {images.shape[1:3] for images, _ in whole} == {SIZE, (32, 32)}


@pytest.mark.long
def test_reading_files_gives_what_the_cache_gives(files):
    cached, read = (take(stream(files, cache=cache, **EVERYTHING), 4) for cache in (True, False))
    for (images, labels), (other_images, other_labels) in zip(cached, read, strict=True):
        assert np.abs(images - other_images).mean() < 1
        np.testing.assert_array_equal(labels["boxes"], other_labels["boxes"])


@pytest.mark.long
def test_the_shares_of_two_processes_are_the_batch():
    options = {"batch_size": 4, "mosaic": 0.5, "sizes": (SIZE, (32, 32))}
    whole = take(stream(scenes(), **options), 4)
    first, second = (take(stream(scenes(), share=(n, 2), **options), 4) for n in (0, 1))
    for (images, labels), (left, left_labels), (right, right_labels) in zip(
        whole, first, second, strict=True
    ):
        np.testing.assert_allclose(images, np.concatenate([left, right]), atol=1e-3)
        for name in labels:
            parts = [left_labels[name], right_labels[name]]
            np.testing.assert_allclose(labels[name], np.concatenate(parts), atol=1e-3)


@pytest.mark.slow
def test_seeds_differ():
    first, other = (take(stream(scenes(), seed=seed, mosaic=1.0), 1)[0][0] for seed in (1, 2))
    assert np.abs(first - other).max() > 50


@pytest.mark.slow
def test_shapes_are_known_but_for_the_size_where_there_are_several():
    images, labels = stream(scenes(), mosaic=0.5).element_spec
    assert images == tf.TensorSpec((3, *SIZE, 3), tf.float32)
    assert labels["boxes"].shape == (3, 2 * 4, 4) and labels["classes"].shape == (3, 8)
    images, labels = stream(scenes(), sizes=(32, SIZE), max_boxes=7).element_spec
    assert images.shape.as_list() == [3, None, None, 3]
    assert labels["boxes"].shape == (3, 7, 4)
    assert set(stream(scenes(), mosaic=1, ignore_regions=False).element_spec[1]) == {
        "boxes", "classes",
    }  # fmt: skip


@pytest.mark.slow
def test_of_too_many_people_the_largest_stay_and_the_others_are_ignored():
    options = {"mosaic": 1.0, "min_visible": 0, "min_side_px": 0}
    every = take(stream(scenes(), **options), 6)
    few = take(stream(scenes(), max_boxes=2, **options), 6)
    for (_, whole), (_, labels) in zip(every, few, strict=True):
        for all_boxes, boxes, regions in zip(
            whole["boxes"], labels["boxes"], labels["ignore_boxes"], strict=True
        ):
            area = lambda b: (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])  # noqa: E731
            all_boxes, boxes = there(all_boxes), there(boxes)
            np.testing.assert_allclose(sorted(area(boxes)), sorted(area(all_boxes))[-2:], rtol=1e-5)
            rest = {tuple(box) for box in all_boxes} - {tuple(box) for box in boxes}
            assert rest <= {tuple(box) for box in regions}


def test_crowds_have_the_usual_places_at_most():
    crowd = [[3 * i, 10, 3 * i + 3, 40] for i in range(18)]  # of four such images 72
    assert stream(scenes(3, crowd), mosaic=1.0).element_spec[1]["boxes"].shape[1] == USUAL_PLACES


@pytest.mark.slow
def test_labelled_batches_are_mixed_from_labelled_images_alone():
    """Unlabelled pictures are bright in blue."""
    dataset = SemiSupervisedDataset(scenes(4), scenes(4, channel=2, seed=7))
    mixing = {"mosaic": 1.0, "copy_paste": 1.0, "copy_paste_people": 1}
    batches = take(stream(dataset, **mixing), 8)
    blue = [bool((images[..., 2] - images[..., 0] > 12).any()) for images, _ in batches]
    assert blue[::2] == [False] * 4 and any(blue[1::2])


def test_what_a_teacher_said_beforehand_is_not_mixed():
    for mixing in ({"mosaic": 0.1}, {"sizes": (32, 48)}):
        with pytest.raises(ValueError, match=r"belongs to views of single.*Received: {"):
            stored_view_batches(
                scenes(), [0], image_size=SIZE, batch_size=1, views=StoredViews(1),
                augmentation=Augmentation(**mixing),
            )  # fmt: skip
        with pytest.raises(ValueError, match="belongs to views of single"):
            stream(scenes(), stored=type("Stored", (), {"views": None}), **mixing)


def test_nobody_to_paste_is_refused():
    touching = [[0, 0, 30, 50]]
    with pytest.raises(ValueError, match="copy_paste needs labelled people"):
        stream(scenes(3, touching), copy_paste=0.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [("mosaic", 1.5), ("mixup", -0.1), ("mixup_share", (0.5, 1.0)), ("copy_paste_people", 0),
     ("mosaic_scale", (0.0, 1.0)), ("mixed_epochs", -1), ("sizes", (0,))],
)  # fmt: skip
def test_values_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        Augmentation(**{name: value})
