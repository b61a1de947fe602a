"""TFLite files as flatbuffers: which operators they use, and two of them joined into one."""

from __future__ import annotations

import copy
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_hkd.errors import InvalidValueError, MissingFileError
from keras_hkd.inference.tflite_metadata import FILE_IDENTIFIER, NotTFLiteError

FLEX_PREFIX = "Flex"
_LAYER = re.compile(rb"^[^/]+/network[^/]*/([^/;]+)")
_BUILTINS = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)
}


def read_model(source: Any) -> Any:
    """Parse a TFLite model into the objects of its schema.

    Args:
        source: path of a file, or its bytes.

    Raises:
        FileNotFoundError: no such file.
        NotTFLiteError: no TFLite model, or a damaged one.
    """
    content, name = _content(source)
    if len(content) < 16 or content[4:8] != FILE_IDENTIFIER:
        raise NotTFLiteError(f"{name} is not a TFLite model: its first bytes say something else.")
    try:
        return schema.ModelT.InitFromPackedBuf(content, 0)
    except Exception as error:
        raise NotTFLiteError(
            f"{name} is a damaged TFLite model: {type(error).__name__} while it was read."
        ) from error


def pack_model(model: Any) -> bytes:
    """Serialise a model from the objects of its schema; equal vectors and names once."""
    builder = _SharingBuilder(1024)
    builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
    return bytes(builder.Output())


class _SharingBuilder(flatbuffers.Builder):
    """Writes equal vectors of numbers and equal strings once.

    An int8 file has a zero point of eight bytes, always 0, for each channel of each kernel and
    bias: a fifth of a small detector. Buffers that are read as they lie, such as weights, are
    vectors of bytes with an alignment of their own and are left alone.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._written: dict[Any, int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:
        if x.dtype.itemsize == 1:
            return super().CreateNumpyVector(x)
        return self._once((x.dtype.str, x.tobytes()), super().CreateNumpyVector, x)

    def CreateString(self, s: Any, *args: Any) -> int:
        return self._once(s, super().CreateString, s, *args)

    def _once(self, key: Any, write: Callable[..., int], *args: Any) -> int:
        if key not in self._written:
            self._written[key] = write(*args)
        return self._written[key]


def list_operators(source: Any) -> dict[str, int]:
    """Count the operators of a TFLite model by name.

    A builtin operator has its name in capitals; any other one (`"FlexTopK"`, a custom operator)
    comes under the name in the file, and the plain interpreter would refuse the file.

    Args:
        source: path of a file, or its bytes.

    Returns:
        dict from name to count, sorted by name.

    Raises:
        FileNotFoundError: no such file.
        NotTFLiteError: no TFLite model, or a damaged one.
    """
    model = read_model(source)
    counts = {}
    for subgraph in model.subgraphs:
        for operator in subgraph.operators or ():
            name = _operator_name(model.operatorCodes[operator.opcodeIndex])
            counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items()))


def foreign_operators(source: Any) -> list[str]:
    """List the operators of a TFLite model that the plain interpreter does not have.

    Args:
        source: path of a file, or its bytes.
    """
    return [name for name in list_operators(source) if name not in _BUILTINS.values()]


def float_operators(model: Any) -> list[str]:
    """List the operators with a float tensor as input or output, biases and scales aside.

    Args:
        model: what `read_model` gave.
    """
    subgraph, names = model.subgraphs[0], []
    for operator in subgraph.operators:
        tensors = [i for i in (*operator.inputs, *operator.outputs) if i >= 0]
        if any(subgraph.tensors[i].type == schema.TensorType.FLOAT32 for i in tensors):
            names.append(_operator_name(model.operatorCodes[operator.opcodeIndex]))
    return sorted(set(names))


def join_models(head: Any, tail: Any) -> Any:
    """Join two models into one that feeds the outputs of `head`, in order, to `tail`.

    So the network can be quantised by the converter as a whole, with integer outputs, while the
    decoding after it stays float: an integer output passes a DEQUANTIZE operator on its way.

    Args:
        head: a model as objects; it is changed.
        tail: a model as objects with float inputs, as many as `head` has outputs.

    Returns:
        The joined model, as objects.

    Raises:
        ValueError: the numbers of tensors at the joint differ.
    """
    first, second = head.subgraphs[0], tail.subgraphs[0]
    if len(first.outputs) != len(second.inputs):
        raise InvalidValueError(
            f"{len(second.inputs)} outputs of the head were expected. "
            f"Received: {len(first.outputs)}"
        )
    tail = copy.deepcopy(tail)
    second = tail.subgraphs[0]
    num_tensors, num_buffers = len(first.tensors), len(head.buffers)
    num_codes = len(head.operatorCodes)
    joint = dict(zip((int(i) for i in second.inputs), first.outputs, strict=True))
    bridges = {}
    for inner, outer in joint.items():
        if first.tensors[outer].type == schema.TensorType.FLOAT32:
            bridges[inner] = int(outer)
    place = {i: bridges.get(i, i + num_tensors) for i in range(len(second.tensors))}
    for tensor in second.tensors:
        tensor.buffer += num_buffers
        tensor.name = b"post/" + tensor.name
    for operator in second.operators:
        operator.opcodeIndex += num_codes
        operator.inputs = [place[int(i)] if i >= 0 else -1 for i in operator.inputs]
        operator.outputs = [place[int(i)] for i in operator.outputs]
    head.operatorCodes += tail.operatorCodes
    head.buffers += tail.buffers
    first.tensors += second.tensors
    for inner, outer in joint.items():
        if inner not in bridges:
            first.operators.append(_dequantize(head, int(outer), place[inner]))
    first.operators += second.operators
    first.outputs = [place[int(i)] for i in second.outputs]
    return head


def name_tensors(model: Any, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Give input and output tensors their public names, and the file one signature of them.

    Tensors inside are named after their layer; the converter writes the whole path of each of the
    operations that it has fused.

    Args:
        model: a model as objects; it is changed.
        inputs: names of the inputs, in order.
        outputs: names of the outputs, in order.
    """
    subgraph = model.subgraphs[0]
    for tensor in subgraph.tensors:
        inside = _LAYER.match(tensor.name)
        tensor.name = inside[1] if inside else tensor.name.split(b";")[0]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
    signature.inputs = _named(subgraph, subgraph.inputs, inputs)
    signature.outputs = _named(subgraph, subgraph.outputs, outputs)
    model.signatureDefs = [signature]


