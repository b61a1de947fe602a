"""Sprites: which pixels are drawn, which are the body, and what hides it."""

import numpy as np
import pytest

from keras_hkd.data.drawn.sprites import Sprite, choose, tint


def sprite():
    return Sprite(20, left=1, top=1, right=1, bottom=1)


def test_things_in_front_are_cut_out_of_the_body_but_not_of_its_extent():
    s = sprite()
    s.begin_body()
    s.polygon([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)], (200, 0, 0))
    s.end_body()
    s.polygon([(-0.5, 0), (0.5, 0), (0.5, 0.75), (-0.5, 0.75)], (0, 200, 0))
    s.finish(0.0)
    body, cover = np.asarray(s.body) > 0, np.asarray(s.cover) > 0
    assert cover.all() and s.image.size == (21, 26)
    assert s.whole_box == (0, 0, 21, 21) and s.num_whole_pixels == 21 * 21
    assert body[:10].all() and not body[10:].any()
    pixels = np.asarray(s.image)
    assert (pixels[:10] == (200, 0, 0)).all() and (pixels[10:] == (0, 200, 0)).all()


def test_finishing_keeps_the_origin():
    s = sprite()
    s.ellipse(0.5, 0.5, 0.1, 0.1, (9, 9, 9))
    s.finish(0.3)
    centre = (np.array(s.image.size) - 1) / 2
    np.testing.assert_allclose(centre, s.px([(0.5, 0.5)])[0], atol=0.6)
    assert s.whole_box is None and not np.asarray(s.body).any()


def test_an_empty_sprite():
    assert sprite().finish(1.0).image.size == (1, 1)


def test_limbs_reach_both_ends_in_their_widths():
    s = sprite()
    s.limb((-0.5, 0), (0.5, 0), 0.4, 0.2, (9, 9, 9))
    drawn = np.argwhere(np.asarray(s.finish(0.0).cover) > 0)
    np.testing.assert_allclose(np.ptp(drawn, axis=0), [0.4 * 20, 1.3 * 20], atol=1.1)


@pytest.mark.parametrize("kind", ["rows", "columns", "checks", "band", "open"])
def test_patterns_stay_on_their_polygon(kind):
    s = sprite()
    shape = [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]
    s.polygon(shape, (10, 10, 10))
    s.pattern(shape, kind, (250, 250, 250))
    lit = (np.asarray(s.image) == 250).all(-1)
    assert 0.1 < lit[10:31, 10:31].mean() < 0.9
    lit[10:31, 10:31] = False
    assert not lit.any()


@pytest.mark.parametrize(("light", "darker"), [(1.0, -1), (-1.0, 0)])
def test_one_side_is_darker(light, darker):
    s = sprite()
    s.polygon([(-1, -1), (1, -1), (1, 1), (-1, 1)], (200, 200, 200))
    row = np.asarray(s.finish(light).image)[5, :, 0].astype(int)
    assert row[darker] < row[-1 - darker] - 50


def test_choices_follow_their_weights():
    rng = np.random.default_rng(0)
    drawn = [choose(rng, often=3, seldom=1, never=0) for _ in range(400)]
    assert drawn.count("never") == 0 and 250 < drawn.count("often") < 350


def test_tints():
    assert tint((100, 200, 250), 1.2) == (120, 240, 255)
    assert tint((100, 200, 250), 0) == (0, 0, 0)
