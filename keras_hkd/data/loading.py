"""From a dataset argument to a `Dataset`: which format, which split, which classes, what is bad."""

from __future__ import annotations

import dataclasses
import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from keras_hkd.data.annotations import BadDataError, Dataset, with_unique_ids
from keras_hkd.data.drawn.source import PREFIX, parse_synthetic
from keras_hkd.data.formats.bad_records import BadRecords, checked_annotation
from keras_hkd.data.formats.records import Records, canonical
from keras_hkd.data.image_checks import locate, whole_images
from keras_hkd.data.splits import choose_split
from keras_hkd.messages import did_you_mean

# Name of the format -> module, in the order of asking.
READERS = {
    "citypersons": "city_persons",
    "coco": "coco",
    "voc": "voc",
    "pennfudan": "penn_fudan",
    "caltech": "caltech",
    "yolo": "yolo",
}
_SYNTHETIC_DEFAULTS = {
    "num_images": 200,
    "seed": 0,
    "height": 256,
    "width": 256,
    "person_height_percent": 27,
    "crowd_percent": 30,
    "things_percent": 100,
}


def load_dataset(
    source: str | os.PathLike | Sequence[str | os.PathLike],
    format: str | None = None,
    class_names: Sequence[str] = ("person",),
    on_bad_data: str = "raise",
    check_images: bool = True,
) -> Dataset:
    """Read annotated images of any known format, checked record by record.

    Rules that hold for all formats: boxes are xyxy in pixels, (0, 0) being the image's upper left
    corner. Boxes of other classes are dropped; person and pedestrian are one class. A box partly
    outside its image is cut at the edge; CityPersons and Caltech boxes, which mark whole bodies,
    are kept as they are (cut them for training). A box wholly outside, of no width or height, or
    with a value that is no finite number is bad data, and so are images that are missing, damaged
    or of another size than stated, ids and file names used twice, and unknown categories or images.

    Args:
        source: a folder or file; "PATH:split" for one split of it (a list `splits/<split>.txt`
            beside it, or the records' own); "synthetic:NAME?num_images=200&seed=1&height=256&
            width=256&person_height_percent=27&crowd_percent=30" for drawn scenes, each NAME and
            seed its own, the last two being the median adult's height in the image and the share
            of scenes with a crowd ("things_percent=100" sets how cluttered they are); or a list of
            these, joined.
        format: "citypersons", "coco", "voc", "pennfudan", "caltech" or "yolo"; None to look.
        class_names: the wanted classes; `ImageAnnotation.classes` indexes them.
        on_bad_data: "raise" at the first bad record, or "skip" to leave bad records out and list
            them in `Dataset.skipped`. What is bad as a whole, such as invalid JSON, raises anyway.
        check_images: decode every image once, and raise where one is missing or damaged; without
            it `image_path` is "" where there is no file.

    Returns:
        The dataset, at least one image, in the order of the annotations.

    Raises:
        BadDataError: bad data, naming file and record; no image; no such split.
        TypeError: the source is neither a path nor a list of them.
        ValueError: an unknown format, no class, or another word for `on_bad_data`.

    Example:
        >>> import json, tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (64, 48)).save(f"{folder}/street.png")
        ...     with open(f"{folder}/annotations.json", "w") as file:
        ...         json.dump({
        ...             "images": [{"id": 1, "file_name": "street.png", "width": 64, "height": 48}],
        ...             "categories": [{"id": 1, "name": "person"}],
        ...             "annotations": [
        ...                 {"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 2, 10, 30]}
        ...             ],
        ...         }, file)
        ...     dataset = load_dataset(folder)
        >>> dataset.format, dataset[0].boxes.tolist()
        ('coco', [[4.0, 2.0, 14.0, 32.0]])
    """
    names = _checked_class_names(class_names)
    if isinstance(source, (str, os.PathLike)):
        return _load(os.fspath(source), format, names, BadRecords(on_bad_data), check_images)
    if not isinstance(source, (list, tuple)):
        raise TypeError(f"`source` must be a path, a text or a list of them, got {source!r}.")
    sources = [os.fspath(one) for one in source]
    if not sources:
        raise ValueError("`source` must name at least one dataset, got an empty list.")
    return Dataset.merge(
        [_load(one, format, names, BadRecords(on_bad_data), check_images) for one in sources]
    )


