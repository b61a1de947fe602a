"""Reads annotated images of any known format as a `Dataset`."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from keras_hkd.data.annotations import BadDataError, with_unique_ids
from keras_hkd.data.classes import (
    ResolvedClasses,
    UnknownClassError,
    WantedClass,
    resolve_classes,
    wanted_classes,
)
from keras_hkd.data.dataset import Dataset
from keras_hkd.data.drawn.scenes import synthetic_scenes_of
from keras_hkd.data.drawn.source import PREFIX
from keras_hkd.data.findings import Findings
from keras_hkd.data.formats import readers
from keras_hkd.data.formats.bad_records import BadRecords
from keras_hkd.data.formats.box_checks import checked_annotations
from keras_hkd.data.formats.records import ImageRecord, Records
from keras_hkd.data.image_checks import locate, stated_sizes, whole_images
from keras_hkd.data.odd_boxes import MOST_ODD, count_odd_boxes
from keras_hkd.data.splits import choose_split
from keras_hkd.errors import InvalidTypeError, InvalidValueError
from keras_hkd.messages import received, stack_level_of_caller

_WHOLE, _FOUND, _SIZES = "whole", "found", "sizes"
"""What pictures are asked for: all of them whole, those that are there, or sizes where needed."""


class DataWarning(UserWarning):
    """Data can be used, but perhaps not as intended, such as a dataset without people."""


def load_dataset(
    source: str | os.PathLike | Sequence[str | os.PathLike],
    format: str | None = None,
    class_names: str | Sequence[str] | Mapping[str, Sequence[str]] | None = ("person",),
    on_bad_data: str = "raise",
    check_images: bool = True,
    images_folder: str | os.PathLike | None = None,
) -> Dataset:
    """Read annotated images of any known format, checked record by record.

    Rules that hold for all formats: boxes are xyxy in pixels, (0, 0) being the image's upper left
    corner, and stay as annotated where they reach out of their image (training cuts them). Boxes
    of other classes are dropped; person, pedestrian, people and human, in any case and number, are
    one class. A box wholly outside its image, of no width or height, or with a value that is no
    finite number is bad data, and so are images that are missing, damaged or of another size than
    stated, ids and file names used twice, and unknown categories or images. Pictures are upright,
    turned by their EXIF tag, unless only the unturned picture has the size that is stated.

    Args:
        source: a folder or file; "PATH:split" for one split of it (a list `splits/<split>.txt`
            beside it, a folder of that name, or the records' own); "synthetic:NAME?num_images=200&
            seed=1&height=256&width=256&person_height_percent=27&crowd_percent=30" for drawn scenes,
            each NAME and seed its own, the last two being the median adult's height in the image
            and the share of scenes with a crowd ("things_percent=100" sets how cluttered they are);
            or a list of these, joined.
        format: a name of `keras_hkd.data.formats.readers.names()`, such as "coco"; None to look.
        class_names: the wanted classes; `ImageAnnotation.classes` indexes them. Each "NAME",
            "NAME,NAME" for several that count as one, or "CLASS=NAME,NAME"; a NAME may also be the
            id of a category. None takes every class of the source.
        on_bad_data: "raise" at the first bad record, or "skip" to leave bad records out and list
            them in `Dataset.skipped`. What is bad as a whole, such as invalid JSON, raises anyway.
        check_images: decode every image once, and raise where one is missing or damaged; without
            it `image_path` is "" where there is no file.
        images_folder: the folder of the images, where it is not beside the annotations.

    Returns:
        The dataset, at least one image, in the order of the annotations. `Dataset.summary` says
        in one line what was read.

    Raises:
        BadDataError: bad data, naming file and record; no image; no such split; no such class.
        TypeError: the source is neither a path nor a list of them.
        ValueError: an unknown format, no class, or another word for `on_bad_data`.

    Warns:
        DataWarning: no box of the wanted classes, or classes that had to be guessed.

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
    wanted = None if class_names is None else wanted_classes(class_names)
    pictures = _WHOLE if check_images else _FOUND
    return _read_all(source, _Reading(format, wanted, pictures, images_folder), on_bad_data)


def load_boxes(
    source: str | os.PathLike | Sequence[str | os.PathLike],
    format: str | None = None,
    class_names: str | Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    on_bad_data: str = "raise",
    images_folder: str | os.PathLike | None = None,
) -> Dataset:
    """Read annotations to score with, as `load_dataset` reads them, without their pictures.

    Pictures are looked at only for the size of the image, and that only where the boxes are
    fractions of it; where the size is not known, the dataset says 0.

    Args:
        source: as `load_dataset` takes it.
        format: as `load_dataset` takes it.
        class_names: as `load_dataset` takes it; by default every class of the source.
        on_bad_data: as `load_dataset` takes it.
        images_folder: as `load_dataset` takes it.

    Raises:
        BadDataError: bad data, see `load_dataset`.
    """
    wanted = None if class_names is None else wanted_classes(class_names)
    return _read_all(source, _Reading(format, wanted, _SIZES, images_folder), on_bad_data)


def dataset_of_coco(content: Mapping, file: Path) -> Dataset:
    """Make a dataset, to score with, of what a COCO file holds.

    Args:
        content: the parsed JSON.
        file: what it is called in messages.

    Raises:
        BadDataError: bad data, see `load_dataset`.
    """
    from keras_hkd.data.formats import coco

    bad = BadRecords("raise")
    key = "im_name" if any("im_name" in image for image in _mappings(content)) else "file_name"
    records = coco.parse(content, file, bad, key)
    reading = _Reading(None, None, _SIZES, None)
    return reading.dataset(records, records.images, file, str(file), coco.NAME, bad, empty=True)


def _mappings(content: Mapping) -> list[Mapping]:
    images = content.get("images")
    return [one for one in images if isinstance(one, Mapping)] if isinstance(images, list) else []


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Pause the garbage collector, which looks at every record again and again as they grow."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _read_all(source: Any, reading: _Reading, on_bad_data: str) -> Dataset:
    with _uncollected():
        dataset = _joined(source, reading, on_bad_data)
    for text in _doubts(dataset):
        warnings.warn(text, DataWarning, stacklevel=stack_level_of_caller())
    return dataset


def _joined(source: Any, reading: _Reading, on_bad_data: str) -> Dataset:
    if isinstance(source, (str, os.PathLike)):
        return reading.of(os.fspath(source), BadRecords(on_bad_data))
    if not isinstance(source, (list, tuple)):
        raise InvalidTypeError(f"`source` must be a path or a list of paths. {received(source)}")
    sources = [os.fspath(one) for one in source]
    if not sources:
        raise InvalidValueError("`source` must name at least one dataset. Received: an empty list")
    return Dataset.merge([reading.of(one, BadRecords(on_bad_data)) for one in sources])


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
    return readers.recognised(path) is not None


_ENOUGH = 5
"""Odd boxes of which so many or more are no accident."""


def _doubts(dataset: Dataset) -> list[str]:
    texts = [note for note in dataset.findings.notes if note.startswith("no class list")]
    if not any((~annotation.ignore).any() for annotation in dataset):
        texts.append(
            f"{dataset.source}: no box of {' or '.join(dataset.class_names) or 'any class'} in "
            f"{len(dataset)} images"
            + (
                f"; there are boxes of {', '.join(dataset.findings.left_out)}: choose by --class "
                "NAME (class_names in Python) if these are meant"
                if dataset.findings.left_out
                else ""
            )
        )
    odd = count_odd_boxes(dataset)
    if odd.num_odd >= _ENOUGH and odd.share > MOST_ODD:
        texts.append(
            f"{dataset.source}: {odd.num_odd:,} of {odd.num_boxes:,} boxes look odd, most because: "
            f"{odd.most}. Are the numbers in the unit and the order that the format has them? "
            "`keras-hkd check` shows such boxes"
        )
    return texts


@dataclasses.dataclass(frozen=True)
class _Reading:
    """How sources are read."""

    format: str | None
    wanted: tuple[WantedClass, ...] | None
    pictures: str
    images_folder: str | os.PathLike | None

    def of(self, source: str, bad: BadRecords) -> Dataset:
        if source.startswith(PREFIX):
            return synthetic_scenes_of(source, self.wanted)
        path, split = _path_and_split(source)
        reader = readers.get(self.format) if self.format else _recognised(path)
        if split is not None and (part := readers.part(reader, path, split)):
            path, split = part, None
        records = reader.read(path, bad)
        images = records.images
        if split is not None:
            images = choose_split(images, path, split, bad)
        return self.dataset(records, images, path, source, reader.NAME, bad)

    def dataset(
        self,
        records: Records,
        images: Sequence[ImageRecord],
        path: Path | str,
        source: str,
        format: str,
        bad: BadRecords,
        empty: bool = False,
    ) -> Dataset:
        """Make the dataset of some of the images of records."""
        notes = list(records.notes)
        classes, findings = _resolved(records, images, self.wanted, path, notes)
        if self.pictures == _SIZES and not records.box_format.startswith("rel_"):
            images = stated_sizes(images, bad)
        else:
            required = self.pictures == _WHOLE
            images = locate(images, records, bad, required, self.images_folder, notes)
        if self.pictures == _WHOLE:
            images = whole_images(images, bad, notes)
        if not images and not empty:
            raise BadDataError(path, "dataset", _empty(bad))
        annotations = checked_annotations(images, records.box_format, classes.index, bad)
        return Dataset(
            with_unique_ids(annotations, of_one_type=False),
            classes.names,
            source,
            format,
            tuple(bad.skipped),
            category_ids=_category_ids(records, classes),
            findings=dataclasses.replace(findings, notes=tuple(notes)),
        )


def _resolved(
    records: Records, images: Sequence[ImageRecord], wanted: Any, path: Any, notes: list[str]
) -> tuple[ResolvedClasses, Findings]:
    """Resolve the wanted classes, and count which boxes are taken for them or left out."""
    num_boxes = Counter(box.category for image in images for box in image.boxes)
    categories = records.categories
    try:
        if categories is None:
            categories, classes = _numbered(num_boxes, wanted, path, notes)
        else:
            classes = resolve_classes(categories, num_boxes, wanted)
    except UnknownClassError as error:
        raise BadDataError(path, "categories", str(error)) from None
    taken = [Counter() for _ in classes.names]
    left_out: Counter = Counter()
    for category, count in num_boxes.items():
        number = classes.index.get(category)
        counts = left_out if number is None else taken[number]
        counts[str(categories.get(category, category))] += count
    return classes, Findings(tuple(map(dict, taken)), dict(left_out))


def _numbered(
    num_boxes: Mapping[Any, int], wanted: Any, path: Any, notes: list[str]
) -> tuple[Mapping[Any, str], ResolvedClasses]:
    """Resolve the classes of a source that has numbers for them and no list of names."""
    numbers = sorted(num_boxes)
    categories = {number: str(number) for number in numbers}
    by_number = wanted and all(name.isdecimal() for one in wanted for name in one.accepted)
    if wanted is None or by_number:
        return categories, resolve_classes(categories, num_boxes, wanted)
    names = tuple(one.name for one in wanted)
    unknown = [number for number in numbers if number >= len(names)]
    if unknown:
        raise BadDataError(
            path,
            "classes",
            f"expected class numbers below {len(names)}, one for each of {names}: list the names "
            "in data.yaml or classes.txt, or say which number is the class, as in --class "
            f"{names[0]}=0. Received: {unknown[:5]}",
        )
    pairs = ", ".join(f"class {number} taken for {name}" for number, name in enumerate(names))
    notes.append(f"no class list found, {pairs}")
    keys = tuple((number,) for number in range(len(names)))
    return categories, ResolvedClasses(
        names, {number: number for number in range(len(names))}, keys
    )


def _category_ids(records: Records, classes: ResolvedClasses) -> tuple:
    """Return the ids that results have: the file's own, or the class's position + 1."""
    if records.result_ids is None:
        return ()
    ids = [tuple(records.result_ids[key] for key in keys) for keys in classes.keys]
    free = 1 + max([i for i in records.result_ids.values() if isinstance(i, int)], default=0)
    absent = [number for number, of_class in enumerate(ids) if not of_class]
    for offset, number in enumerate(absent):
        ids[number] = (free + offset,)
    return tuple(ids)


def _empty(bad: BadRecords) -> str:
    problem = "expected at least one image. Received: none"
    if bad.skipped:
        problem += f" ({len(bad.skipped)} bad records were skipped, the first: {bad.skipped[0]})"
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
        "expected a folder or file that exists, as PATH or PATH:split, or synthetic:NAME. "
        f"Received: {source!r}" + (f" (nor is there {place!r})" if place else ""),
    )


def _recognised(path: Path) -> ModuleType:
    reader = readers.recognised(path)
    if reader is not None:
        return reader
    raise BadDataError(
        path,
        "dataset",
        f"expected annotations in one of the formats {readers.names()}: name the annotation file "
        "itself, or the format (--format). Received: none of them, as far as can be recognised",
    )
