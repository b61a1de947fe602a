import numpy as np
import pytest

from keras_hkd.inference.drawing import draw_detections

BLACK = np.zeros((200, 300, 3), np.uint8)


def test_nothing_to_draw():
    assert (np.asarray(draw_detections(BLACK, [])) == BLACK).all()


def test_boxes_are_outlined_and_the_image_is_left_alone():
    drawn = np.asarray(draw_detections(BLACK, [[50, 60, 100, 160]]))
    assert drawn[100, 50].any() and drawn[100, 100].any() and drawn[60, 75].any()
    assert not drawn[100, 75].any() and not drawn[20, 20].any()
    assert not BLACK.any()


def test_labels_stay_inside_the_picture():
    boxes = [[0, 0, 40, 100], [280, 0, 300, 100], [100, 190, 300, 200]]
    drawn = draw_detections(BLACK, boxes, ["person 0.99"] * 3, [0, 1, 2])
    assert drawn.size == (300, 200)
    assert np.asarray(drawn)[:20].any()


def test_classes_have_colours():
    one = np.asarray(draw_detections(BLACK, [[50, 60, 100, 160]], colour_indices=[0]))
    other = np.asarray(draw_detections(BLACK, [[50, 60, 100, 160]], colour_indices=[1]))
    assert (one != other).any()


def test_bad_arguments():
    with pytest.raises(ValueError, match="uint8"):
        draw_detections(BLACK.astype(float), [])
    with pytest.raises(ValueError, match="2 boxes"):
        draw_detections(BLACK, [[0, 0, 1, 1]] * 2, ["one"])
