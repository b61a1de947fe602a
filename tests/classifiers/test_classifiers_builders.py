"""Named classifiers."""

import keras
import numpy as np
import pytest

from keras_hkd import classifiers

CLASSES = ("cat", "dog", "person")
PARAMETERS = {"cnn_micro": 40_000, "cnn_small": 300_000, "cnn_large": 1_200_000}


@pytest.mark.parametrize("name", list(classifiers.names()))
def test_each_is_as_large_as_it_says_and_has_the_stages_of_a_detector(name):
    classifier = classifiers.build(name, class_names=CLASSES, image_size=(64, 64))
    assert classifier.levels == ("C2", "C3", "C4", "C5")
    assert classifier.class_names == CLASSES
    outputs = classifier(np.zeros((1, 64, 64, 3), "float32"))
    assert [m.shape[1] for m in outputs["stages"].values()] == [16, 8, 4, 2]
    assert 0.5 < classifier.count_params() / PARAMETERS.get(name, classifier.count_params()) <= 1


def test_seeds_decide_the_weights():
    kernels = [
        keras.ops.convert_to_numpy(
            classifiers.build("cnn_micro", class_names="ab", seed=seed).variables[0]
        )
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(kernels[0], kernels[1]) and not np.array_equal(kernels[0], kernels[2])


def test_what_it_cannot_build_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Did you mean 'cnn_micro'"):
        classifiers.build("cnn_mikro", class_names="ab")
    with pytest.raises(ValueError, match="takes no `backbone_weights`"):
        classifiers.build("cnn_micro", class_names="ab", backbone_weights=tmp_path / "x.weights.h5")
