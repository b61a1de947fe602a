"""Drawn glyphs: as many classes as asked for, balanced, the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_hkd.data.drawn.glyphs import (
    COLOURS,
    SHAPES,
    draw_glyphs,
    glyph_alphabet,
    glyph_dataset,
)


@given(st.integers(2, 500_000))
def test_every_class_has_a_spelling_of_its_own(num_classes):
    places, base = glyph_alphabet(num_classes)
    assert num_classes <= base**places
    assert base <= len(SHAPES) * len(COLOURS)
    assert places == 1 or (base - 1) ** places < num_classes


@pytest.mark.parametrize("num_classes", [2, 3, 10, 11, 120])
def test_exactly_as_many_classes_all_of_one_size(num_classes):
    dataset = glyph_dataset(num_classes, 2, seed=0)
    assert np.bincount(dataset.classes).tolist() == [2] * num_classes
    assert len(dataset.class_names) == num_classes
    assert dataset.images[0].shape == (32, 32, 3) and dataset.images[0].dtype == np.uint8


def test_the_same_seed_draws_the_same_and_another_does_not():
    a, b, c = (glyph_dataset(4, 3, seed=seed) for seed in (5, 5, 6))
    assert a.content_hash == b.content_hash != c.content_hash
    more = glyph_dataset(4, 5, seed=5)
    np.testing.assert_array_equal(more.images[7], a.images[7])
    assert not np.array_equal(a.images[0], a.images[4])  # two of one class


def test_some_images_fade_into_the_ground():
    def spread(hard_share):
        images = [draw_glyphs(0, 2, (3, i), hard_share=hard_share) for i in range(60)]
        return np.sort([image.astype(float).mean(-1).std() for image in images])

    assert spread(0.0)[0] > 15  # every glyph stands out
    assert spread(1.0)[0] < spread(0.0)[0]
    assert spread(1.0).mean() < 0.8 * spread(0.0).mean()


@pytest.mark.parametrize(
    "options", [{"num_classes": 1}, {"num_classes": 10**6}, {"seed": -1}, {"hard_share": 2}]
)
def test_what_cannot_be_drawn_is_refused(options):
    with pytest.raises(ValueError, match=f"`{next(iter(options))}` must be"):
        glyph_dataset(**{"num_classes": 3, "images_per_class": 1, "seed": 0, **options})
