import keras
import numpy as np
import pytest

from keras_hkd.detectors import build, load_detector, save_half_precision


@pytest.fixture(scope="module")
def detector():
    return build("retinanet_micro", image_size=(64, 64), seed=3)


def test_weights_come_back_rounded_to_half_precision(detector, tmp_path):
    save_half_precision(detector, tmp_path / "half.keras")
    loaded = load_detector(tmp_path / "half.keras")
    for before, after in zip(detector.weights, loaded.weights, strict=True):
        assert after.dtype == "float32"
        rounded = keras.ops.convert_to_numpy(before).astype("float16").astype("float32")
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(after), rounded)


def test_the_file_is_little_more_than_half_as_large(detector, tmp_path):
    save_half_precision(detector, tmp_path / "half.keras")
    detector.save(tmp_path / "whole.keras")
    sizes = [(tmp_path / name).stat().st_size for name in ("half.keras", "whole.keras")]
    assert sizes[0] < 0.7 * sizes[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["half.keras", "whole.keras"]


def test_what_float16_cannot_hold_stays_float32(tmp_path):
    detector = build("retinanet_micro", image_size=(64, 64), seed=3)
    weight = detector.weights[0]
    weight.assign(keras.ops.full(weight.shape, 1e6))
    save_half_precision(detector, tmp_path / "half.keras")
    loaded = load_detector(tmp_path / "half.keras")
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(loaded.weights[0]), 1e6)


def test_what_is_not_finite_is_refused_and_nothing_is_written(tmp_path):
    detector = build("retinanet_micro", image_size=(64, 64), seed=3)
    weight = detector.weights[0]
    weight.assign(keras.ops.full(weight.shape, np.nan))
    with pytest.raises(ValueError, match="not finite"):
        save_half_precision(detector, tmp_path / "half.keras")
    assert not list(tmp_path.iterdir())
