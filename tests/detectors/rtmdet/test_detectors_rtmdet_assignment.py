"""Dynamic soft labels against another implementation: boxes one after another, in NumPy."""

import numpy as np
import pytest
from keras import ops

from keras_hkd.detectors.rtmdet.assignment import dynamic_soft_labels

SIDE = 64
STRIDES = (8, 16, 32)


def grid():
    """Points `(84, 2)` and strides `(84, 1)` of an image of 64 x 64 px."""
    points = [
        (column * stride, row * stride, stride)
        for stride in STRIDES
        for row in range(SIDE // stride)
        for column in range(SIDE // stride)
    ]
    points = np.array(points, "float32")
    return points[:, :2], points[:, 2:]


POINTS, PITCH = grid()


def overlap(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def contains(box, point):
    return box[0] < point[0] < box[2] and box[1] < point[1] < box[3]


def reference(logits, boxes, people, classes, candidates=13):
    """`{point: (number of the box, overlap)}` of one image, by the words of the paper."""
    people = [(p.astype(float), int(c)) for p, c in zip(people, classes, strict=True) if c >= 0]
    allowed = [i for i, p in enumerate(POINTS) if any(contains(box, p) for box, _ in people)]
    claims = {}
    for number, (box, label) in enumerate(people):
        costs, overlaps = {}, {}
        for i in allowed:
            iou = overlap(boxes[i].astype(float), box)
            target = np.zeros(logits.shape[-1])
            target[label] = iou
            z = logits[i].astype(float)
            score = 1 / (1 + np.exp(-z))
            entropy = -target * np.log(score) - (1 - target) * np.log(1 - score)
            away = np.hypot(*(POINTS[i] - (box[:2] + box[2:]) / 2)) / PITCH[i, 0]
            costs[i] = np.sum(entropy * (target - score) ** 2)
            costs[i] += -3.0 * np.log(iou + 1e-7) + 10.0 ** (away - 3.0)
            overlaps[i] = iou
        k = max(1, int(sum(sorted(overlaps.values(), reverse=True)[:candidates])))
        for i in sorted(costs, key=costs.get)[:k]:
            claims.setdefault(i, []).append((costs[i], number, overlaps[i]))
    return {i: min(claim)[1:] for i, claim in claims.items()}, people


def drawn(seed, num_people, num_classes=1, near=True, side=(6, 50)):
    """One image: logits, predicted boxes near people or anywhere, people, classes."""
    generator = np.random.default_rng(seed)
    sides = generator.uniform(*side, (num_people, 2))
    corners = generator.uniform(-4, SIDE - 8, (num_people, 2))
    people = np.concatenate([corners, corners + sides], axis=-1)
    classes = generator.integers(0, num_classes, num_people)
    boxes = np.concatenate([POINTS - 12, POINTS + 12], axis=-1)
    if near and num_people:
        boxes = people[generator.integers(0, num_people, len(POINTS))]
    boxes = boxes + generator.normal(0, 4, boxes.shape)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    logits = generator.normal(-2, 2, (len(POINTS), num_classes))
    return tuple(x.astype("float32") for x in (logits, boxes, people, classes))


def assign(images, padding=0, **options):
    """Assignments of several images as one batch, with labels padded to the same number."""
    most = max(len(people) for _, _, people, _ in images) + padding
    labels = {"boxes": [], "classes": []}
    for _, _, people, classes in images:
        pad = most - len(people)
        labels["boxes"].append(np.pad(people, ((0, pad), (0, 0)), constant_values=-1))
        labels["classes"].append(np.pad(classes, (0, pad), constant_values=-1))
    logits, boxes = (np.stack([one[i] for one in images]) for i in (0, 1))
    found = dynamic_soft_labels(
        ops.convert_to_tensor(logits),
        ops.convert_to_tensor(boxes),
        ops.convert_to_tensor(POINTS),
        ops.convert_to_tensor(PITCH),
        {name: np.array(values, "float32") for name, values in labels.items()},
        **options,
    )
    return [np.asarray(value) for value in found]


def assert_as_reference(images, **options):
    positive, ignored, target_boxes, target_scores = assign(images, **options)
    assert not ignored.any()
    for row, image in enumerate(images):
        expected, people = reference(*image)
        assert set(np.flatnonzero(positive[row])) == set(expected)
        scores = np.zeros(image[0].shape)
        for point, (number, iou) in expected.items():
            box, label = people[number]
            np.testing.assert_allclose(target_boxes[row, point], box, atol=1e-4)
            scores[point, label] = iou
        np.testing.assert_allclose(target_scores[row], scores, atol=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_some_people_of_several_classes(seed):
    images = [drawn(10 * seed + i, i + 1, num_classes=3, near=i % 2 == 0) for i in range(3)]
    assert_as_reference(images)


@pytest.mark.parametrize("seed", range(3))
def test_a_crowd(seed):
    """More people than a level has cells: points that several boxes claim go to the cheapest."""
    image = drawn(seed, 24, side=(16, 30))
    assert_as_reference([image])
    assert len(reference(*image)[0]) > 20


def test_padding_counts_for_nothing():
    images = [drawn(1, 2), drawn(2, 4), drawn(3, 0)]
    plain, padded = assign(images), assign(images, padding=5)
    for one, other in zip(plain, padded, strict=True):
        np.testing.assert_array_equal(one, other)
    assert_as_reference(images, padding=5)
    assert not plain[0][2].any()
    assert not plain[3][2].any()


@pytest.mark.parametrize("slots", [0, 3])
def test_nobody(slots):
    positive, ignored, target_boxes, target_scores = assign([drawn(0, 0)] * 2, padding=slots)
    assert positive.shape == ignored.shape == (2, 84)
    assert not positive.any() and not ignored.any() and not target_scores.any()
    assert target_boxes.shape == (2, 84, 4)
    assert np.isfinite(target_boxes).all()


def test_a_person_between_the_points_teaches_nobody_unless_others_are_near():
    logits, boxes, _, _ = drawn(4, 1)
    tiny = np.array([[1.0, 1.0, 6.0, 7.0]], "float32")
    assert not assign([(logits, boxes, tiny, np.zeros(1, "float32"))])[0].any()
    # Beside a large person its cheapest point is among those that lie in that one.
    large = np.array([[2.0, 2.0, 60.0, 60.0]], "float32")
    assert_as_reference([(logits, boxes, np.concatenate([tiny, large]), np.zeros(2, "float32"))])


def test_every_person_gets_a_point_even_where_no_box_overlaps():
    logits, boxes, people, classes = drawn(5, 1, side=(30, 31))
    boxes = boxes * 0 + np.array([900, 900, 910, 910], "float32")
    positive, _, _, target_scores = assign([(logits, boxes, people, classes)])
    assert positive.sum() == 1
    assert not target_scores.any()


def test_more_candidates_take_more_points():
    image = drawn(7, 1, side=(50, 51))
    few, many = (assign([image], candidates=count)[0].sum() for count in (3, 13))
    assert few <= 3 < many
