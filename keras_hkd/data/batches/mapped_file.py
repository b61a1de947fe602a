"""Maps files into memory as tensors of TensorFlow, which are read only where they are used."""

from __future__ import annotations

import os

import tensorflow as tf
from tensorflow.core.framework.attr_value_pb2 import AttrValue

from keras_hkd.tensors import Tensor


def mapped_file(path: str | os.PathLike, dtype: tf.DType, shape: tuple[int, ...]) -> Tensor:
    """Map a whole file as a tensor, on the CPU, without a copy.

    Args:
        path: the file.
        dtype: type of the numbers, little-endian.
        shape: its product is the count of numbers in the file.

    Returns:
        The tensor; of the graph that is being traced, if one is.

    Example:

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "numbers.bin"
    >>> _ = file.write_bytes(bytes([3, 1, 4, 1]))
    >>> mapped_file(file, tf.uint8, (2, 2)).numpy().tolist()
    [[3, 1], [4, 1]]
    """

    def mapped() -> Tensor:
        with tf.device("CPU:0"):
            tensor = tf.raw_ops.ImmutableConst(
                dtype=dtype, shape=shape, memory_region_name=os.path.abspath(path)
            )
        # Eager here only where `tf.config.run_functions_eagerly(True)` was called, to debug.
        return tensor if tf.executing_eagerly() else _never_folded(tensor)

    # Outside of a graph TensorFlow would fold the constant: read the file and copy it.
    return tf.function(mapped)() if tf.executing_eagerly() else mapped()


def _never_folded(mapped: Tensor) -> Tensor:
    """Keep TensorFlow's graph optimizer from reading whole files.

    Constant folding would evaluate the operation, which has no inputs, and so copy whole files into
    memory before it finds them too large for constants. It skips operations with this attribute,
    which has no other effect if it is empty.
    """
    mapped.op._set_attr("_scoped_allocator", AttrValue(list=AttrValue.ListValue()))
    return mapped
