import numpy as np
import pytest
from PIL import Image

from keras_hkd.data.drawn.scenes import synthetic_dataset
from keras_hkd.export.representative import representative_array

SIZE = (64, 96)


def test_arrays_of_the_right_size_pass_as_they_are():
    images = np.random.default_rng(0).uniform(0, 255, (3, *SIZE, 3))
    np.testing.assert_allclose(representative_array(images, SIZE), images, atol=1e-4)


def test_other_sizes_are_letterboxed():
    boxed = representative_array(np.full((2, 128, 96, 3), 200, np.uint8), SIZE)
    assert boxed.shape == (2, *SIZE, 3)
    assert (boxed[:, :, :48] == 200).all() and (boxed[:, :, 49:] == 114).all()


def test_at_most_so_many_spread_over_all():
    images = np.zeros((10, *SIZE, 3), np.float32) + np.arange(10)[:, None, None, None] * 10
    few = representative_array(images, SIZE, max_images=3)
    assert few[:, 0, 0, 0].tolist() == [0.0, 40.0, 90.0]


def test_datasets_and_folders(tmp_path):
    dataset = synthetic_dataset(3, SIZE, seed=0)
    from_dataset = representative_array(dataset, SIZE)
    for i in range(3):
        (tmp_path / "inner").mkdir(exist_ok=True)
        Image.fromarray(dataset.load_image(i)).save(tmp_path / "inner" / f"{i}.png")
    np.testing.assert_array_equal(representative_array(tmp_path, SIZE), from_dataset)
    np.testing.assert_array_equal(representative_array(str(tmp_path), SIZE), from_dataset)


@pytest.mark.parametrize(
    ("images", "word"),
    [
        (np.zeros((0, *SIZE, 3)), "no image"),
        (np.full((2, *SIZE, 3), 0.5), r"\[0, 255\].*0.5 to 0.5"),
        (np.full((2, *SIZE, 3), 300.0), r"\[0, 255\]"),
        (np.full((2, *SIZE, 3), -1.0), r"\[0, 255\]"),
        (np.full((2, *SIZE, 3), np.nan), r"\[0, 255\]"),
        (np.zeros((*SIZE, 3)), "Received"),
        (np.zeros((2, *SIZE, 1)), "Received"),
        ("ab", None),
        (["a", "b"], "Received"),
        ([np.zeros((4, 4, 3)), np.zeros((5, 4, 3))], "Received"),
    ],
)
def test_bad_input(images, word):
    if word is None:
        with pytest.raises(FileNotFoundError, match="no such folder"):
            representative_array("nowhere/at/all", SIZE)
        return
    with pytest.raises(ValueError, match=word):
        representative_array(images, SIZE)


def test_a_folder_without_images(tmp_path):
    with pytest.raises(ValueError, match="no image"):
        representative_array(tmp_path, SIZE)


def test_streams_are_taken_as_tensorflow_takes_them():
    import tensorflow as tf

    images = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")

    def function():
        for image in images:
            yield [image[None]]

    slices = tf.data.Dataset.from_tensor_slices
    for source in (
        function,
        function(),
        slices(images).batch(3),
        slices(images),
        slices((images, np.zeros(4))).batch(2),
        slices({"images": images, "labels": np.zeros(4)}).batch(2),
    ):
        np.testing.assert_array_equal(representative_array(source, (32, 32)), images)
    assert len(representative_array(function, (32, 32), max_images=3)) == 3
    with pytest.raises(ValueError, match=r"pixels in \[0, 255\]"):
        representative_array(slices(images / 255).batch(2), (32, 32))
