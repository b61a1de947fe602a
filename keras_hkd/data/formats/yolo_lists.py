"""Reads the description of a YOLO dataset: names of its classes, and places of its splits."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import yaml

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.bad_records import RecordProblem, integer, shown, words
from keras_hkd.data.formats.folders import files_below
from keras_hkd.data.formats.text_files import WHOLE_FILE, read_json, read_text

_YAML_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_LIST_NAMES = ("classes.txt", "obj.names", "_darknet.labels", "notes.json", "labels/classes.txt")
_LIST_ENDINGS = ("classes.txt", ".names", "_darknet.labels", "notes.json", ".yaml", ".yml")
_SPLITS = ("train", "val", "test")
_MOST_LISTS = 50


def is_yaml(path: Path) -> bool:
    """Tell by its name whether a file is YAML."""
    return path.suffix.lower() in (".yaml", ".yml")


@dataclasses.dataclass(frozen=True)
class Description:
    """What a YAML file or a list of names says.

    Args:
        file: the file.
        names: number of a class -> its name.
        splits: name of a split -> its folders and lists of images that are there.
        missing: those that are not there, as they are written.
        num_keypoint_values: numbers after the box in each line of a dataset of poses.
    """

    file: Path
    names: Mapping[int, str]
    splits: Mapping[str, tuple[Path, ...]] = dataclasses.field(default_factory=dict)
    missing: tuple[str, ...] = ()
    num_keypoint_values: int | None = None


def description(root: Path) -> Description | None:
    """Find what describes a dataset: in its folder, in those inside, or in those above.

    Args:
        root: the folder of the dataset, or one of its folders of images.

    Raises:
        BadDataError: a list that is not readable, or several that differ.
    """
    folders = (root, *_above(root))
    for folder in folders:
        found = _in_folder(folder)
        if found is None and folder in (folders[0], folders[-1]):
            inside = itertools.islice(files_below(folder, _LIST_ENDINGS), _MOST_LISTS)
            lists = [one for file in inside if (one := _try_read(file)) is not None]
            found = _one_of(lists, folder)
        if found is not None:
            return found
    return None


def _above(root: Path) -> list[Path]:
    """List the folders above a path up to the one that holds `images`."""
    parents = list(root.absolute().parents)
    names = [part.casefold() for part in root.absolute().parts]
    for kind in ("images", "labels"):
        if kind in names:
            depth = len(names) - 1 - names[::-1].index(kind)
            return parents[: len(names) - depth]
    return parents[:1] if names[-1] in (*_SPLITS, "valid") else []


def _in_folder(folder: Path) -> Description | None:
    for name in _YAML_NAMES:
        if (folder / name).is_file():
            return read_yaml(folder / name)
    others = [file for file in sorted(folder.glob("*.y*ml")) if is_yaml(file)]
    found = _one_of([one for file in others if (one := _try_read(file)) is not None], folder)
    if found is not None:
        return found
    files = [folder / name for name in _LIST_NAMES] + sorted(folder.glob("*.names"))
    return next((_read(file) for file in files if file.is_file() and _holds_names(file)), None)


def _one_of(found: list[Description], folder: Path) -> Description | None:
    if len({tuple(sorted(one.names.items())) for one in found}) > 1:
        names = ", ".join(str(one.file) for one in found)
        raise BadDataError(
            folder,
            "classes",
            "expected one list of class names: name one of the YAML files, or one part of the "
            f"dataset, as the source. Received: several that differ, in {names}",
        )
    return found[0] if found else None


def _try_read(file: Path) -> Description | None:
    try:
        return _read(file) if _holds_names(file) else None
    except BadDataError:
        return None


def _holds_names(file: Path) -> bool:
    if file.name.lower() != "notes.json":
        return True
    content = read_json(file)
    return isinstance(content, dict) and isinstance(content.get("categories"), list)


def _read(file: Path) -> Description:
    if is_yaml(file):
        return read_yaml(file)
    if file.name.lower() == "notes.json":
        records = read_json(file)["categories"]
        records = [one if isinstance(one, dict) else {} for one in records]
        return Description(file, _checked([(r.get("id"), r.get("name")) for r in records], file))
    lines = enumerate(line.strip() for line in read_text(file).splitlines())
    return Description(file, {number: line for number, line in lines if line})


def read_yaml(file: Path) -> Description:
    """Read a dataset's YAML file by the rules of its own programs.

    `path`, where it is there, is the folder that the splits count from, itself counted from the
    file's folder; each of `train`, `val` and `test` is a folder, a list of images (.txt), or
    several of these. Where a place is not there, as in files that moved, its end is looked for
    under the file's folder.

    Args:
        file: the YAML file.

    Raises:
        BadDataError: it is not readable, or has no `names`.
    """
    try:
        content = yaml.safe_load(read_text(file))
    except BadDataError:
        raise
    except Exception as error:  # the parser lets ValueError, TypeError and others through
        problem = f"expected valid YAML. Received: {type(error).__name__}: {shown(str(error))}"
        raise BadDataError(file, WHOLE_FILE, problem) from error
    content = content if isinstance(content, dict) else {}
    names = content.get("names")
    pairs: Iterable = enumerate(names) if isinstance(names, list) else ()
    pairs = names.items() if isinstance(names, dict) else pairs
    checked = _checked(pairs, file)
    splits, missing = _splits(content, file)
    return Description(file, checked, splits, missing, _num_keypoint_values(content))


def _checked(pairs: Iterable, file: Path) -> dict[int, str]:
    try:
        names = {integer(i, "a class number"): words(n, "a name").strip() for i, n in pairs}
    except RecordProblem as problem:
        raise BadDataError(file, "names", str(problem)) from problem
    if not names:
        problem = "expected names: a list, or numbers with names. Received: none"
        raise BadDataError(file, "names", problem)
    return names


def _num_keypoint_values(content: Mapping) -> int | None:
    shape = content.get("kpt_shape")
    if isinstance(shape, list) and len(shape) == 2 and all(isinstance(n, int) for n in shape):
        return shape[0] * shape[1]
    return None


def _splits(content: Mapping, file: Path) -> tuple[dict[str, tuple[Path, ...]], tuple[str, ...]]:
    bases = list(_bases(content.get("path"), file.absolute().parent))
    splits, missing = {}, []
    for split in _SPLITS:
        entries = content.get(split)
        entries = entries if isinstance(entries, list) else [entries]
        entries = [one for one in entries if isinstance(one, str) and one.strip()]
        found = {one: _place(one.strip(), bases) for one in entries}
        there = tuple(place for place in found.values() if place is not None)
        if there:
            splits[split] = there
        missing += [f"{split}: {one}" for one, place in found.items() if place is None]
    return splits, tuple(missing)


def _bases(path: object, folder: Path) -> Iterator[Path]:
    """List the folders that the splits may be relative to, the likeliest first."""
    if isinstance(path, str) and path.strip():
        parts = Path(path.strip().replace("\\", "/"))
        for base in (folder, folder.parent, folder / "datasets", folder.parent / "datasets"):
            if (base / parts).is_dir():
                yield base / parts
                return
        if parts.name and (folder / parts.name).is_dir():
            yield folder / parts.name
    yield folder


def _place(entry: str, bases: list[Path]) -> Path | None:
    """Find the path of a split: as written, or else the only path that it can mean.

    Exports write `../train/images` for what lies inside, and files that moved name the folders of
    another machine.
    """
    path = Path(entry.replace("\\", "/"))
    parts = [part for part in path.parts if part != ".."]
    inside = [Path(*parts)] if ".." in path.parts else []
    tails = [Path(*path.parts[start:]) for start in range(1, len(path.parts))]
    elsewhere = tails if path.is_absolute() or path.parts[0].endswith(":") else []
    for way in (*inside, path, *elsewhere):
        for base in bases:
            if way.parts and (base / way).exists():
                return (base / way).resolve()
    return None
