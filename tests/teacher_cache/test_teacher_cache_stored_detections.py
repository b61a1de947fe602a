import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_hkd.data import Augmentation
from keras_hkd.data.batches.augmentation import NO_AUGMENTATION
from keras_hkd.teacher_cache.row_format import RowFormat
from keras_hkd.teacher_cache.stored_detections import decode, encode, fields, replay

SIZE = (64, 96)
FOUND = {
    "boxes": np.array([[[10, 8, 40, 56], [60, 4, 90, 60], [-1, -1, -1, -1]]], "float32"),
    "classes": np.array([[0, 0, -1]]),
    "confidence": np.array([[0.9, 0.4, -1]], "float32"),
    "ranks": np.array([[0, 70_000, 99]]),
}


def stored(found):
    form = RowFormat(fields(found["classes"].shape[1]))
    return decode(form.unpack(form.pack(encode(found, SIZE))), SIZE)


def test_detections_come_back_to_a_hundredth_of_a_pixel():
    there = stored(FOUND)
    np.testing.assert_allclose(there["boxes"], FOUND["boxes"], atol=1e-3)
    np.testing.assert_allclose(there["confidence"], FOUND["confidence"], atol=1e-5)
    assert there["classes"].numpy().tolist() == [[0, 0, -1]]
    assert there["ranks"].numpy().tolist() == [[0, 65535, 99]]


def moved(augmentation, draws):
    content = tf.constant([[64.0, 96.0]])
    draws = tf.constant([draws], tf.float32)
    found = {k: tf.constant(v) for k, v in FOUND.items()}
    found["classes"] = tf.cast(found["classes"], tf.int32)
    return replay(found, augmentation, draws, content, SIZE)


def test_an_image_as_it_is_keeps_its_detections():
    there = moved(NO_AUGMENTATION, [0.5] * 11)
    np.testing.assert_allclose(there["boxes"], FOUND["boxes"], atol=1e-4)
    np.testing.assert_allclose(there["confidence"], FOUND["confidence"])


def test_a_flip_mirrors_boxes_and_keeps_scores():
    flipped = Augmentation(scale=(1, 1), aspect=(1, 1), translate=0)
    there = moved(flipped, [0.5] * 6 + [0.0] + [0.5] * 4)
    assert np.round(there["boxes"][0, 0]).tolist() == [56, 8, 86, 56]
    assert there["confidence"][0, 0] == np.float32(0.9)


def test_what_leaves_the_frame_is_no_detection():
    # Zoom 2 with the frame at the left edge: the second box lies right of it.
    zoomed = Augmentation(scale=(2, 2), aspect=(1, 1), translate=0, flip=False)
    there = moved(zoomed, [0.0, 0.0, 0.0, 0.0] + [0.5] * 7)
    assert there["classes"].numpy().tolist() == [[0, -1, -1]]
    assert there["boxes"][0, 0].numpy().tolist() == [20, 16, 80, 64]
    assert there["boxes"][0, 1].numpy().tolist() == [-1] * 4


@settings(max_examples=20)
@given(st.lists(st.floats(0, 0.99), min_size=11, max_size=11))
def test_replayed_boxes_lie_in_the_frame_best_first(draws):
    there = moved(Augmentation(), draws)
    boxes, classes = there["boxes"].numpy(), there["classes"].numpy()
    kept = boxes[classes >= 0]
    assert (kept >= 0).all() and (kept <= [96, 64, 96, 64]).all()
    assert (np.diff(there["confidence"].numpy()) <= 0).all()
