import numpy as np
import pytest

from keras_hkd.evaluation import benchmark
from keras_hkd.evaluation.benchmark import benchmark_models
from keras_hkd.evaluation.peak_memory import measure_peak_memory_mib

needs_tensorflow = pytest.mark.skipif(
    __import__("keras").backend.backend() != "tensorflow", reason="TFLite is TensorFlow's"
)
pytestmark = needs_tensorflow


def tflite(path, mebibytes):
    """A file of any kind of model, no detector: it multiplies by a matrix of that size."""
    import tensorflow as tf

    width = int(mebibytes * 2**20 / 4 / 64)
    matrix = tf.constant(np.random.default_rng(0).normal(size=(64, width)), tf.float32)
    spec = tf.TensorSpec((1, 64), tf.float32)
    traced = tf.function(lambda x: x @ matrix).get_concrete_function(spec)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced], tf.Module())
    path.write_bytes(converter.convert())
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {"small": tflite(folder / "small.tflite", 0.1), "big": tflite(folder / "b.tflite", 24)}


def test_any_tflite_model_in_several_threads(files):
    rows = benchmark_models(files, rounds=3, warm_up=1, memory=False, progress=False)
    assert [(row["model"], row["threads"]) for row in rows] == [
        ("small", 1),
        ("small", 2),
        ("big", 1),
        ("big", 2),
    ]
    for row in rows:
        assert row["runtime"] == "tflite"
        assert row["size_bytes"] == files[row["model"]].stat().st_size
        assert 0 < row["median_ms"] <= row["p90_ms"]
    assert [row["speed_up"] for row in rows[:2]] == [1.0, 1.0]
    assert all(row["speed_up"] < 1 for row in rows[2:])  # 240 times the work


def test_the_reference_has_as_many_threads():
    rows = [
        benchmark._Row(name, None, threads, None, {})
        for name, threads in (("a", 1), ("a", 2), ("b", 1), ("b", 2), ("keras", None))
    ]
    found = [benchmark._reference(row, rows) for row in rows]
    assert [(row.name, row.threads) for row in found] == [
        ("a", 1),
        ("a", 2),
        ("a", 1),
        ("a", 2),
        ("a", 2),
    ]
    (alone,) = rows[-1:]
    assert benchmark._reference(alone, [alone]) is alone


@pytest.mark.own_process
def test_peak_memory_holds_the_weights(files):
    small, big = (measure_peak_memory_mib(files[name], 1) for name in ("small", "big"))
    assert 24 < big < 120
    assert small < 12


def test_what_cannot_be_timed(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        benchmark_models({"a": tmp_path / "a.tflite"})
    (tmp_path / "a.pt").touch()
    with pytest.raises(ValueError, match=r"\.keras or \.tflite"):
        benchmark_models({"a": tmp_path / "a.pt"})
    (tmp_path / "a.tflite").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="not a TFLite model"):
        benchmark_models({"a": tmp_path / "a.tflite"})
    with pytest.raises(RuntimeError, match="could not be measured"):
        measure_peak_memory_mib(tmp_path / "a.tflite")
