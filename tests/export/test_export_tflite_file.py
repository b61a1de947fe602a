import numpy as np
import pytest

from keras_hkd.export import list_operators
from keras_hkd.export.tflite_file import (
    foreign_operators,
    join_models,
    name_tensors,
    pack_model,
    read_model,
)
from keras_hkd.inference.tflite_metadata import NotTFLiteError
from keras_hkd.inference.tflite_runner import TFLiteRunner


def converted(function, *shapes, flex=False):
    import tensorflow as tf

    specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    concrete = tf.function(function).get_concrete_function(*specs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module())
    if flex:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.SELECT_TF_OPS]
    return converter.convert()


def test_operators_are_counted():
    content = converted(lambda x: (x * 2.0 + 1.0) * x, (2, 3))
    assert list_operators(content) == {"ADD": 1, "MUL": 2}
    assert foreign_operators(content) == []


def test_a_flex_operator_is_foreign():
    import tensorflow as tf

    content = converted(lambda x: tf.linalg.inv(x), (3, 3), flex=True)
    assert "FlexMatrixInverse" in foreign_operators(content)


def test_two_models_become_one():
    head = read_model(converted(lambda x: (x + 1.0, x * 3.0), (2,)))
    tail = read_model(converted(lambda a, b: a - b, (2,), (2,)))
    joined = join_models(head, tail)
    name_tensors(joined, ["x"], ["y"])
    (result,) = TFLiteRunner(pack_model(joined)).run(np.array([1.0, 5.0]))
    assert result.tolist() == [2.0 - 3.0, 6.0 - 15.0]
    runner = TFLiteRunner(pack_model(joined))
    assert runner.interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["x"], "outputs": ["y"]}
    }


def test_models_that_do_not_fit():
    one = read_model(converted(lambda x: x + 1.0, (2,)))
    two = read_model(converted(lambda a, b: a - b, (2,), (2,)))
    with pytest.raises(ValueError, match="2 outputs"):
        join_models(one, two)


@pytest.mark.parametrize(
    "content", [b"", b"no model at all, but long", b"\x20\0\0\0TFL3" + b"\0" * 4]
)
def test_not_tflite(tmp_path, content):
    path = tmp_path / "x.tflite"
    path.write_bytes(content)
    with pytest.raises(NotTFLiteError, match="x.tflite"):
        list_operators(path)


def test_damaged_bytes():
    with pytest.raises(NotTFLiteError):
        read_model(b"\xff\xff\xff\x0fTFL3" + b"\xff" * 64)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.tflite"):
        list_operators(tmp_path / "nothing.tflite")
