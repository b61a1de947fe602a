import numpy as np
import pytest

from keras_hkd.export import layer_errors
from keras_hkd.export.quantization_errors import describe

pytestmark = pytest.mark.slow


def test_the_layer_with_a_stretched_range_is_named(micro_detector, images):
    from keras_hkd.detectors import build

    detector = build("yolo_v8_micro", image_size=(64, 96), seed=1)
    detector.set_weights(micro_detector("yolo_v8").get_weights())
    (bias,) = [w for w in detector.weights if w.path.endswith("yolo_v8_head_2_class_3_conv/bias")]
    before = layer_errors(detector, images)
    bias.assign(bias + 1000.0)  # so the logits of all levels share a step of four
    after = layer_errors(detector, images)

    def worst(rows):
        return max(row["error"] for row in rows if "class" in row["layer"])

    assert worst(after) > 0.9 > 3 * worst(before)  # 1: nothing is left of the layer's output
    assert "head_2_class_3" in after[0]["layer"]
    assert max(row["scale"] for row in after) > 3.0
    assert [row["error"] for row in after] == sorted((r["error"] for r in after), reverse=True)
    assert {"layer", "operator", "error", "scale"} == set(after[0])
    assert np.isfinite([row["error"] for row in after]).all()
    assert after[0]["layer"] in describe(after)
