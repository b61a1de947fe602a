"""What `keras_hkd.visualize` draws is what the hierarchies, the loss and the assignment hold."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from keras_hkd import visualize
from keras_hkd.data import synthetic_dataset, training_batches
from keras_hkd.detectors import build
from keras_hkd.detectors.rtmdet import RTMDet, RTMDetConfig
from keras_hkd.hierarchies import Boxes, ClassLogits, ClassTower, Pyramid, Region, possibilities
from keras_hkd.losses import (
    AdaptiveDistillation,
    FeatureImitation,
    FineGrainedImitation,
    FocalGlobal,
    GIoU,
    PearsonCorrelation,
)

SIZE = (64, 96)
FAMILIES = ("retinanet", "rtmdet", pytest.param("yolo_v8", marks=pytest.mark.long))
PAIR = ("rtmdet", "rtmdet")  # the family that is built fastest
MORE_PAIRS = [("yolo_v8", "yolo_v8"), ("retinanet", "retinanet"), ("yolo_v8", "retinanet")]
MORE_PAIRS += [("retinanet", "rtmdet")]


@functools.cache
def detector(family, seed):
    if family == "rtmdet":
        keras.utils.set_random_seed(seed)
        return RTMDet(RTMDetConfig(width=0.125, num_classes=1), image_size=SIZE)
    return build(f"{family}_micro", image_size=SIZE, seed=seed)


@functools.cache
def batch():
    scenes = synthetic_dataset(2, SIZE, seed=3)
    return next(iter(training_batches(scenes, image_size=SIZE, batch_size=2, seed=0)))


@functools.cache
def step_of(teacher="rtmdet", student="rtmdet"):
    return visualize.look(detector(teacher, 1), detector(student, 2), *batch())


def attached(hierarchy, step):
    hierarchy.attach(step.teacher, step.student)
    return hierarchy


def numpy(tensor):
    return np.asarray(ops.convert_to_numpy(tensor))


def in_order(rows):
    """Rows sorted by their numbers, so that sets of rows can be compared."""
    rows = np.round(np.asarray(rows, float), 2)
    return rows[np.lexsort(rows.T)]


def drawn(axes):
    return np.asarray(axes.images[-1].get_array())


@pytest.mark.parametrize(
    ("teacher", "student"),
    [pytest.param(*pair, marks=pytest.mark.long) for pair in (PAIR, *MORE_PAIRS)],
)
def test_every_hierarchy_that_a_pair_allows_is_drawn_or_says_why_not(teacher, student):
    pair = detector(teacher, 1), detector(student, 2)
    allowed = possibilities.possible(*pair)
    works = [name for name, found in allowed.items() if found.works]
    hierarchies = {name: possibilities._samples()[name] for name in works}
    for hierarchy in hierarchies.values():
        hierarchy.attach(*pair)
    step = visualize.look(*pair, *batch())
    num_drawn = 0
    for name, hierarchy in hierarchies.items():
        if name == "NeighbourCells":  # compares pairs of cells, which are no map
            with pytest.raises(ValueError, match="cells of feature maps"):
                visualize.draw_maps(hierarchy, step)
            continue
        if name == "Region":
            figure = visualize.draw_regions(hierarchy, step)
        else:
            figure = visualize.draw_maps(hierarchy, step, row=1)
            maps = visualize.level_maps(hierarchy, step, row=1)
            shapes = step.student.level_shapes(SIZE)
            for one in maps:
                for values in (one.teacher, one.student, one.difference):
                    assert values.shape == shapes[one.level] and np.isfinite(values).all()
                assert one.weights is None or one.weights.shape == shapes[one.level]
            panels = [axes for axes in figure.axes if axes.get_title() == "teacher"]
            np.testing.assert_array_equal(drawn(panels[0]), maps[0].teacher)
        num_drawn += 1
    assert num_drawn >= 4


def test_looking_changes_nothing_of_teacher_and_student():
    models = detector("rtmdet", 1), detector("rtmdet", 2)
    before = [[w.copy() for w in model.get_weights()] for model in models]
    step = visualize.look(*models, *batch())
    visualize.draw_maps(attached(Pyramid(PearsonCorrelation()), step), step)
    for model, weights in zip(models, before, strict=True):
        assert all((a == b).all() for a, b in zip(model.get_weights(), weights, strict=True))
    assert step.compared is None


def test_maps_of_a_pyramid_are_the_features_of_both_reduced_over_channels():
    step = step_of()
    images, _ = batch()
    features = [numpy(one(images)["pyramid"]["P4"]) for one in (step.teacher, step.student)]
    found = visualize.level_maps(attached(Pyramid(FeatureImitation()), step), step, row=1)[1]
    assert found.level == "P4" and found.weights is None
    teacher, student = (one[1] for one in features)
    np.testing.assert_allclose(found.teacher, np.abs(teacher).mean(-1), rtol=1e-5)
    np.testing.assert_allclose(found.student, np.abs(student).mean(-1), rtol=1e-5)
    rms = np.sqrt(np.square(teacher - student).mean(-1))
    np.testing.assert_allclose(found.difference, rms, rtol=1e-4, atol=1e-6)


def test_standardised_maps_do_not_differ_by_the_scale_of_a_channel():
    step = step_of()
    pyramid = attached(Pyramid(PearsonCorrelation()), step)
    images, _ = batch()
    scaled = dict(step.student_outputs)
    scaled["pyramid"] = {k: 5.0 * v + 3.0 for k, v in step.student_outputs["pyramid"].items()}
    twin = visualize.look(step.student, step.student, *batch())
    twin.teacher_outputs = scaled
    raw, standard = (
        visualize.level_maps(pyramid, twin, standardize=one)[0].difference for one in (False, True)
    )
    assert raw.min() > 1.0
    np.testing.assert_allclose(standard, 0.0, atol=0.05)


@pytest.mark.parametrize("family", ["rtmdet", "retinanet"])
def test_scores_lie_at_the_cells_of_their_anchors(family):
    step = step_of(family, family)
    maps = visualize.level_maps(attached(ClassLogits(AdaptiveDistillation()), step), step)
    scores = 1 / (1 + np.exp(-numpy(step.student_outputs["class_logits"])[0, :, 0]))
    per_cell = {"rtmdet": 1, "retinanet": 9}[family]
    anchor = 0
    for one in maps:
        height, width = one.student.shape
        assert (height, width) == tuple(-(-side // step.student.stride(one.level)) for side in SIZE)
        for y in range(height):
            for x in range(width):
                best = scores[anchor : anchor + per_cell].max()
                assert one.student[y, x] == pytest.approx(best, rel=1e-5)
                anchor += per_cell
    assert anchor == len(scores)


def test_masks_are_those_of_the_hierarchies():
    step = step_of()
    assert sum(int(numpy(cells).sum()) for cells in step.positive_cells.values()) > 0
    for hierarchy in (Boxes(GIoU()), ClassTower(FeatureImitation())):
        for one in visualize.level_maps(attached(hierarchy, step), step, row=1):
            cells = numpy(step.positive_cells[one.level])[1]
            np.testing.assert_array_equal(one.weights.astype(bool), cells)
    weighted = attached(Pyramid(FeatureImitation(), at="teacher_scores"), step)
    for one in visualize.level_maps(weighted, step):
        map_of_level = step.student_outputs["pyramid"][one.level]
        wanted = numpy(step.teacher_cell_scores(one.level, map_of_level))[0]
        np.testing.assert_allclose(one.weights, wanted, rtol=1e-6)


def test_cells_that_the_loss_itself_chooses_are_shown():
    step = step_of()
    people = numpy(step.labels["boxes"])[0][numpy(step.labels["classes"])[0] >= 0]
    found = visualize.level_maps(attached(Pyramid(FocalGlobal()), step), step)[0]
    for y, x in np.argwhere(found.weights > 0):
        covering = [
            box
            for box in people
            if np.floor(box[0] / 8) <= x <= np.ceil(box[2] / 8)
            and np.floor(box[1] / 8) <= y <= np.ceil(box[3] / 8)
        ]
        assert covering
    near = attached(Pyramid(FineGrainedImitation()), step)
    maps = visualize.level_maps(near, step)
    assert {value for one in maps for value in np.unique(one.weights)} == {0.0, 1.0}


def test_regions_are_those_that_the_hierarchy_compares():
    step = step_of()
    region = attached(Region(FeatureImitation(), num_detections=4, score_threshold=0.0), step)
    found = visualize.region_set(region, step, row=1)
    boxes, valid, levels = (numpy(x)[1] for x in region.regions_of(step))
    np.testing.assert_array_equal(found.boxes, boxes[valid])
    assert [int(level[1:]) for level in found.levels] == levels[valid].tolist()
    people = numpy(step.labels["boxes"])[1][numpy(step.labels["classes"])[1] >= 0]
    np.testing.assert_allclose(found.boxes[found.labelled], people, atol=1e-4)
    assert 0 < (~found.labelled).sum() <= 4
    # The loss gets a mask of exactly these regions, each at one level.
    masks = [numpy(one.mask)[1] for one in visualize.what_the_loss_sees(region, step)]
    assert sum(mask.sum() for mask in masks) == len(found.boxes)
    figure = visualize.draw_regions(region, step, row=1)
    paths = [path for one in figure.axes[0].collections for path in one.get_paths()]
    sides = np.array([path.get_extents().extents for path in paths])
    np.testing.assert_allclose(in_order(sides), in_order(found.boxes), atol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_positive_anchor_is_a_dot_with_a_line_to_its_person(family):
    step = visualize.look(None, detector(family, 2), *batch())
    figure = visualize.draw_assignment(step, row=1)
    positive = numpy(step.assignment.positive)[1]
    assert positive.any()
    wanted = numpy(step.student.anchor_points(SIZE))[positive]
    axes = figure.axes[0]
    dots = [one for one in axes.collections if one.get_label().startswith("P")]
    offsets = np.concatenate([one.get_offsets() for one in dots])
    np.testing.assert_allclose(in_order(offsets), in_order(wanted), atol=1e-3)
    lines = [one for one in axes.collections if type(one).__name__ == "LineCollection"]
    ends = np.concatenate([np.array(one.get_segments()).reshape(-1, 2, 2) for one in lines])[:, 1]
    boxes = numpy(step.assignment.target_boxes)[1][positive]
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    np.testing.assert_allclose(in_order(ends), in_order(middles), atol=1e-3)


def test_attention_is_that_of_the_loss_and_drawn_in_common_colours():
    images, _ = batch()
    pair = {"teacher": detector("retinanet", 1), "student": detector("retinanet", 2)}
    image = numpy(images)[0]
    figure = visualize.draw_attention(pair, image, levels=("P3", "P4"))
    panels = figure.axes
    assert [axes.get_title() for axes in panels[:3]] == ["picture", "teacher", "student"]
    for column, model in enumerate(pair.values(), start=1):
        features = numpy(model(images)["pyramid"]["P4"])[0]
        strength = np.square(features).mean(-1)
        wanted = strength / np.linalg.norm(strength)
        np.testing.assert_allclose(drawn(panels[3 + column]), wanted, rtol=1e-4, atol=1e-7)
    assert panels[1].images[-1].get_clim() == panels[2].images[-1].get_clim()


def test_what_cannot_be_drawn_is_refused_with_the_cure():
    step = step_of()
    with pytest.raises(ValueError, match="attach"):
        visualize.draw_maps(Pyramid(FeatureImitation()), step)
    with pytest.raises(ValueError, match="cells of feature maps"):
        visualize.draw_maps(attached(Region(FeatureImitation()), step), step)
    with pytest.raises(TypeError, match="draw_maps"):
        visualize.draw_regions(attached(Pyramid(FeatureImitation()), step), step)
    with pytest.raises(ValueError, match="row"):
        visualize.draw_assignment(step, row=2)
    alone = visualize.look(None, detector("rtmdet", 2), *batch())
    with pytest.raises(ValueError, match="teacher"):
        visualize.draw_maps(attached(Pyramid(FeatureImitation()), step), alone)
    with pytest.raises(ValueError, match="levels"):
        visualize.attention_maps(detector("rtmdet", 2), batch()[0], levels=("P9",))


def test_a_picture_fills_its_panel_and_colours_begin_at_0():
    step = step_of()
    logits = attached(ClassLogits(AdaptiveDistillation()), step)
    figures = [
        visualize.draw_maps(logits, step),
        visualize.draw_regions(attached(Region(FeatureImitation()), step), step),
        visualize.draw_assignment(step),
    ]
    for figure in figures:
        axes = figure.axes[0]
        assert axes.get_xlim() == (-0.5, SIZE[1] - 0.5)
        assert axes.get_ylim() == (SIZE[0] - 0.5, -0.5)
    for axes in figures[0].axes:
        if axes.get_title() in ("teacher", "student", "difference", "weights"):
            assert axes.images[-1].get_clim()[0] == 0.0
