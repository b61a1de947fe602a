"""Images in memory with one class each."""

import numpy as np
import pytest

from keras_hkd.data import classification_dataset


def test_the_hash_follows_names_classes_and_pixels():
    images = [np.full((4, 4, 3), value, np.uint8) for value in (1, 2)]
    first = classification_dataset(images, [0, 1], ("cat", "dog"))
    others = [
        classification_dataset(images, [1, 0], ("cat", "dog")),
        classification_dataset(images, [0, 1], ("cat", "cow")),
        classification_dataset(images[::-1], [0, 1], ("cat", "dog")),
    ]
    again = classification_dataset([image.copy() for image in images], [0, 1], ("cat", "dog"))
    assert again.content_hash == first.content_hash
    assert len({one.content_hash for one in (first, *others)}) == 4


def test_choices_keep_images_with_their_classes():
    images = [np.full((4, 4, 3), value, np.uint8) for value in (1, 2, 3)]
    dataset = classification_dataset(images, [0, -1, 1], ("cat", "dog")).select([2, 0])
    assert dataset.classes.tolist() == [1, 0]
    assert [int(dataset.load_image(i)[0, 0, 0]) for i in (0, 1)] == [3, 1]
    assert len(dataset.subset(1)) == 1


@pytest.mark.parametrize(
    ("images", "classes", "names", "message"),
    [
        ([], [], "ab", "one class for each of one or more images"),
        ([np.zeros((4, 4, 3), np.uint8)], [0, 1], "ab", "one class for each"),
        ([np.zeros((4, 4, 3), np.uint8)], [2], "ab", "must index"),
        ([np.zeros((4, 4, 3))], [0], "ab", "must be uint8"),
        ([np.zeros((4, 4, 3), np.uint8)], [0], "aa", "two or more different class names"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(images, classes, names, message):
    with pytest.raises(ValueError, match=message):
        classification_dataset(images, classes, tuple(names))
