"""A TFLite model run by the plain interpreter, one image at a time."""

from __future__ import annotations

import numpy as np

from keras_hkd.errors import InvalidValueError
from keras_hkd.inference.tflite_metadata import NotTFLiteError


class TFLiteRunner:
    """Arrays in, arrays out: quantised tensors are translated on both sides.

    Args:
        content: bytes of a model.
        num_threads: of the interpreter.

    Raises:
        NotTFLiteError: the interpreter refuses the model.
    """

    def __init__(self, content: bytes, num_threads=None):
        from ai_edge_litert.interpreter import Interpreter

        try:
            self.interpreter = Interpreter(model_content=content, num_threads=num_threads)
            self.interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise NotTFLiteError(
                f"The TFLite interpreter refuses the model: {str(error)[:400]}"
            ) from error
        self.inputs = self.interpreter.get_input_details()
        self.outputs = self.interpreter.get_output_details()

    def example_inputs(self, seed=0) -> list[np.ndarray]:
        """Random inputs, to time a model or to see that it runs: pixels where it takes an image.

        Args:
            seed: of the random numbers.

        Raises:
            ValueError: an input has no fixed shape.
        """
        rng = np.random.default_rng(seed)
        for details in self.inputs:
            if any(side < 1 for side in details.get("shape_signature", details["shape"])):
                raise InvalidValueError(
                    f"Input '{details['name']}' of the TFLite model must have a fixed shape. "
                    f"Received: {tuple(details['shape_signature'])}"
                )
        return [rng.uniform(0, 255, details["shape"]) for details in self.inputs]

    def run(self, *arrays) -> list[np.ndarray]:
        """Outputs as float32, in the model's order.

        Args:
            *arrays: one for each input, without or with the leading axis of one.
        """
        self.prepared(*arrays)()
        return [self._output(details) for details in self.outputs]

    def prepared(self, *arrays):
        """A function that runs the model on these inputs and no more: what a latency is taken of.

        Args:
            *arrays: one for each input, without or with the leading axis of one.
        """
        tensors = {}
        for details, array in zip(self.inputs, arrays, strict=True):
            value = np.reshape(array, details["shape"])
            if details["dtype"] == np.uint8:
                value = np.clip(np.rint(value), 0, 255)
            tensors[details["index"]] = value.astype(details["dtype"])

        def invoke():
            for index, tensor in tensors.items():
                self.interpreter.set_tensor(index, tensor)
            self.interpreter.invoke()

        return invoke

    def _output(self, details):
        value = self.interpreter.get_tensor(details["index"])
        scale, zero_point = details["quantization"]
        if value.dtype == np.float32 or not scale:
            return value.astype(np.float32)
        return ((value.astype(np.float32) - zero_point) * scale).astype(np.float32)