def _named(subgraph: Any, indices: Sequence[int], names: Sequence[str]) -> Any:
    maps = []
    for index, name in zip(indices, names, strict=True):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name.encode(), int(index)
        subgraph.tensors[index].name = name.encode()
        maps.append(entry)
    return maps


def drop_empty_buffers(model: Any) -> None:
    """Let all tensors without stored values share the first buffer, which is empty by convention.

    The converter writes an empty buffer for each of them, several kilobytes of a small detector.

    Args:
        model: a model as objects; it is changed.
    """
    kept, place = [model.buffers[0]], {}
    for index, buffer in enumerate(model.buffers):
        empty = buffer.data is None or not len(buffer.data)
        place[index] = 0 if empty else len(kept)
        if not empty:
            kept.append(buffer)
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            tensor.buffer = place[tensor.buffer]
    for entry in model.metadata or ():
        entry.buffer = place[entry.buffer]
    model.buffers = kept


def set_buffer(model: Any, name: str, content: bytes) -> None:
    """Put a named entry into the model's metadata; one of the same name is replaced.

    Args:
        model: a model as objects; it is changed.
        name: such as `TFLITE_METADATA`.
        content: its bytes.
    """
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = list(content)
    model.buffers.append(buffer)
    entry.name, entry.buffer = name.encode(), len(model.buffers) - 1
    kept = [one for one in model.metadata or [] if one.name != entry.name]
    model.metadata = [*kept, entry]


def _dequantize(model: Any, source: int, target: int) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = 2  # int8 input
    model.operatorCodes.append(code)
    operator = schema.OperatorT()
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.inputs, operator.outputs = [source], [target]
    operator.builtinOptionsType = schema.BuiltinOptions.DequantizeOptions
    operator.builtinOptions = schema.DequantizeOptionsT()
    return operator


def _operator_name(code: Any) -> str:
    if code.customCode:
        return code.customCode.decode()
    return _BUILTINS[max(code.builtinCode, code.deprecatedBuiltinCode)]


def _content(source: Any) -> tuple[bytes, str]:
    if isinstance(source, bytes | bytearray):
        return bytes(source), "The content"
    path = pathlib.Path(source)
    if not path.is_file():
        raise MissingFileError(f"No TFLite file at '{path}'.")
    return path.read_bytes(), f"'{path}'"