def is_dataset(source: str | os.PathLike) -> bool:
    """Tell whether `load_dataset` would find annotations here, which a folder of pictures lacks.

    Args:
        source: as for `load_dataset`.

    Example:
        >>> is_dataset("synthetic:train"), is_dataset("no/such/folder")
        (True, False)
    """
    source = os.fspath(source)
    if source.startswith(PREFIX):
        return True
    try:
        path, _ = _path_and_split(source)
    except BadDataError:
        return False
    return any(_reader(format).recognises(path) for format in READERS)


def _checked_class_names(class_names: Sequence[str]) -> tuple[str, ...]:
    names = (class_names,) if isinstance(class_names, str) else tuple(class_names)
    if not names or len({canonical(name) for name in names}) != len(names):
        raise ValueError(
            f"`class_names` must be one or more different classes, got {class_names!r} (person and "
            "pedestrian are the same)."
        )
    return names


def _load(
    source: str, format: str | None, class_names: tuple[str, ...], bad: BadRecords, check: bool
) -> Dataset:
    if source.startswith(PREFIX):
        return _synthetic(source, class_names)
    path, split = _path_and_split(source)
    format = _checked_format(format) if format else _recognised(path)
    records = _reader(format).read(path, bad)
    index = _class_index(records, class_names, path)
    images = records.images if split is None else choose_split(records.images, path, split, bad)
    images = locate(images, records, bad, required=check)
    if check:
        images = whole_images(images, bad)
    if not images:
        raise BadDataError(path, "dataset", _empty(bad))
    annotations = [checked_annotation(image, records, index, bad) for image in images]
    return Dataset(with_unique_ids(annotations), class_names, source, format, tuple(bad.skipped))


def _empty(bad: BadRecords) -> str:
    problem = "expected at least one image, got none"
    if bad.skipped:
        problem += f": {len(bad.skipped)} bad records were skipped, the first: {bad.skipped[0]}"
    return problem


def _path_and_split(source: str) -> tuple[Path, str | None]:
    if os.path.exists(source):
        return Path(source), None
    place, colon, split = source.rpartition(":")
    if colon and place and os.path.exists(place):
        return Path(place), split
    raise BadDataError(
        source,
        "dataset",
        "expected a folder or file that exists, as PATH or PATH:split, or synthetic:NAME; got "
        f"neither {source!r}" + (f" nor {place!r}" if place else ""),
    )


def _checked_format(format: str) -> str:
    name = format.lower().replace("_", "").replace("-", "")
    if name in READERS:
        return name
    raise ValueError(
        f"`format` must be one of {sorted(READERS)}, got {format!r}.{did_you_mean(name, READERS)}"
    )


def _reader(format: str) -> ModuleType:
    return importlib.import_module(f"keras_hkd.data.formats.{READERS[format]}")


def _recognised(path: Path) -> str:
    for format in READERS:
        if _reader(format).recognises(path):
            return format
    raise BadDataError(
        path,
        "dataset",
        f"expected annotations in one of the formats {sorted(READERS)}, recognised none: name the "
        "annotation file itself, or the format (--format)",
    )


def _class_index(records: Records, class_names: tuple[str, ...], path: Path) -> dict[str, int]:
    """Give class name as in the records -> index of the wanted class."""
    if records.class_names is None:
        numbers = {box.class_name for image in records.images for box in image.boxes}
        unknown = sorted(numbers - {str(index) for index in range(len(class_names))})
        if unknown:
            raise BadDataError(
                path,
                "classes",
                f"expected class numbers below {len(class_names)}, one for each of {class_names}, "
                f"got {unknown[:5]}: list the names in data.yaml or classes.txt",
            )
        return {str(index): index for index in range(len(class_names))}
    wanted = {canonical(name): index for index, name in enumerate(class_names)}
    known = [canonical(name) for name in records.class_names]
    if known and not set(known) & set(wanted):
        raise BadDataError(
            path,
            "categories",
            f"expected at least one of the classes {class_names}, got only {sorted(known)}: name "
            "one of those in class_names",
        )
    return wanted


def _synthetic(source: str, class_names: tuple[str, ...]) -> Dataset:
    from keras_hkd.data.drawn.scenes import MEAN_THINGS, synthetic_dataset

    if [canonical(name) for name in class_names] != ["person"]:
        raise ValueError(f"Drawn scenes hold the class person only, got class_names={class_names}.")
    options, seed = parse_synthetic(source, _SYNTHETIC_DEFAULTS)
    dataset = synthetic_dataset(
        options["num_images"],
        (options["height"], options["width"]),
        seed,
        person_height=options["person_height_percent"] / 100,
        crowd_chance=options["crowd_percent"] / 100,
        mean_things=MEAN_THINGS * options["things_percent"] / 100,
    )
    return dataclasses.replace(dataset, class_names=class_names, source=source)
