"""Runs TFLite models with the LiteRT interpreter, one image at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_hkd.errors import InvalidValueError
from keras_hkd.inference.tflite_metadata import NotTFLiteError


class TFLiteRunner:
    """Runs a TFLite model; quantised inputs and outputs are converted from and to float32.

    Args:
        content: bytes of the model.
        num_threads: threads of the interpreter; its own choice by default.

    Raises:
        NotTFLiteError: the interpreter refuses the model.
    """

    def __init__(self, content: bytes, num_threads: int | None = None) -> None:
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

    def example_inputs(self, seed: int = 0) -> list[np.ndarray]:
        """Draw random inputs in [0, 255), to time a model or to check that it runs.

        Args:
            seed: seed of the random numbers.

        Returns:
            One array for each input, of its shape.

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

    def run(self, *arrays: ArrayLike) -> list[np.ndarray]:
        """Run the model and return its outputs.

        Args:
            *arrays: one for each input, with or without the batch axis of length 1.

        Returns:
            The outputs in the order of the model, as float32.
        """
        self.prepared(*arrays)()
        return [self._output(details) for details in self.outputs]

    def prepared(self, *arrays: ArrayLike) -> Callable[[], None]:
        """Make a function that runs the model on these inputs and does nothing else, for timing.

        Args:
            *arrays: one for each input, with or without the batch axis of length 1.
        """
        tensors = {}
        for details, array in zip(self.inputs, arrays, strict=True):
            value = np.reshape(array, details["shape"])
            if details["dtype"] == np.uint8:
                value = np.clip(np.rint(value), 0, 255)
            elif details["dtype"] == np.int8:
                scale, zero_point = details["quantization"]
                value = np.clip(np.rint(value / (scale or 1.0)) + zero_point, -128, 127)
            tensors[details["index"]] = value.astype(details["dtype"])

        def invoke() -> None:
            for index, tensor in tensors.items():
                self.interpreter.set_tensor(index, tensor)
            self.interpreter.invoke()

        return invoke

    def _output(self, details: Mapping[str, Any]) -> np.ndarray:
        value = self.interpreter.get_tensor(details["index"])
        scale, zero_point = details["quantization"]
        if value.dtype == np.float32 or not scale:
            return value.astype(np.float32)
        return ((value.astype(np.float32) - zero_point) * scale).astype(np.float32)
