"""The region set and the positive cells of a step."""

import numpy as np

FAR = (200.0, 200.0, 260.0, 260.0)


def test_regions_are_people_then_the_teachers_best(family, step_of):
    teacher = family()
    teacher.found = [(1.0, 1.0, 9.0, 9.0)]
    step = step_of(teacher, family(), [(10.0, 8.0, 26.0, 40.0)])
    boxes, valid = step.regions(3, 0.05)
    assert tuple(boxes.shape) == (2, 4 + 3, 4)
    assert np.asarray(valid).tolist() == [[True, False, False, False, True, False, False]] * 2
    np.testing.assert_array_equal(boxes[0, 4], teacher.found[0])


def test_regions_are_clipped_and_slivers_left_out(family, step_of):
    people = [(-20.0, 10.0, 30.0, 90.0), FAR, (5.0, 5.0, 5.5, 30.0)]
    boxes, valid = step_of(family(), family(), people).regions(0, 0.05)
    np.testing.assert_array_equal(boxes[0, 0], (0, 10, 30, 64))
    assert np.asarray(valid[0]).tolist() == [True, False, False, False]


def test_the_teacher_is_asked_once_for_each_region_set(family, step_of):
    teacher = family()
    asked = []
    answer = teacher.detections
    teacher.detections = lambda *args, **options: asked.append(options) or answer(*args, **options)
    step = step_of(teacher, family(), [])
    step.regions(3, 0.05)
    step.regions(3, 0.05)
    assert [options["max_detections"] for options in asked] == [3]
    step.regions(3, 0.5)
    assert [options["score_threshold"] for options in asked] == [0.05, 0.5]


def test_positive_cells_are_those_of_any_positive_anchor(family, step_of):
    student = family()
    student.anchors_per_cell = 3
    step = step_of(family(), student)
    positive = np.asarray(step.assignment.positive)
    grid = positive[:, : 64 * 3].reshape(2, 8, 8, 3).any(-1)
    np.testing.assert_array_equal(step.positive_cells["P3"], grid)
    last = positive[:, -4 * 3 :].reshape(2, 2, 2, 3).any(-1)
    np.testing.assert_array_equal(step.positive_cells["P5"], last)
