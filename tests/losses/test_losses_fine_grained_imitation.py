"""FineGrainedImitation against a loop over cells, anchors and people."""

import numpy as np
import pytest

from keras_hkd.losses import FineGrainedImitation

SIZE = (64, 96)
PEOPLE = np.array(
    [
        [[10, 10, 30, 50], [60, 20, 90, 60], [-1, -1, -1, -1]],
        [[2, 2, 7, 12], [-1, -1, -1, -1], [-1, -1, -1, -1]],
    ],
    "f4",
)


def iou(a, b):
    overlap = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
    return overlap / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - overlap)


def near(boxes, height, width, scales, ratios, threshold):
    marked = np.zeros((height, width), bool)
    stride = SIZE[0] / height
    for box in boxes.astype("f8"):
        if box[2] <= box[0]:
            continue
        overlap = np.zeros((height, width, len(scales) * len(ratios)))
        for i, j in np.ndindex(height, width):
            center = np.array([(j + 0.5) * stride, (i + 0.5) * stride])
            shapes = [(s / r**0.5, s * r**0.5) for s in scales for r in ratios]
            for k, shape in enumerate(shapes):
                half = np.array(shape) * stride / 2
                overlap[i, j, k] = iou(np.concatenate([center - half, center + half]), box)
        marked |= (overlap > threshold * overlap.max()).any(-1)
    return marked


@pytest.mark.parametrize("threshold", [0.5, 0.9])
def test_value(threshold, random):
    teacher, student = random(2, 8, 12, 3), random(2, 8, 12, 3)
    scales, ratios = (2.0, 4.0), (1.0, 2.5)
    loss = FineGrainedImitation(
        threshold=threshold, anchor_scales=scales, aspect_ratios=ratios, adapter="none"
    )
    marked = np.stack([near(boxes, 8, 12, scales, ratios, threshold) for boxes in PEOPLE])
    assert 0 < marked.mean() < 0.7 and marked.any((1, 2)).all()
    squares = ((teacher.astype("f8") - student) ** 2).sum(-1)
    value = float(loss(teacher, student, boxes=PEOPLE, image_size=SIZE))
    assert value == pytest.approx(squares[marked].sum() / (2 * marked.sum()), rel=1e-5)


def test_far_background_has_no_gradient(random, gradients):
    loss = FineGrainedImitation(adapter="none")
    boxes = np.array([[[2, 2, 30, 40]], [[-1, -1, -1, -1]]], "f4")
    _, _, gradient = gradients(
        lambda t, s, mask: loss(t, s, boxes=boxes, image_size=SIZE),
        random(2, 8, 12, 3),
        random(2, 8, 12, 3),
    )
    assert np.all(gradient[0, 2, 2] != 0)
    assert np.all(gradient[0, :, 9:] == 0) and np.all(gradient[1] == 0)


def test_without_people_it_is_zero(random):
    for boxes in (-np.ones((2, 3, 4)), np.zeros((2, 0, 4))):
        value = FineGrainedImitation(adapter="none")(
            random(2, 8, 12, 3), random(2, 8, 12, 3), boxes=boxes, image_size=SIZE
        )
        assert float(value) == 0.0


@pytest.mark.parametrize("adapter", ["conv_relu", "conv"])
def test_the_adapter_bridges_widths_and_learns(adapter, random):
    tf = pytest.importorskip("tensorflow")
    loss = FineGrainedImitation(adapter=adapter)
    with tf.GradientTape() as tape:
        value = loss(random(2, 8, 12, 5), random(2, 8, 12, 3), boxes=PEOPLE, image_size=SIZE)
    assert [tuple(v.shape) for v in loss.trainable_variables] == [(3, 3, 3, 5), (5,)]
    slopes = tape.gradient(value, [v.value for v in loss.trainable_variables])
    assert all(np.abs(slope.numpy()).max() > 0 for slope in slopes)


def test_without_adapter_widths_must_agree(random):
    with pytest.raises(ValueError, match="Project the student to the teacher's 5 channels"):
        FineGrainedImitation(adapter="none")(
            random(2, 8, 12, 5), random(2, 8, 12, 3), boxes=PEOPLE, image_size=SIZE
        )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"threshold": 1.0}, "threshold below 1"),
        ({"anchor_scales": ()}, "at least one anchor scale"),
        ({"adapter": "con"}, "Did you mean 'conv'"),
        ({"aspect_ratios": (0,)}, "`aspect_ratios` must be a finite number above 0"),
    ],
)
def test_bad_arguments_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        FineGrainedImitation(**arguments)
