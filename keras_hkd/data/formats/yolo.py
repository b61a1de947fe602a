"""YOLO text: one file per image, each line `class x y width height` as fractions of the image.

x and y are the centre. A label file is looked for where `labels` stands in place of `images` in the
image's path, else beside the image; an image without one shows no object. Class names come from
`data.yaml` (`names`), `classes.txt` or `obj.names`; without them class 0 is the first wanted class.
The split of an image is the folder it is in: `images/train/x.jpg` or `train/images/x.jpg`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.bad_records import BadRecords, RecordProblem, integer, shown, words
from keras_hkd.data.formats.records import BoxRecord, ImageRecord, Records, canonical
from keras_hkd.data.formats.text_files import WHOLE_FILE, peek, read_text
from keras_hkd.data.image_files import SUFFIXES

_YAML_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_LIST_NAMES = ("classes.txt", "obj.names", "labels/classes.txt")
_NOT_LABELS = ("classes", "train", "val", "valid", "test", "readme", "license", "requirements")
_NUM_PEEKED = 20


def _is_yaml(path: Path) -> bool:
    return path.suffix.lower() in (".yaml", ".yml")


def _labels(root: Path) -> Iterator[Path]:
    """Give the text files that can be labels: not class lists, split lists or notes."""
    for file in root.rglob("*.txt"):
        folders = file.relative_to(root).parts[:-1]
        if file.stem.lower().split(".")[0] not in _NOT_LABELS and "splits" not in folders:
            yield file


def _looks_right(file: Path) -> bool:
    fields = peek(file, 200).split("\n")[0].split()
    try:
        return len(fields) == 5 and all(float(field) >= 0 for field in fields)
    except ValueError:
        return False


def recognises(path: Path) -> bool:
    """Tell whether a path is YOLO's: a yaml file, a label file, or a folder with either."""
    if path.is_file():
        return _is_yaml(path) or (path.suffix.lower() == ".txt" and _looks_right(path))
    if any((path / name).is_file() for name in (*_YAML_NAMES, *_LIST_NAMES)):
        return True
    return any(map(_looks_right, itertools.islice(_labels(path), _NUM_PEEKED)))


def read(path: Path, bad: BadRecords) -> Records:
    """Read YOLO labels; a bad label file is a bad image.

    Args:
        path: a folder with images and labels, its `data.yaml`, or one label file.
        bad: takes bad records.

    Raises:
        BadDataError: the list of class names cannot be read.
    """
    root = path if path.is_dir() else path.parent
    names = _class_names(root, path if path.is_file() and _is_yaml(path) else None)
    if path.is_file() and not _is_yaml(path):
        pairs = [(path, _image_of(path))]
    else:
        pairs = _pairs(root)
    images = []
    for label, image in pairs:
        record = _record(label, image, root)
        try:
            text = read_text(label) if label.is_file() else ""
        except BadDataError as error:
            bad.report(error.file, error.record, error.problem)
            continue
        for index, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                with bad.record(label, f"line {index}"):
                    record.boxes.append(_box(line.split(), f"line {index}", names))
        images.append(record)
    declared = None if names is None else tuple(names.values())
    return Records(images, "rel_center_xywh", declared, (root,), numbers_as_text=True)


def _pairs(root: Path) -> list[tuple[Path, Path | None]]:
    """Match every image with its label file, and every other label file with no image."""
    images = sorted(f for f in root.rglob("*") if f.suffix.lower() in SUFFIXES and f.is_file())
    in_folder = [image for image in images if "images" in image.relative_to(root).parts[:-1]]
    images = in_folder or images  # other pictures, such as plots, lie outside
    pairs = [(_label_of(image, root), image) for image in images]
    used = {label for label, _ in pairs}
    lost = sorted(label for label in _labels(root) if label not in used)
    return pairs + [(label, None) for label in lost]


def _swapped(file: Path, root: Path, old: str, new: str) -> Path:
    parts = list(file.relative_to(root).parts)
    for index in reversed(range(len(parts) - 1)):
        if parts[index] == old:
            parts[index] = new
            return root.joinpath(*parts)
    return file


def _label_of(image: Path, root: Path) -> Path:
    swapped = _swapped(image, root, "images", "labels").with_suffix(".txt")
    return swapped if swapped.is_file() else image.with_suffix(".txt")


def _image_of(label: Path) -> Path | None:
    base = label.parents[min(2, len(label.parents) - 1)]
    for file in (_swapped(label, base, "labels", "images"), label):
        for suffix in SUFFIXES:
            if file.with_suffix(suffix).is_file():
                return file.with_suffix(suffix)
    return None


def _record(label: Path, image: Path | None, root: Path) -> ImageRecord:
    file = image or label
    inside = file.relative_to(root) if file.is_relative_to(root) else Path(file.name)
    folders = [part for part in inside.parts[:-1] if part not in ("images", "labels")]
    name = inside.as_posix() if image else inside.with_suffix("").as_posix()
    image_path = str(image.absolute()) if image else ""
    image_id = "/".join((*folders, file.stem))
    split = folders[0] if folders else None
    return ImageRecord(str(label), WHOLE_FILE, image_id, name, image_path, split=split)


def _box(fields: list[str], record: str, names: dict[int, str] | None) -> BoxRecord:
    if len(fields) != 5:
        raise RecordProblem(
            "must be: class x y width height (5 numbers; outlines and scores are not read), got "
            f"{len(fields)}: {shown(' '.join(fields))}"
        )
    number = integer(fields[0], "the class", text=True)
    if names is None:
        return BoxRecord(record, str(number), fields[1:])
    if number not in names:
        raise RecordProblem(
            f"the class must be one of the names file's {shown(names)}, got {number}"
        )
    return BoxRecord(record, names[number], fields[1:])


def _class_names(root: Path, yaml_file: Path | None) -> dict[int, str] | None:
    """Give class number -> name, from the first file there is; None where there is none."""
    files = [yaml_file] if yaml_file else [root / name for name in _YAML_NAMES]
    for file in files:
        if file.is_file():
            return _names_in_yaml(file)
    for file in (root / name for name in _LIST_NAMES):
        if file.is_file():
            lines = read_text(file).splitlines()
            return {i: canonical(line) for i, line in enumerate(lines) if line.strip()}
    return None


def _names_in_yaml(file: Path) -> dict[int, str]:
    try:
        content = yaml.safe_load(read_text(file))
    except BadDataError:
        raise
    except Exception as error:  # the parser lets ValueError, TypeError and others through
        problem = f"expected valid YAML, got {type(error).__name__}: {shown(str(error))}"
        raise BadDataError(file, WHOLE_FILE, problem) from error
    names = content.get("names") if isinstance(content, dict) else None
    pairs: Iterable = enumerate(names) if isinstance(names, list) else ()
    pairs = names.items() if isinstance(names, dict) else pairs
    try:
        checked = {integer(i, "a class number"): canonical(words(n, "a name")) for i, n in pairs}
    except RecordProblem as problem:
        raise BadDataError(file, "names", str(problem)) from problem
    if not checked:
        problem = f"expected names: a list, or numbers with names; got {shown(names)}"
        raise BadDataError(file, "names", problem)
    return checked
