"""What is said of batches that a model can hardly be meant to see."""

import importlib.util
import re
import types
import warnings

import numpy as np
import pytest

from keras_hkd.batch_watch import BatchWarning, BatchWatch

ONE = types.SimpleNamespace(kind="detector", num_classes=1, class_names=("person",))
PHOTO = np.random.default_rng(0).uniform(0, 255, (2, 64, 48, 3)).astype("float32")
PERSON = [8.0, 4.0, 28.0, 60.0]


def said(images=PHOTO, boxes=(PERSON, [-1.0] * 4), classes=(0, -1)):
    """The warnings about a batch whose two images have the same labels."""
    watch = BatchWatch()
    labels = {"boxes": np.array([boxes] * 2, "float32"), "classes": np.array([classes] * 2)}
    watch.counts.update_state(images, labels, ONE.num_classes)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        watch.tell(ONE, set())
    assert not any(watch.counts.counts.numpy()), "what was told is told"
    assert watch.counts.result() == {}
    return " ".join(str(one.message) for one in caught if one.category is BatchWarning)


def test_nothing_is_said_of_what_is_right():
    assert said() == ""
    assert said(boxes=(PERSON, [0.0] * 4), classes=(0, 0)) == "", "zeros are padding as well"
    assert said(boxes=([-1.0] * 4,), classes=(-1,)) == ""
    assert said(images=np.zeros((2, 64, 48, 3), "uint8")) == ""
    assert said(images=np.ones((2, 64, 48, 3), "float32")) == "", "1 is a pixel too"


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ([30, 20, 24, 40], "2 of 2 labelled boxes end before they begin .* x, y, width, height"),
        ([12, 12, 12, 12], "2 of 2 labelled boxes are not finite or have no area"),
        ([12, 12, 30, np.nan], "not finite or have no area"),
        ([12, 12, np.inf, 50], "not finite or have no area"),
        ([0.4, 0.3, 0.8, 0.9], "All 2 labelled boxes are less than 2 pixels .* fractions"),
        ([100, 80, 300, 600], "2 of 2 labelled boxes reach beyond the image"),
        ([30, 20, 40, 90], "reach beyond the image.* x, y, width, height"),
    ],
)
def test_boxes_of_another_format_are_told(box, words):
    assert re.search(words, said(boxes=(box,), classes=(0,)))


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (PHOTO / 255, r"in \[0, 255\].* lie in \[0, 1\]"),
        (PHOTO / 127.5 - 1, "2 of 2 are negative"),
        (PHOTO * 257, "2 of 2 go beyond 255"),
    ],
)
def test_pixels_of_another_range_are_told(images, words):
    assert re.search(words, said(images=images))


def test_one_odd_image_or_box_among_many_is_not_worth_a_word():
    images = np.concatenate([PHOTO[:1] / 255, PHOTO[:1]])
    assert said(images=images) == ""
    assert said(boxes=(PERSON, [30, 20, 47, 70], [1, 1, 2, 2]), classes=(0, 0, 0)) == ""


@pytest.mark.parametrize("number", [1, 7, 0.5, np.nan])
def test_classes_that_the_model_lacks_are_refused(number):
    with pytest.raises(ValueError, match=r"whole numbers in \[0, 0\].*person.*2 of 4 labels"):
        said(boxes=(PERSON, PERSON), classes=(0, number))


def test_classes_of_whole_images_are_looked_at_too():
    watch, learner = (
        BatchWatch(),
        types.SimpleNamespace(kind="classifier", num_classes=3, class_names=("a", "b", "c")),
    )
    watch.counts.update_state(PHOTO, {"classes": np.array([2, -1])}, 3)
    watch.tell(learner, set())
    watch.counts.update_state(PHOTO, np.array([[3], [0]]), 3)
    with pytest.raises(ValueError, match=r"in \[0, 2\].*1 of 2 labels"):
        watch.tell(learner, set())


def test_a_kind_is_told_once():
    watch, told = BatchWatch(), set()
    for _ in range(2):
        watch.counts.update_state(PHOTO / 255)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            watch.tell(ONE, told)
    assert told == {"pixels"} and BatchWarning not in [one.category for one in caught]


def test_a_worker_that_predicts_alone_counts_nothing(monkeypatch):
    """Counts are shared by all workers: to add to them would wait for the others for ever."""
    import contextlib

    import keras_hkd.base_model as module
    from keras_hkd.detectors import build

    model = build("yolo_v8_micro", image_size=(64, 64), seed=0)
    images = np.full((2, 64, 64, 3), 128, "float32")
    added = []
    monkeypatch.setattr(type(model._watch.counts), "update_state", lambda *a: added.append(a))
    monkeypatch.setattr(module, "as_one_process", lambda model: contextlib.nullcontext(True))
    model.run_eagerly = True
    for predict in (model.predict_on_batch, lambda images: model.predict(images, verbose=0)):
        predict(images)
        assert not added
    monkeypatch.setattr(module, "as_one_process", lambda model: contextlib.nullcontext(False))
    model.predict_on_batch(images)
    assert added, "one process counts"


PREDICT_ON_JAX = """
import warnings

import keras
import numpy as np

from keras_hkd.batch_watch import BatchWarning
from keras_hkd.classifiers import as_classifier

layers = [keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
model = as_classifier(keras.Sequential([keras.Input((32, 32, 3)), *layers]))
images = np.full((3, 32, 32, 3), 100.5, "float32")
assert set(model.predict_on_batch(images)) == set(model.predict(images, verbose=0))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model.predict_on_batch(images / 255)
    model.predict(images / 255, verbose=0)
assert [one.category for one in caught].count(BatchWarning) == 2, caught
print("PREDICTED")
"""


@pytest.mark.own_process
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_images_that_are_predicted_on_jax_are_counted_outside_of_the_step(fresh_python):
    assert fresh_python(PREDICT_ON_JAX, KERAS_BACKEND="jax", JAX_PLATFORMS="cpu").endswith(
        "PREDICTED\n"
    )
