"""LeNet: its size, its seed, its logits."""

import keras
import numpy as np
import pytest

from keras_hkd.methods.lw_kd.lenet import lenet


def values(model):
    return [keras.ops.convert_to_numpy(weight) for weight in model.weights]


def test_it_has_the_layers_of_lenet_and_one_logit_per_class():
    model = lenet(["a", "b", "c"], seed=1)
    # 5x5x3x6+6, 5x5x6x16+16, 400x120+120, 120x84+84, 84x3+3
    assert model.count_params() == 456 + 2416 + 48120 + 10164 + 255
    assert model(np.zeros((2, 32, 32, 3), "float32"))["logits"].shape == (2, 3)


def test_weights_depend_on_the_seed_alone():
    a = lenet("abc", seed=1)
    keras.utils.set_random_seed(7)
    for left, right in zip(values(a), values(lenet("abc", seed=1)), strict=True):
        np.testing.assert_array_equal(left, right)
    assert not np.array_equal(values(a)[0], values(lenet("abc", seed=2))[0])
    keras.utils.set_random_seed(7)
    wanted = keras.random.normal((2,))
    keras.utils.set_random_seed(7)
    lenet("abc", seed=1)
    np.testing.assert_array_equal(keras.random.normal((2,)), wanted)


def test_images_too_small_are_refused():
    with pytest.raises(ValueError, match="16 pixels"):
        lenet("ab", image_size=(12, 32))
