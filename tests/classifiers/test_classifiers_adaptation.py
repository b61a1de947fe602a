"""From models and files to classifiers."""

import keras
import numpy as np
import pytest

import keras_hkd


def test_a_classifier_comes_back_as_it_is(raw):
    classifier = keras_hkd.as_classifier(raw(), class_names="abc")
    assert classifier.class_names == ("a", "b", "c")
    assert keras_hkd.as_classifier(classifier) is classifier


def test_files_of_ours_and_of_keras_are_loaded(raw, images, tmp_path):
    model = raw(activation="softmax")
    model.save(tmp_path / "raw.keras")
    classifier = keras_hkd.as_classifier(model, class_names="abc")
    classifier.save(tmp_path / "ours.keras")
    for name, class_names in (("raw", ("class_0", "class_1", "class_2")), ("ours", tuple("abc"))):
        again = keras_hkd.load_classifier(tmp_path / f"{name}.keras")
        assert again.class_names == class_names
        np.testing.assert_allclose(
            again(images)["logits"], classifier(images)["logits"], rtol=1e-5, atol=1e-6
        )


def test_files_that_hold_none_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="No classifier at"):
        keras_hkd.load_classifier(tmp_path / "none.keras")
    (tmp_path / "text.keras").write_text("no model")
    with pytest.raises(ValueError, match="could not be read as a Keras model: it is damaged"):
        keras_hkd.load_classifier(tmp_path / "text.keras")
    inputs = keras.Input((16, 16, 3))
    keras.Model(inputs, keras.layers.Conv2D(2, 3)(inputs)).save(tmp_path / "maps.keras")
    with pytest.raises(ValueError, match="holds no classifier.*Dense"):
        keras_hkd.load_classifier(tmp_path / "maps.keras")
