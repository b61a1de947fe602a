"""Exports the TFLite file with which a preset detects without Keras."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from keras_hkd.checked_folder import replacing_folder
from keras_hkd.export.tflite import ExportReport
from keras_hkd.zoo.catalogue import preset_folder
from keras_hkd.zoo.loading import TWIN, from_preset


def add_twin(folder: str | os.PathLike, representative_images: Any, **options: Any) -> ExportReport:
    """Add an int8 TFLite file, exported from the weights of the preset, to a preset.

    `keras_hkd.detect` and `keras-hkd detect` then use it.

    Args:
        folder: folder of the preset.
        representative_images: see `keras_hkd.export_tflite`; None for a detector that was trained
            quantisation-aware.
        **options: options of `keras_hkd.export_tflite`, such as `card` and `gate`.

    Returns:
        The `ExportReport`; its path is that within the preset.

    Raises:
        FileNotFoundError: no preset in the folder.
        ValueError: the preset is damaged, or an option is refused.
        ExportError: the file disagrees with Keras.
    """
    from keras_hkd.export import export_tflite

    folder = preset_folder(os.path.abspath(folder))
    detector = from_preset(folder)
    with replacing_folder(folder, keep=True) as partial:
        options = {"representative_images": representative_images, **options}
        report = export_tflite(detector, partial / TWIN, quantization="int8", **options)
    return dataclasses.replace(report, path=folder / TWIN)
