"""Quarter turns and joint labels, against NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_hkd.methods.hsakd.rotations import joint_labels, rotate_four, upright

IMAGES = np.random.default_rng(0).uniform(0, 255, (3, 6, 6, 2)).astype("float32")


def test_turns_of_an_image_stand_together_upright_first():
    rotated = np.asarray(rotate_four(IMAGES))
    assert rotated.shape == (12, 6, 6, 2)
    for index, image in enumerate(IMAGES):
        for turn in range(4):
            np.testing.assert_array_equal(rotated[4 * index + turn], np.rot90(image, turn))
    np.testing.assert_array_equal(upright(rotated), IMAGES)


def test_four_quarter_turns_are_the_identity():
    turned = IMAGES
    for _ in range(4):
        turned = np.asarray(rotate_four(turned))[1::4]
    np.testing.assert_array_equal(turned, IMAGES)


@given(st.lists(st.integers(-1, 9), min_size=1, max_size=12))
def test_a_joint_label_names_class_and_turn(classes):
    joint = np.asarray(joint_labels(np.array(classes))).reshape(len(classes), 4)
    for found, index in zip(joint, classes, strict=True):
        if index < 0:
            assert (found == -1).all()
        else:
            assert (found // 4 == index).all() and (found % 4 == np.arange(4)).all()


def test_every_pair_has_a_label():
    assert sorted(np.asarray(joint_labels(np.arange(5)))) == list(range(20))


def test_images_that_are_not_square_are_refused():
    with pytest.raises(ValueError, match=r"square images.*\(1, 4, 8, 3\)"):
        rotate_four(np.zeros((1, 4, 8, 3), "float32"))
