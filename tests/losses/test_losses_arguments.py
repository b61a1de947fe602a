"""What losses ask for beside the tensors, and how they refuse it."""

import numpy as np
import pytest

from keras_hkd import losses
from keras_hkd.losses import arguments


def test_missing_and_unknown_arguments_are_named(random):
    teacher, student = random(2, 3, 4), random(2, 3, 4)
    with pytest.raises(TypeError, match="needs `targets`.*targets=.*Received: none"):
        losses.TeacherBoundedRegression()(teacher, student)
    with pytest.raises(TypeError, match="takes `mask`. Received: `boxes`"):
        losses.FeatureImitation()(teacher, student, boxes=None)
    with pytest.raises(TypeError, match="positional"):
        losses.DecoupledDistillation()(teacher, student, [0, 1])


@pytest.mark.parametrize("boxes", [np.zeros((2, 4)), np.zeros((1, 3, 4)), np.zeros((2, 3, 5))])
def test_boxes_of_another_shape_are_refused(boxes):
    with pytest.raises(ValueError, match=r"\(batch, n, 4\) in xyxy pixels.*batch of 2"):
        arguments.as_boxes(boxes, 2)
