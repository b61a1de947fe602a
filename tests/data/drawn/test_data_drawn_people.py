"""Figures: upright, of the height that was asked for, in every pose and dress."""

import numpy as np
import pytest

from keras_hkd.data.drawn.people import draw_person, random_look, random_pose, stone_look

SEEDS = range(40)


def draw(seed, height_px=100.0, child=False):
    rng = np.random.default_rng(seed)
    look, pose = random_look(rng), random_pose(rng)
    return draw_person(rng, height_px, look, pose, child), look, pose


@pytest.mark.parametrize("seed", SEEDS)
def test_bodies_stand_on_the_ground_and_are_about_as_tall_as_asked(seed):
    sprite, _, pose = draw(seed)
    left, top, right, bottom = sprite.whole_box
    height, width = bottom - top, right - left
    ground = sprite.px([(0, 0)])[0][1]
    assert abs(bottom - ground) <= 8
    low, high = {"standing": (90, 125), "walking": (80, 125)}.get(pose.kind, (50, 125))
    assert low <= height <= high
    assert 15 <= width <= 115
    assert 0.15 * height * width <= sprite.num_whole_pixels <= 0.9 * height * width


def test_all_poses_and_dresses_occur():
    drawn = [draw(seed, 40.0)[1:] for seed in range(150)]
    assert {pose.kind for _, pose in drawn} == {
        "standing",
        "walking",
        "running",
        "sitting",
        "bending",
    }
    assert {pose.facing for _, pose in drawn} == {"front", "back", "side"}
    assert len({look.head_kind for look, _ in drawn}) == 8
    assert len({look.bottom_kind for look, _ in drawn}) == 4
    assert len({look.carries for look, _ in drawn}) == 5


def test_the_same_seed_draws_the_same_figure():
    first, again, other = draw(1)[0], draw(1)[0], draw(2)[0]
    assert first.image.tobytes() == again.image.tobytes()
    assert first.image.tobytes() != other.image.tobytes()


def test_statues_have_one_colour():
    rng = np.random.default_rng(0)
    for _ in range(10):
        sprite = draw_person(rng, 80.0, stone_look(rng), random_pose(rng))
        pixels = np.asarray(sprite.image).astype(int)[np.asarray(sprite.body) > 0]
        assert (np.ptp(pixels, axis=1) < 40).all()


def test_tiny_figures_can_be_drawn():
    sprite, _, _ = draw(0, height_px=3.0)
    assert sprite.whole_box is not None
