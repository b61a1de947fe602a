"""AttentionNonLocal against a NumPy twin that pairs all positions, as the published code does."""

import numpy as np
import pytest
from scipy import ndimage, special

from keras_hkd.losses import AttentionNonLocal
from keras_hkd.losses.non_local_block import NonLocalBlock

TERMS = ("feature_weight", "channel_weight", "spatial_weight", "relation_weight")


def drawn(loss, random):
    """The loss with random numbers in all of its layers, so that no block is the identity."""
    for variable in (v for layer in loss.layers.values() for v in layer.weights):
        variable.assign(random(*variable.shape, scale=0.3))
    return loss


def dense(layer, features):
    return features @ layer.kernel.numpy().astype("f8") + layer.bias.numpy()


def attention(features, t=0.5):
    n, height, width, _ = features.shape
    shares = special.softmax(np.abs(features).mean(-1).reshape(n, -1) / t, axis=1)
    return (height * width * shares).reshape(n, height, width, 1)


def non_local(block, features):
    flat = features.reshape(len(features), -1, features.shape[-1])
    theta, phi, g = (dense(layer, flat) for layer in (block.theta, block.phi, block.g))
    pairs = theta @ phi.transpose(0, 2, 1) / flat.shape[1]
    return features + dense(block.back, pairs @ g).reshape(features.shape)


def twin(loss, teacher, student):
    """The four lengths."""
    t, s, layers = teacher.astype("f8"), student.astype("f8"), loss.layers
    mask = (attention(t, loss.temperature) + attention(s, loss.temperature)) / 2
    kernel = layers["spatial"].kernel.numpy()[..., 0, 0]
    spatial = [ndimage.correlate(one, kernel, mode="constant") for one in s.mean(-1)]
    spatial = np.stack(spatial) + layers["spatial"].bias.numpy()
    return [
        np.sqrt((mask * (t - dense(layers["feature"], s)) ** 2).sum()),
        np.linalg.norm(t.mean((1, 2)) - dense(layers["channel"], s.mean((1, 2)))),
        np.linalg.norm(t.mean(-1) - spatial),
        np.linalg.norm(
            non_local(layers["teacher_non_local"], t)
            - dense(layers["relation"], non_local(layers["student_non_local"], s))
        ),
    ]


@pytest.mark.parametrize("shapes", [((3, 6, 10, 4), 4), ((2, 5, 3, 4), 6)], ids=["equal", "widths"])
@pytest.mark.parametrize("term", [*TERMS, None])
def test_value(shapes, term, random):
    (n, height, width, channels), student_channels = shapes
    teacher = random(n, height, width, channels)
    student = random(n, height, width, student_channels)
    weights = {name: float(name == term) for name in TERMS} if term else {}
    loss = AttentionNonLocal(**weights)
    loss.build(channels, student_channels)
    drawn(loss, random)
    lengths = dict(zip(TERMS, twin(loss, teacher, student), strict=True))
    expected = (
        lengths[term]
        if term
        else sum(
            weight * lengths[name] for name, weight in loss.get_config().items() if name in lengths
        )
    )
    assert float(loss(teacher, student)) == pytest.approx(expected, rel=1e-5)


def test_the_mask_of_attention_carries_no_gradient(gradients, random):
    """Squares whose weights moved along would pull the student away from where it looks."""
    loss = AttentionNonLocal(channel_weight=0, spatial_weight=0, relation_weight=0)
    loss.build(1, 1)
    feature = loss.layers["feature"]
    feature.kernel.assign(np.eye(1))
    teacher, student = random(1, 3, 4, 1), random(1, 3, 4, 1)
    value, _, gradient = gradients(loss, teacher, student)
    mask = (attention(teacher.astype("f8")) + attention(student.astype("f8"))) / 2
    expected = 7e-5 * mask * (student - teacher) / (value / 7e-5)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-9)


def test_columns_of_padding_can_be_masked(random):
    teacher, student = random(2, 6, 10, 4), random(2, 6, 10, 4)
    mask = np.ones((2, 6, 10))
    mask[:, :, 8:] = 0
    loss = AttentionNonLocal()
    loss.build(4, 4)
    drawn(loss, random)
    value = float(loss(teacher, student, mask=mask))
    cut = float(loss(teacher[:, :, :8], student[:, :, :8]))
    assert value == pytest.approx(cut, rel=1e-5)
    assert value != pytest.approx(float(loss(teacher, student)), rel=1e-3)


def test_a_new_block_is_the_identity_and_learns_on_both_sides(random):
    tf = pytest.importorskip("tensorflow")
    teacher, student = random(2, 4, 5, 3), random(2, 4, 5, 6)
    loss = AttentionNonLocal()
    with tf.GradientTape() as tape:
        value = loss(teacher, student)
    np.testing.assert_array_equal(loss.layers["teacher_non_local"](teacher), teacher)
    variables = loss.trainable_variables
    found = tape.gradient(value, [v.value for v in variables])
    moved = {v.path for v, g in zip(variables, found, strict=True) if np.abs(g).max() > 0}
    for block in ("teacher_non_local", "student_non_local"):
        assert any(f"{block}/back" in path for path in moved), moved
    for part in ("feature", "channel", "spatial", "relation"):
        assert any(v is w for v in loss.layers[part].weights for w in variables)
    assert len(variables) == 4 * 2 + 2 * 8


def test_perfect_imitation_has_no_slope(gradients, random):
    """A length has an infinite slope at 0, which must not become a NaN."""
    loss = AttentionNonLocal()
    loss.build(3, 3)
    for name in ("feature", "channel", "relation"):
        loss.layers[name].kernel.assign(np.eye(3))
    kernel = np.zeros((3, 3, 1, 1))
    kernel[1, 1] = 1
    loss.layers["spatial"].kernel.assign(kernel)
    features = random(2, 4, 5, 3)
    value, _, gradient = gradients(loss, features, features)
    assert value == 0.0 and not gradient.any()


def test_block_config_round_trip():
    block = NonLocalBlock(reduction=4)
    assert NonLocalBlock.from_config(block.get_config()).reduction == 4
