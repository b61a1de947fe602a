"""The lightweight teacher: kept in a file, right nearly always, and never the same twice."""

import numpy as np
import pytest

from keras_hkd.methods.lw_kd import lightweight_teacher
from keras_hkd.training import DifferentRunError

TINY = {"images_per_class": 4, "num_instances": 3, "max_steps": 1}


def test_it_is_kept_and_read_again(tmp_path):
    made = lightweight_teacher.lightweight_teacher(3, folder=tmp_path, **TINY)
    assert made.logits.shape == (3, 3, 3)
    again = lightweight_teacher.lightweight_teacher(3, folder=tmp_path, **TINY)
    np.testing.assert_array_equal(again.logits, made.logits)
    assert again.accuracy == made.accuracy
    assert [path.name for path in tmp_path.iterdir()] == ["lightweight_teacher.npz"]
    with pytest.raises(DifferentRunError, match="num_classes was 3 and is now 4"):
        lightweight_teacher.lightweight_teacher(4, folder=tmp_path, **TINY)
    file = tmp_path / "lightweight_teacher.npz"
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"lightweight_teacher.npz is damaged .*Delete it"):
        lightweight_teacher.lightweight_teacher(3, folder=tmp_path, **TINY)


@pytest.mark.slow
def test_its_answers_are_right_and_differ_from_drawing_to_drawing():
    logits, accuracy = lightweight_teacher.lightweight_teacher(4, num_instances=100)
    q = np.exp(logits - logits.max(-1, keepdims=True))
    q /= q.sum(-1, keepdims=True)
    right = q.argmax(-1) == np.arange(4)[:, None]
    assert right.mean() == pytest.approx(accuracy) and 0.95 < accuracy
    np.testing.assert_allclose(q.sum(-1), 1, rtol=1e-5)
    assert (q.std(1).max(-1) > 0.01).all()  # label smoothing would have 0
