"""Loads a model that is given by its `.keras` or `.tflite` file, or as a preset."""

import pathlib
from typing import Any

from keras_hkd.cli.console import messages
from keras_hkd.cli.options import person_class_options
from keras_hkd.errors import InvalidValueError, MissingFileError, NotAFileError
from keras_hkd.messages import did_you_mean
from keras_hkd.preset_folder import WEIGHTS
from keras_hkd.zoo.catalogue import is_preset, list_presets, preset_folder

TFLITE = ".tflite"


def refuse_folder(path: pathlib.Path) -> None:
    """Refuse the folder of a run where a model is wanted, and name the model in it.

    Args:
        path: what the user gave.

    Raises:
        IsADirectoryError: it is a folder.
    """
    if path.is_dir():
        found = sorted(path.glob("*.keras"))
        hint = f" Did you mean {found[0]}?" if found else ""
        raise NotAFileError(f"{path} is a folder; expected the file of a model.{hint}")


def check_model_file(path: pathlib.Path) -> pathlib.Path:
    """Refuse a file that is not there, before anything heavy is loaded.

    Args:
        path: what the user gave: a file, the name of a preset or the folder of one.

    Returns:
        The file, or the preset's folder.

    Raises:
        FileNotFoundError: no such file or preset.
        IsADirectoryError: it is another folder.
    """
    if is_preset(path):
        return preset_folder(path)
    refuse_folder(path)
    if not path.is_file():
        names = list_presets()
        raise MissingFileError(
            f"{path}: there is no such file; expected a detector's .keras or .tflite, or the name "
            f"of a preset.{did_you_mean(path, names, 3)} See `keras-hkd presets`."
        )
    return path


def size_bytes(path: pathlib.Path) -> int:
    """Return the size in bytes of a model's file; of a preset that of its weights.

    Args:
        path: what `check_model_file` gave.
    """
    return (path / WEIGHTS if path.is_dir() else path).stat().st_size


def load_model_file(path: pathlib.Path, person_class: int | None = None) -> Any:
    """Load a detector; a `.tflite` needs neither TensorFlow nor Keras for it.

    Args:
        path: path of a `.keras` or `.tflite` file, or of a preset's folder, whose float weights are
            loaded.
        person_class: what `--person-class` gave.

    Returns:
        A `Detector` or a `TFLiteDetector`.

    Raises:
        ValueError: the file holds no detector; or a class is chosen of a `.tflite` file.
    """
    if path.suffix == TFLITE and person_class is not None:
        raise InvalidValueError(
            f"{path} has the classes that it was exported with. Received: --person-class "
            f"{person_class}; export the .keras file with that option."
        )
    with messages().status(f"Loading {path.name}"):
        if path.suffix == TFLITE:
            from keras_hkd.export import TFLiteDetector

            return TFLiteDetector(path)
        from keras_hkd.detectors import load_detector

        return load_detector(path, **person_class_options(person_class))


def check_size_fits(detector: Any, size: tuple[int, int] | None) -> None:
    """Refuse `--image-size` where a `.tflite` file has another one.

    Args:
        detector: what `load_model_file` gave.
        size: `(height, width)` in pixels, or None.

    Raises:
        ValueError: they differ.
    """
    fixed = getattr(detector, "path", None) is not None
    if fixed and size is not None and tuple(size) != tuple(detector.image_size):
        height, width = detector.image_size
        raise InvalidValueError(
            f"{detector.path} is made for {height}x{width} pixels. Received: --image-size "
            f"{size[0]}x{size[1]}; export the detector again for that size."
        )
