"""Drawn scenes: a function of the seed, boxes that are exact, and enough variety."""

import numpy as np
import pytest

from keras_hkd.data.dataset import Dataset
from keras_hkd.data.drawn import scenes as drawn_scenes
from keras_hkd.data.drawn.scenes import (
    MIN_LABELLED_VISIBILITY,
    SyntheticDataset,
    draw_scene,
    synthetic_dataset,
)

SIZE = (96, 128)


@pytest.fixture(scope="module")
def scenes():
    return synthetic_dataset(60, SIZE, seed=3)


def same(left, right):
    names = ("boxes", "classes", "ignore", "visible_boxes")
    return left.image_id == right.image_id and all(
        np.array_equal(getattr(left, name), getattr(right, name)) for name in names
    )


def test_a_scene_is_a_function_of_the_seed():
    image, annotation = draw_scene((5, 2), SIZE)
    again, again_annotation = draw_scene((5, 2), SIZE)
    np.testing.assert_array_equal(image, again)
    assert same(annotation, again_annotation)
    assert not np.array_equal(image, draw_scene((5, 3), SIZE)[0])
    assert not np.array_equal(image, draw_scene((6, 2), SIZE)[0])


def test_scenes_do_not_depend_on_the_number_of_images(scenes):
    fewer = synthetic_dataset(3, SIZE, seed=3)
    for index in range(3):
        np.testing.assert_array_equal(fewer.load_image(index), scenes.load_image(index))
        assert same(fewer[index], scenes[index])


def test_sets_too_large_to_keep_are_drawn_anew(scenes, monkeypatch):
    monkeypatch.setattr(drawn_scenes, "_MAX_KEPT_BYTES", 0)
    drawn = synthetic_dataset(3, SIZE, seed=3)
    assert drawn.images is None and scenes.images is not None
    for index in (2, 0, -1):
        at = index % 3
        np.testing.assert_array_equal(drawn.load_image(index), scenes.load_image(at))
    with pytest.raises(IndexError):
        drawn.load_image(3)


def test_images_and_annotations_fit_together(scenes):
    assert len(scenes) == 60 and scenes.class_names == ("person",)
    assert len({annotation.image_id for annotation in scenes}) == 60
    for index, annotation in enumerate(scenes):
        image = scenes.load_image(index)
        assert image.shape == (*SIZE, 3) and image.dtype == np.uint8
        assert (annotation.height, annotation.width) == SIZE
        assert annotation.image_path == "" and (annotation.classes == 0).all()


def test_boxes_lie_in_the_image_and_visible_boxes_in_boxes(scenes):
    for annotation in scenes:
        boxes, visible = annotation.boxes, annotation.visible_boxes
        assert (boxes >= 0).all() and (boxes <= [SIZE[1], SIZE[0]] * 2).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all() and (visible[:, 2:] > visible[:, :2]).all()
        assert (visible[:, :2] >= boxes[:, :2]).all() and (visible[:, 2:] <= boxes[:, 2:]).all()


def test_the_scenes_are_varied(scenes):
    counts = np.array([np.count_nonzero(~annotation.ignore) for annotation in scenes])
    assert (counts == 0).any() and counts.max() >= 6 and 2 <= counts.mean() <= 8
    boxes = np.concatenate([annotation.boxes[~annotation.ignore] for annotation in scenes])
    heights = (boxes[:, 3] - boxes[:, 1]) / SIZE[0]
    assert 0.15 < np.median(heights) < 0.35
    assert np.quantile(heights, 0.05) < 0.12 and np.quantile(heights, 0.95) > 0.45
    assert any(annotation.ignore.any() for annotation in scenes)
    assert scenes.has_visible_boxes
    assert np.std([scenes.load_image(index).mean() for index in range(60)]) > 15


def draw_alone(seed, crowd=0):
    scene = drawn_scenes._Scene(np.random.default_rng(seed), (128, 128))
    scene.horizon, scene.eye_height = 0.2, 1.0
    before = np.asarray(scene.picture).astype(int)
    scene.place(drawn_scenes._Actor(0.5, 0.5, 0.5, True, crowd))
    return scene, before


@pytest.mark.parametrize("seed", range(5))
def test_the_box_of_one_person_bounds_what_was_drawn(seed):
    scene, before = draw_alone(seed)
    annotation = scene.annotate(1)
    ((sprite, _, _),) = scene.people
    owned = np.argwhere(np.asarray(scene.owners) == 1) / 2
    (box,), (visible,) = annotation.boxes, annotation.visible_boxes
    np.testing.assert_allclose(visible, [*owned.min(0)[::-1], *(owned.max(0)[::-1] + 0.5)])
    changed = np.argwhere(np.abs(np.asarray(scene.picture) - before).sum(-1) > 0) / 2
    assert (changed.min(0)[::-1] <= box[:2]).all() and (changed.max(0)[::-1] + 0.5 >= box[2:]).all()
    # whole and visible differ only by what the person carries in front of the body
    assert len(owned) >= 0.6 * sprite.num_whole_pixels


