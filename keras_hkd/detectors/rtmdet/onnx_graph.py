"""An ONNX file as a list of convolutions, which onnxruntime runs up to any of them."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from keras_hkd.errors import InvalidValueError, MissingFileError, MissingPackageError

QUANTIZED = ("ConvInteger", "QLinearConv", "DynamicQuantizeLinear", "DequantizeLinear")
OPEN_SIDE = 320  # pixels, of an input whose size the file leaves open


class ONNXGraph:
    """Reads the convolutions of an ONNX file and computes what they give.

    Args:
        path: the `.onnx` file.

    Attributes:
        convolutions: `(kernel, bias)` of each in the order in which they run, float32, kernels as
            Keras has them: `(height, width, in, out)`, depthwise `(height, width, channels, 1)`.
        operators: set of the kinds of its operators.
        image_size: `(height, width)` in pixels of its input; 320 where a side is open.
        has_open_size: whether the file leaves a side open.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a damaged file, a quantised one, or one whose kernels are computed.
        ImportError: onnx or onnxruntime is not installed.
    """

    def __init__(self, path: str | pathlib.Path) -> None:
        self.path = pathlib.Path(path)
        self._onnx, self._runtime = _libraries()
        if not self.path.is_file():
            raise MissingFileError(f"No ONNX file at '{path}'.")
        try:
            self._model = self._onnx.load(str(path))
            self.image_size = self._input_size()
        except Exception as error:  # protobuf and onnx raise many kinds for a damaged file
            raise self._damaged(error) from error
        self.operators = {node.op_type for node in self._graph.node}
        quantized = sorted(self.operators & set(QUANTIZED))
        if quantized:
            raise InvalidValueError(
                f"'{path}' is quantised; give the float export. Received: operators {quantized}"
            )
        self.convolutions = self._convolutions()

    @property
    def _graph(self) -> Any:
        return self._model.graph

    def _damaged(self, error: Exception) -> InvalidValueError:
        return InvalidValueError(
            f"'{self.path}' is damaged or no ONNX file of images. "
            f"{type(error).__name__}: {str(error)[:200]}"
        )

    def _input_size(self) -> tuple[int, int]:
        given = {tensor.name for tensor in self._graph.initializer}
        (images,) = (one for one in self._graph.input if one.name not in given)
        self._input_name = images.name
        height, width = images.type.tensor_type.shape.dim[2:]
        self.has_open_size = not (height.dim_value and width.dim_value)
        return height.dim_value or OPEN_SIDE, width.dim_value or OPEN_SIDE

    def _convolutions(self) -> Any:
        weights = {tensor.name: tensor for tensor in self._graph.initializer}
        found, self._made = [], []
        for node in self._graph.node:
            if node.op_type != "Conv":
                continue
            if not set(node.input[1:]) <= set(weights):
                raise InvalidValueError(
                    f"'{self.path}' computes the kernel of convolution '{node.name}'."
                )
            try:
                arrays = [self._onnx.numpy_helper.to_array(weights[n]) for n in node.input[1:]]
            except Exception as error:
                raise self._damaged(error) from error
            kernel, *bias = (array.astype("float32") for array in arrays)
            groups = next((a.i for a in node.attribute if a.name == "group"), 1)
            # ONNX: (out, in / groups, h, w).
            found.append(
                (
                    kernel.transpose((2, 3, 1, 0) if groups == 1 else (2, 3, 0, 1)),
                    bias[0] if bias else np.zeros(kernel.shape[0], "float32"),
                )
            )
            self._made.append(node.output[0])
        return found

    def run(self, places: list[int], pixels: np.ndarray) -> np.ndarray:
        """Return the outputs of some convolutions, one after the other.

        Args:
            places: their numbers in `convolutions`; all make equally many channels.
            pixels: `(n, 3, height, width)` float32, as the file takes them.

        Returns:
            `(n, cells of all of them, channels)`, cells row by row.

        Raises:
            ValueError: onnxruntime cannot run the file.
        """
        wanted = [self._made[place] for place in places]
        try:
            session = self._runtime.InferenceSession(
                self._up_to(wanted).SerializeToString(), providers=["CPUExecutionProvider"]
            )
            rows = [
                session.run(wanted, {self._input_name: pixels[i : i + 1]})
                for i in range(len(pixels))
            ]
        except Exception as error:  # onnxruntime's errors have no base but Exception
            raise self._damaged(error) from error
        flat = [[x.transpose(0, 2, 3, 1).reshape(1, -1, x.shape[1]) for x in row] for row in rows]
        return np.concatenate([np.concatenate(row, axis=1) for row in flat])

    def _up_to(self, wanted: Any) -> Any:
        """Cut the file behind some tensors."""
        model = self._onnx.ModelProto()
        model.CopyFrom(self._model)
        needed, kept = set(wanted), []
        for node in reversed(self._graph.node):
            if needed & set(node.output):
                needed |= set(node.input)
                kept.append(node)
        del model.graph.node[:], model.graph.output[:], model.graph.value_info[:]
        model.graph.node.extend(reversed(kept))
        make = self._onnx.helper.make_tensor_value_info
        number = self._onnx.TensorProto.FLOAT
        model.graph.output.extend(make(name, number, None) for name in wanted)
        return model


def _libraries() -> tuple[Any, Any]:
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise MissingPackageError(
            'Reading ONNX needs onnx and onnxruntime: pip install "keras-hkd[onnx]".'
        ) from error
    return onnx, onnxruntime
