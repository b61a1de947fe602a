"""FocalGlobal against a NumPy twin with loops, cell by cell and box by box."""

import math

import numpy as np
import pytest
from scipy import special

from keras_hkd.losses import FocalGlobal

SIZE = (60, 100)  # no multiple of the map's, so that the rule about cells is tried


def cell_weights(boxes, height, width):
    """M_fg of one image by the pinned rule."""
    weights = np.zeros((height, width))
    for x1, y1, x2, y2 in boxes:
        if x2 <= x1:
            continue
        left, right = math.floor(x1 * width / SIZE[1]), math.ceil(x2 * width / SIZE[1])
        top, bottom = math.floor(y1 * height / SIZE[0]), math.ceil(y2 * height / SIZE[0])
        share = 1 / ((bottom - top + 1) * (right - left + 1))
        for i in range(max(top, 0), min(bottom + 1, height)):
            for j in range(max(left, 0), min(right + 1, width)):
                weights[i, j] = max(weights[i, j], share)
    return weights


def attention(features, t):
    height, width, channels = features.shape
    space = special.softmax(np.abs(features).mean(-1).ravel() / t).reshape(height, width)
    channel = special.softmax(np.abs(features).mean((0, 1)) / t)
    return height * width * space, channels * channel


def twin(teacher, student, boxes, alpha=1e-3, beta=5e-4, gamma=5e-4, t=0.5):
    total = 0.0
    for f_t, f_s, people in zip(teacher.astype("f8"), student.astype("f8"), boxes, strict=True):
        (space_t, channel_t), (space_s, channel_s) = attention(f_t, t), attention(f_s, t)
        squares = ((f_t - f_s) ** 2 * channel_t).sum(-1) * space_t
        foreground = cell_weights(people, *f_t.shape[:2])
        background = (foreground == 0) / max((foreground == 0).sum(), 1)
        total += alpha * (squares * foreground).sum() + beta * (squares * background).sum()
        total += (
            gamma * np.abs(space_t - space_s).sum() + gamma * np.abs(channel_t - channel_s).sum()
        )
    return total / len(teacher)


NOBODY = [-1, -1, -1, -1]
PEOPLE = np.array(
    [
        [[10, 10, 30, 50], [25, 20, 70, 40], NOBODY],  # two that overlap
        [[95, 55, 100, 60], NOBODY, NOBODY],  # in the last cell: the rule reaches beyond the map
        [NOBODY, NOBODY, NOBODY],
    ],
    "f4",
)


def plain(**arguments):
    return FocalGlobal(relation_weight=0.0, **arguments)


@pytest.mark.parametrize("shape", [(6, 10, 4), (7, 9, 3), (1, 2, 2)])
def test_value(shape, random):
    teacher, student = random(3, *shape), random(3, *shape)
    value = float(plain()(teacher, student, boxes=PEOPLE, image_size=SIZE))
    assert value == pytest.approx(twin(teacher, student, PEOPLE), rel=1e-5)


@pytest.mark.parametrize(
    "only", [{"beta": 0, "gamma": 0}, {"alpha": 0, "gamma": 0}, {"alpha": 0, "beta": 0}], ids=str
)
@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_each_term(only, temperature, random):
    teacher, student = random(3, 6, 10, 4), random(3, 6, 10, 4)
    value = float(
        plain(**only, temperature=temperature)(teacher, student, boxes=PEOPLE, image_size=SIZE)
    )
    assert value == pytest.approx(twin(teacher, student, PEOPLE, t=temperature, **only), rel=1e-5)


def test_each_person_weighs_about_one_whatever_the_size(random):
    teacher = np.zeros((1, 24, 40, 1), "f4")
    student = np.ones((1, 24, 40, 1), "f4")
    for box in ([10, 10, 90, 50], [40, 20, 45, 30]):
        boxes = np.array([[box]], "f4")
        value = float(
            plain(alpha=1.0, beta=0, gamma=0)(teacher, student, boxes=boxes, image_size=SIZE)
        )
        assert value == pytest.approx(1.0, rel=1e-4)  # attention of a flat map is 1 everywhere


