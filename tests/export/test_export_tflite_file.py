import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from keras_hkd.export import list_operators
from keras_hkd.export.tflite_file import (
    drop_empty_buffers,
    foreign_operators,
    join_models,
    name_tensors,
    pack_model,
    read_model,
    set_buffer,
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


def test_equal_vectors_and_names_are_written_once_and_read_back_equal():
    model = read_model(converted(lambda x: (x + 1.0) * 3.0 - x, (2, 3)))
    for tensor in model.subgraphs[0].tensors:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = np.linspace(0.5, 1.0, 64).astype("float32")
        tensor.quantization.zeroPoint = np.zeros(64, "int64")
        tensor.name = b"a name of some length that all of them have"
    content = pack_model(model)
    num_tensors = len(model.subgraphs[0].tensors)
    again = read_model(content)
    assert len(content) < 64 * 12 * num_tensors / 2
    for tensor in again.subgraphs[0].tensors:
        np.testing.assert_array_equal(tensor.quantization.zeroPoint, np.zeros(64))
        np.testing.assert_array_equal(tensor.quantization.scale, np.linspace(0.5, 1, 64, dtype="f"))
        assert tensor.name == b"a name of some length that all of them have"


def test_tensors_without_values_share_the_empty_buffer():
    model = read_model(converted(lambda x: (x + 1.0) * 3.0 - x, (2,)))
    set_buffer(model, "note", b"kept")
    before = len(model.buffers)
    drop_empty_buffers(model)
    assert len(model.buffers[0].data if model.buffers[0].data is not None else ()) == 0
    assert all(len(buffer.data) for buffer in model.buffers[1:])
    assert len(model.buffers) < before
    again = read_model(pack_model(model))
    entry = next(one for one in again.metadata if one.name == b"note")
    assert bytes(again.buffers[entry.buffer].data) == b"kept"
    (result,) = TFLiteRunner(pack_model(model)).run(np.array([1.0, 5.0]))
    assert result.tolist() == [2 * 3 - 1, 6 * 3 - 5]


def test_inner_tensors_keep_the_name_of_their_layer():
    model = read_model(converted(lambda x: (x + 1.0) * 3.0 - x, (2, 3)))
    inner = model.subgraphs[0].tensors[-2]
    inner.name = b"detector_1/network_1/stem_conv/add;detector_1/network_1/stem_conv/convolution"
    name_tensors(model, ["x"], ["y"])
    assert inner.name == b"stem_conv"


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
