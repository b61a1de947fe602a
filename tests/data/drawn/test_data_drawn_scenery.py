"""Places and things: none of them is a person, all of them can be drawn."""

import numpy as np
import pytest

from keras_hkd.data.drawn import scenery
from keras_hkd.data.drawn.scenery import draw_place, draw_thing
from keras_hkd.data.drawn.sprites import Sprite


@pytest.mark.parametrize("seed", range(12))
def test_places_have_the_size_and_are_not_one_colour(seed):
    place = draw_place(np.random.default_rng(seed), (48, 80), 0.4)
    pixels = np.asarray(place)
    assert pixels.shape == (48, 80, 3) and pixels.std() > 3


def test_places_differ_and_repeat_with_their_seed():
    first, again, other = (draw_place(np.random.default_rng(s), (48, 80), 0.4) for s in (0, 0, 1))
    assert first.tobytes() == again.tobytes() != other.tobytes()


@pytest.mark.parametrize("kind", sorted(scenery._THINGS))
def test_every_thing_is_drawn_within_its_reach_and_is_no_body(kind):
    across, up = {
        "car": (1.4, 1.0),
        "fence": (1.3, 0.9),
        "lamp": (0.4, 2.8),
        "tree": (0.8, 2.2),
    }.get(kind, (0.65, 1.9))
    for seed in range(5):
        sprite = Sprite(30, across, up, across, 0.1)
        scenery._THINGS[kind](np.random.default_rng(seed), sprite)
        sprite.finish(0.2)
        assert np.count_nonzero(np.asarray(sprite.cover)) > 20
        assert not np.asarray(sprite.body).any() and sprite.whole_box is None


def test_all_kinds_of_things_can_be_drawn():
    rng = np.random.default_rng(0)
    sizes = {draw_thing(rng, 25.0).image.size for _ in range(60)}
    assert len(sizes) > 20
