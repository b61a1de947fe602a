"""What the tests of the losses share: gradients of both sides, and random tensors."""

import numpy as np
import pytest


@pytest.fixture
def random():
    """Return normal random arrays (float32, seeded) of a shape."""
    generator = np.random.default_rng(7)

    def draw(*shape, scale=1.0):
        return (scale * generator.normal(size=shape)).astype("float32")

    return draw


@pytest.fixture
def gradients():
    """Differentiate a loss: (value, gradient of the teacher or None, gradient of the student)."""
    tf = pytest.importorskip("tensorflow")

    def differentiate(loss, teacher, student, mask=None):
        teacher, student = tf.convert_to_tensor(teacher), tf.convert_to_tensor(student)
        with tf.GradientTape() as tape:
            tape.watch([teacher, student])
            value = loss(teacher, student, mask=mask)
        d_teacher, d_student = tape.gradient(value, [teacher, student])
        return float(value), d_teacher, d_student.numpy()

    return differentiate
