"""Reads the JSON that the package appends to the TFLite files that it writes."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import zipfile

from keras_hkd.errors import InvalidValueError, MissingFileError

OURS = "keras_hkd.json"
FILE_IDENTIFIER = b"TFL3"


class NotTFLiteError(InvalidValueError):
    """A file is no TFLite model, or a damaged one."""


def read_metadata(path: str | os.PathLike) -> dict:
    """Read the description of the detector in a `.tflite` file that this package wrote.

    Args:
        path: the `.tflite` file.

    Returns:
        dict of `format`, `class_names`, `image_size`, `quantization`, `nms`, `suppression`, `grid`
        and `card`.

    Raises:
        FileNotFoundError: there is no such file.
        NotTFLiteError: the file is no TFLite model, is damaged, or was not written by keras_hkd.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise MissingFileError(f"No TFLite file at '{path}'.")
    with path.open("rb") as file:
        if file.read(8)[4:] != FILE_IDENTIFIER:
            raise NotTFLiteError(
                f"'{path}' is not a TFLite model: its first bytes say something else."
            )
    try:
        with zipfile.ZipFile(path) as archive:
            values = json.loads(archive.read(OURS))
            length = min(member.header_offset for member in archive.infolist())
    except (zipfile.BadZipFile, KeyError, OSError, ValueError) as error:
        raise NotTFLiteError(
            f"'{path}' is a TFLite model that keras_hkd did not write, or one that was cut short: "
            f"it has no readable {OURS} behind the model. Export the detector again with "
            "`keras-hkd export`."
        ) from error
    if not isinstance(values, dict) or "sha256" not in values:
        raise NotTFLiteError(f"'{path}' is a TFLite model that keras_hkd did not write.")
    if hashlib.sha256(path.read_bytes()[:length]).hexdigest() != values["sha256"]:
        raise NotTFLiteError(f"'{path}' is damaged: the model is not the one that was written.")
    return values