def test_people_everywhere_leave_no_background(random):
    boxes = np.array([[[0, 0, 100, 60]]], "f4")
    teacher, student = random(1, 6, 10, 4), random(1, 6, 10, 4)
    value = float(plain(alpha=0, gamma=0)(teacher, student, boxes=boxes, image_size=SIZE))
    assert value == 0.0


def test_columns_of_padding_can_be_masked(random):
    teacher, student = random(1, 6, 10, 4), random(1, 6, 10, 4)
    mask = np.ones((1, 6, 10))
    mask[:, :, 8:] = 0
    boxes = np.array([[[10, 10, 30, 50]]], "f4")
    value = float(plain()(teacher, student, boxes=boxes, image_size=SIZE, mask=mask))
    cut = plain()(teacher[:, :, :8], student[:, :, :8], boxes=boxes, image_size=(60, 80))
    assert value == pytest.approx(float(cut), rel=1e-5)


def test_relation_starts_as_plain_imitation_and_learns(random):
    tf = pytest.importorskip("tensorflow")
    teacher, student = random(2, 6, 10, 4), random(2, 6, 10, 4)
    loss = FocalGlobal(alpha=0, beta=0, gamma=0, relation_weight=0.5)
    context = {"boxes": PEOPLE[:2], "image_size": SIZE}
    with tf.GradientTape() as tape:
        value = loss(teacher, student, **context)
    expected = 0.5 * ((teacher.astype("f8") - student) ** 2).sum() / 2
    assert float(value) == pytest.approx(expected, rel=1e-5)
    variables = loss.trainable_variables
    assert set(loss.layers) == {"teacher_context", "student_context"} and len(variables) == 16
    moved = [
        v.path
        for v, g in zip(variables, tape.gradient(value, [v.value for v in variables]), strict=True)
        if g is not None and np.abs(g.numpy()).max() > 0
    ]
    assert any("teacher_context" in path for path in moved)
    assert any("student_context" in path for path in moved)
    block = loss.layers["student_context"]
    block.expand.kernel.assign(random(*block.expand.kernel.shape))
    assert float(loss(teacher, student, **context)) != pytest.approx(expected, rel=1e-3)


def test_context_block_against_numpy(random):
    from keras_hkd.losses.context_block import ContextBlock

    features = random(2, 3, 4, 6)
    block = ContextBlock()
    block.build((None, None, None, 6))
    for layer in (block.attention, block.squeeze, block.expand):
        layer.kernel.assign(random(*layer.kernel.shape))
        layer.bias.assign(random(*layer.bias.shape))
    w = {
        name: (getattr(block, name).kernel.numpy().astype("f8"), getattr(block, name).bias.numpy())
        for name in ("attention", "squeeze", "expand")
    }
    for image, found in zip(features.astype("f8"), block(features).numpy(), strict=True):
        flat = image.reshape(-1, 6)
        shares = special.softmax((flat @ w["attention"][0] + w["attention"][1])[:, 0])
        hidden = (shares @ flat) @ w["squeeze"][0] + w["squeeze"][1]
        hidden = np.maximum((hidden - hidden.mean()) / np.sqrt(hidden.var() + 1e-5), 0)
        expected = image + (hidden @ w["expand"][0] + w["expand"][1])
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_nothing_is_learned_without_relation(random):
    loss = plain()
    loss(random(3, 6, 10, 4), random(3, 6, 10, 4), boxes=PEOPLE, image_size=SIZE)
    assert loss.layers == {} and loss.trainable_variables == []


def test_boxes_and_image_size_are_needed(random):
    maps = random(3, 6, 10, 4), random(3, 6, 10, 4)
    with pytest.raises(TypeError, match="needs `boxes`, `image_size`"):
        plain()(*maps)
    with pytest.raises(ValueError, match="`boxes` must be"):
        plain()(*maps, boxes=PEOPLE[:2], image_size=SIZE)
    with pytest.raises(ValueError, match="`image_size` must be"):
        plain()(*maps, boxes=PEOPLE, image_size=60)
