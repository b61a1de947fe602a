"""The Classifier: its loss by hand, its labels, its training, its files."""

import keras
import numpy as np
import pytest

from keras_hkd.classifiers import Classifier


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def test_the_loss_is_the_mean_cross_entropy_of_labelled_images(raw, images):
    classifier = Classifier(raw())
    outputs = classifier(images)
    logits = np.array(outputs["logits"])
    found = classifier.assign(outputs, {"classes": np.array([2, -1, 0, 1])}, (32, 32))
    losses = classifier.task_losses(outputs, found, (32, 32))
    rows = log_softmax(logits)
    wanted = -(rows[0, 2] + rows[2, 0] + rows[3, 1]) / 3
    assert float(losses["class_loss"]) == pytest.approx(wanted, rel=1e-5)
    nobody = classifier.assign(outputs, {"classes": np.full(4, -1)}, (32, 32))
    assert float(classifier.task_losses(outputs, nobody, (32, 32))["class_loss"]) == 0.0


def test_sigmoid_models_have_the_binary_loss(raw, images):
    classifier = Classifier(raw(activation="sigmoid"))
    outputs = classifier(images)
    scores = 1 / (1 + np.exp(-np.array(outputs["logits"], "float64")))
    classes = np.array([2, 1, 0, 1])
    targets = np.eye(3)[classes]
    wanted = -(targets * np.log(scores) + (1 - targets) * np.log(1 - scores)).sum(-1).mean()
    found = classifier.assign(outputs, {"classes": classes}, (32, 32))
    assert float(classifier.task_losses(outputs, found, (32, 32))["class_loss"]) == pytest.approx(
        wanted, rel=1e-5
    )
    np.testing.assert_allclose(classifier.predictions(outputs, (32, 32))["scores"], scores, 1e-5)


def test_it_trains_predicts_and_survives_saving(raw, images, tmp_path):
    classifier = Classifier(raw(activation="softmax"), class_names=("cat", "dog", "person"))
    classifier.compile(keras.optimizers.SGD(0.1))
    labels = {"classes": np.array([0, 1, 2, -1])}
    logs = classifier.fit(images, labels, batch_size=2, epochs=2, verbose=0).history
    assert set(logs) == {"loss", "class_loss"}
    assert logs["loss"] == pytest.approx(logs["class_loss"])
    assert logs["loss"][1] < logs["loss"][0]
    scores = classifier.predict(images, verbose=0)["scores"]
    np.testing.assert_allclose(scores.sum(-1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(scores, classifier.model(images), rtol=1e-5, atol=1e-6)
    classifier.save(tmp_path / "classifier.keras")
    again = keras.saving.load_model(tmp_path / "classifier.keras")
    assert again.class_names == classifier.class_names
    assert again.image_size == (32, 32) and again.count_params() == classifier.count_params()
    np.testing.assert_allclose(again.predict(images, verbose=0)["scores"], scores, rtol=1e-6)


def test_training_trains_the_model_that_was_given(raw, images):
    model = raw()
    classifier = Classifier(model)
    classifier.compile("sgd", run_eagerly=True)
    before = np.array(model.get_layer("head").kernel)
    classifier.train_on_batch(images, {"classes": np.zeros(4, int)})
    assert not np.array_equal(model.get_layer("head").kernel, before)


def test_batches_of_any_sizes_may_follow_each_other(raw):
    classifier = Classifier(raw(side=None))
    for shape in ((2, 32, 32, 3), (3, 48, 32, 3), (1, 40, 64, 3)):
        assert classifier.predict_on_batch(np.zeros(shape))["scores"].shape == (shape[0], 3)


def test_labels_may_be_bare_numbers(raw):
    classifier = Classifier(raw())
    classes = np.array([0, 1])
    for labels in (classes, classes[:, None], {"classes": classes}):
        np.testing.assert_array_equal(classifier.check_labels(labels)["classes"], classes)
    for labels in (np.zeros((2, 3)), {"boxes": classes}, {"classes": np.zeros((2, 3))}, None):
        with pytest.raises(ValueError, match=r"a dict with 'classes' \(batch,\)"):
            classifier.check_labels(labels)


def test_sizes_names_and_maps(raw):
    classifier = Classifier(raw(side=None), image_size=(48, 40))
    assert classifier.image_size == (48, 40)
    assert classifier.class_names == ("class_0", "class_1", "class_2")
    assert classifier.levels == ("C1", "C2", "C3")
    assert [classifier.stride(level) for level in classifier.levels] == [2, 4, 8]
    assert [classifier.channels(level) for level in classifier.levels] == [4, 6, 8]
    assert classifier.embedding_width == 8 and classifier.num_classes == 3
    assert classifier.deployed is classifier


def test_arguments_that_do_not_fit_are_refused(raw):
    with pytest.raises(ValueError, match="3 different names"):
        Classifier(raw(), class_names=("cat", "dog"))
    with pytest.raises(ValueError, match="3 different names"):
        Classifier(raw(), class_names=("cat", "dog", "dog"))
    with pytest.raises(ValueError, match=r"images of \(32, 32\) pixels only"):
        Classifier(raw(), image_size=(64, 64))
    with pytest.raises(ValueError, match="at least 8"):
        Classifier(raw(side=None), image_size=32)
    inputs = keras.Input((16, 16, 3))
    one = keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(inputs))
    with pytest.raises(ValueError, match="two or more classes"):
        Classifier(keras.Model(inputs, one))
    with pytest.raises(ValueError, match="takes no `loss`: a classifier"):
        Classifier(raw()).compile("sgd", loss="mse")