def test_a_half_hidden_person_has_the_visible_half():
    scene, _ = draw_alone(1)
    whole = scene.annotate(1).boxes[0]
    middle = int(whole[1] + whole[3])  # in pixels of the map, which is twice as large
    scene.owners.paste(0, (0, 0, 256, middle))
    annotation = scene.annotate(1)
    np.testing.assert_array_equal(annotation.boxes[0], whole)
    assert annotation.visible_boxes[0, 1] == middle / 2
    assert not annotation.ignore[0]


def test_people_barely_visible_are_ignored_and_hidden_ones_left_out():
    scene, _ = draw_alone(1)
    ((sprite, _, _),) = scene.people
    owners = np.array(scene.owners)
    lines = np.flatnonzero((owners == 1).any(1))
    for line in lines:
        if np.count_nonzero(owners == 1) < MIN_LABELLED_VISIBILITY * sprite.num_whole_pixels:
            break
        owners[line] = 0
    scene.owners = drawn_scenes.Image.fromarray(owners)
    assert scene.annotate(1).ignore.tolist() == [True]
    scene.owners.paste(0, (0, 0, 256, 256))
    assert scene.annotate(1).num_boxes == 0


def test_a_crowd_is_one_ignore_region():
    scene, _ = draw_alone(1, crowd=1)
    scene.place(drawn_scenes._Actor(0.7, 0.5, 0.5, True, 1))
    annotation = scene.annotate(1)
    assert annotation.ignore.tolist() == [True]
    owned = np.argwhere(np.asarray(scene.owners) > 0) / 2
    expected = [*owned.min(0)[::-1], *(owned.max(0)[::-1] + 0.5)]
    np.testing.assert_allclose(annotation.boxes[0], expected)


def test_choices_and_unions_keep_drawing(scenes):
    chosen = scenes.select([7, 2])
    np.testing.assert_array_equal(chosen.load_image(1), scenes.load_image(2))
    merged = Dataset.merge([synthetic_dataset(2, SIZE, 1), synthetic_dataset(2, SIZE, 2)])
    assert len(merged) == 4 and merged.load_image(3).shape == (*SIZE, 3)


def test_content_hash_tells_sets_apart(scenes):
    assert synthetic_dataset(3, SIZE, 3).content_hash == scenes.subset(3).content_hash
    assert synthetic_dataset(3, SIZE, 4).content_hash != scenes.subset(3).content_hash


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (120, 40)])
def test_odd_sizes(size):
    image, annotation = draw_scene(1, size)
    assert image.shape == (*size, 3) and (annotation.height, annotation.width) == size


def test_arguments_out_of_range_are_refused():
    with pytest.raises(ValueError, match="`image_size` must be .* at least 32"):
        draw_scene(1, (16, 200))
    with pytest.raises(ValueError, match="`num_images` must be .* at least 1"):
        synthetic_dataset(0, SIZE, 1)
    with pytest.raises(ValueError, match="`seed` must be .* at least 0"):
        synthetic_dataset(1, SIZE, -1)
    with pytest.raises(ValueError, match="`image_size`"):
        synthetic_dataset(1, 64, 1)


def test_type():
    assert isinstance(synthetic_dataset(1, SIZE, 1), SyntheticDataset)


def test_a_nearer_camera_and_no_crowds():
    far, near = (
        synthetic_dataset(40, SIZE, seed=3, person_height=height, crowd_chance=0.0)
        for height in (0.2, 0.4)
    )
    heights = [
        np.median(np.concatenate([a.boxes[:, 3] - a.boxes[:, 1] for a in scenes]))
        for scenes in (far, near)
    ]
    assert 1.5 < heights[1] / heights[0] < 2.1
    assert not np.array_equal(near.load_image(0), far.load_image(0))
    again = draw_scene((3, 0), SIZE, person_height=0.4, crowd_chance=0.0)[0]
    assert np.array_equal(near.load_image(0), again)
    crowded = synthetic_dataset(40, SIZE, seed=3, crowd_chance=1.0)
    assert crowded.num_boxes > 2 * synthetic_dataset(40, SIZE, seed=3, crowd_chance=0.0).num_boxes


@pytest.mark.parametrize(
    "options",
    [{"person_height": 0.0}, {"person_height": 1.0}, {"crowd_chance": 1.1}, {"mean_things": -1}],
)
def test_scenes_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        draw_scene(0, SIZE, **options)
