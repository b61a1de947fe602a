"""Every coding of boxes: values by hand, there and back, and the same in NumPy and Keras."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from keras_hkd.boxes.coding import (
    BoxCoding,
    CentreSize,
    Deltas,
    DistanceBins,
    Distances,
    coding_from_json,
    coding_to_json,
    joint_logits,
)

CODINGS = [
    Deltas(),
    Deltas((1.0, 1.0, 0.5, 0.5), "xywh"),
    DistanceBins(),
    DistanceBins(4),
    Distances(),
    Distances(exponential=True),
    Distances(clip=True),
    CentreSize(),
]
POINT = np.array([[20.0, 12.0, 8.0, 8.0]])  # x, y, stride, stride


@pytest.fixture(params=CODINGS, ids=str)
def coding(request):
    return request.param


def some_boxes(seed, num=6, batch=2):
    """Priors of 8 pixels, and for each a box whose edges lie on all four sides of its centre."""
    generator = np.random.default_rng(seed)
    centres = generator.uniform(0, 64, (num, 2))
    priors = np.concatenate([centres, np.full((num, 2), 8.0)], axis=-1)
    near, far = generator.uniform(1, 20, (2, batch, num, 2))
    return np.concatenate([centres - near, centres + far], axis=-1), priors


def test_encoding_and_decoding_are_inverse(coding):
    boxes, priors = some_boxes(1)
    values = coding.encode(boxes, priors)
    assert values.shape == (2, 6, coding.num_values)
    tolerance = {"rtol": 1e-9, "atol": 1e-9}
    if coding.num_bins:  # every bin keeps a little weight
        tolerance = {"atol": 8 * 1e-5 * coding.num_bins**2}
    np.testing.assert_allclose(coding.decode(values, priors), boxes, **tolerance)


@given(seed=st.integers(0, 999))
def test_keras_computes_what_numpy_computes(seed):
    boxes, priors = (array.astype("float32") for array in some_boxes(seed))
    generator = np.random.default_rng(seed)
    for coding in CODINGS:
        values = generator.normal(0, 1, (2, 6, coding.num_values)).astype("float32")
        tensors = [ops.convert_to_tensor(array) for array in (values, boxes, priors)]
        np.testing.assert_allclose(
            coding.decode(tensors[0], tensors[2], ops), coding.decode(values, priors), atol=2e-4
        )
        np.testing.assert_allclose(
            coding.encode(tensors[1], tensors[2], ops), coding.encode(boxes, priors), atol=2e-4
        )
        np.testing.assert_array_equal(coding.edges(tensors[0], ops), coding.edges(values))


def test_deltas_by_hand():
    anchor = np.array([[50.0, 40.0, 10.0, 20.0]])
    values = np.array([[1.0, -2.0, np.log(2) / 0.2, 0.0]])  # dy, dx, dh, dw
    expected = [[50 - 2 - 5, 40 + 2 - 20, 50 - 2 + 5, 40 + 2 + 20]]
    np.testing.assert_allclose(Deltas().decode(values, anchor), expected)
    again = Deltas((1.0, 1.0, 1.0, 1.0), "xywh")
    np.testing.assert_allclose(
        again.decode(np.array([[-0.2, 0.1, 0.0, np.log(2)]]), anchor), expected
    )


def test_distance_bins_by_hand():
    logits = np.full((1, 4, 3), -100.0)
    logits[0, 0, 2] = 0.0  # left: bin 2
    logits[0, 1, :2] = 0.0  # top: between bins 0 and 1
    logits[0, 2, 0] = 0.0  # right: bin 0
    logits[0, 3, 1] = 0.0  # bottom: bin 1
    box = DistanceBins(3).decode(logits.reshape(1, 12), POINT)
    np.testing.assert_allclose(box, [[20 - 16, 12 - 4, 20, 12 + 8]])
    np.testing.assert_array_equal(DistanceBins(3).edges(logits.reshape(1, 12)), logits)


def test_distance_bins_reach_as_far_as_the_last_bin():
    far = np.array([[-100.0, 12.0, 100.0, 12.0]])
    box = DistanceBins(4).decode(DistanceBins(4).encode(far, POINT), POINT)
    np.testing.assert_allclose(box, [[20 - 24, 12, 20 + 24, 12]], atol=2e-3)


def test_distances_by_hand():
    values = np.array([[1.0, -0.5, 2.0, 0.0]])
    np.testing.assert_array_equal(Distances().decode(values, POINT), [[12, 16, 36, 12]])
    np.testing.assert_array_equal(Distances(clip=True).decode(values, POINT), [[12, 12, 36, 12]])
    powers = np.log(np.array([[1.0, 0.5, 2.0, 4.0]]))
    np.testing.assert_allclose(Distances(exponential=True).decode(powers, POINT), [[12, 8, 36, 44]])


def test_a_point_outside_its_box():
    box = np.array([[24.0, 4.0, 40.0, 20.0]])  # begins to the right of the point
    for coding, left in ((Distances(), 24), (Distances(clip=True), 20), (CentreSize(), 24)):
        np.testing.assert_allclose(
            coding.decode(coding.encode(box, POINT), POINT), [[left, 4, 40, 20]]
        )


def test_centre_size_by_hand():
    values = np.array([[0.5, -1.0, np.log(2.0), 0.0]])
    np.testing.assert_allclose(CentreSize().decode(values, POINT), [[16, 0, 32, 8]])


def test_boxes_without_area_are_encoded_finitely(coding):
    values = coding.encode(np.array([[20.0, 12.0, 20.0, 12.0]]), POINT)
    assert np.isfinite(values).all()


def test_gradients_are_finite_for_large_logits():
    import tensorflow as tf

    values = tf.Variable(np.full((1, 64), 80.0, "float32"))
    with tf.GradientTape() as tape:
        box = DistanceBins().decode(values, ops.convert_to_tensor(POINT.astype("float32")), ops)
        total = tf.reduce_sum(box)
    assert np.isfinite(tape.gradient(total, values)).all()


def test_json_names_every_coding(coding):
    name, options = coding_to_json(coding)
    assert coding_from_json(name, options) == coding


def test_names_are_unlike():
    kinds = BoxCoding.__subclasses__()
    assert len({kind.name for kind in kinds}) == len(kinds)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Deltas((0.1, 0.1)), "variances"),
        (lambda: Deltas((0.1, 0.1, 0.0, 0.2)), "variances"),
        (lambda: Deltas(order="xyxy"), "order"),
        (lambda: DistanceBins(1), "num_bins"),
        (lambda: DistanceBins(2.5), "num_bins"),
    ],
)
def test_bad_input(make, word):
    with pytest.raises(ValueError, match=f"{word}.*Received"):
        make()


@given(st.lists(st.floats(-30, 30), min_size=1, max_size=4), st.floats(-30, 30))
def test_joint_logits_are_those_of_the_product(class_logits, objectness):
    logits = joint_logits(np.array(class_logits), np.array([objectness]))
    scores = 1 / (1 + np.exp(-np.array(class_logits))) / (1 + np.exp(-objectness))
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), scores, rtol=1e-9)
    tensors = (ops.array(values, "float32") for values in (class_logits, [objectness]))
    np.testing.assert_allclose(joint_logits(*tensors, ops), logits, atol=1e-4)


def test_joint_logits_of_certain_and_impossible_objects():
    logits = joint_logits(np.array([[-200.0, 200.0]], "float32"), np.array([[200.0]], "float32"))
    np.testing.assert_allclose(logits, [[-200.0, 200.0 - np.log(2)]], rtol=1e-6)


def test_numpy_needs_no_framework():
    code = (
        "import sys, keras_hkd.boxes.grid, keras_hkd.boxes.coding;"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
