"""YOLO text: one file per image, each line `class x y width height` as fractions of the image.

x and y are the centre. Outlines and turned boxes, `class x1 y1 x2 y2 x3 y3 ...`, count by their
bounds. A label file is looked for where `labels` stands in place of `images` in the image's path,
else beside the image; an image without one shows no object. Names of folders may be in capitals.
Class names come from a YAML file (`names`), `classes.txt`, `obj.names`, `_darknet.labels` or
`notes.json` in the folder, in those inside, or above a folder of images; without them class 0 is
the first wanted class. Of a YAML file as the source only the images of its splits are read. The
split of an image is what the YAML file says and the folder it is in: `images/train/x.jpg` or
`train/images/x.jpg`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.bad_records import BadRecords, RecordProblem, integer, number, shown
from keras_hkd.data.formats.folders import files_below, pictures_below
from keras_hkd.data.formats.records import BoxRecord, ImageRecord, Records, without_suffix
from keras_hkd.data.formats.text_files import WHOLE_FILE, peek, read_text
from keras_hkd.data.formats.yolo_lists import Description, description, is_yaml, read_yaml
from keras_hkd.data.image_files import SUFFIXES
from keras_hkd.data.picture_finder import PictureFinder, places

NAME = "yolo"
RANK = 90
_IMAGES, _LABELS = "images", "labels"
_NOT_LABELS = ("classes", "train", "val", "valid", "test", "readme", "license", "requirements")
_NUM_PEEKED = 20


def _texts(root: Path) -> Iterator[Path]:
    """Give the text files that can be labels: not class lists, split lists or notes."""
    for file in files_below(root, ".txt"):
        folders = [part.casefold() for part in file.relative_to(root).parts[:-1]]
        if file.stem.lower().split(".")[0] not in _NOT_LABELS and "splits" not in folders:
            yield file


def _looks_right(file: Path) -> bool:
    fields = peek(file, 2000).strip().split("\n")[0].split()
    try:
        numbers = [float(field) for field in fields]
    except ValueError:
        return False
    return len(numbers) >= 5 and numbers[0] >= 0 and numbers[0].is_integer()


def recognises(path: Path) -> bool:
    """Tell whether a path is YOLO's: a YAML file, a label file, or a folder with either."""
    if path.is_file():
        return is_yaml(path) or (path.suffix.lower() == ".txt" and _looks_right(path))
    try:
        if description(path) is not None:
            return True
    except BadDataError:
        return True  # reading says what is wrong with the list
    texts = itertools.islice(_texts(path), _NUM_PEEKED)
    return any(map(_looks_right, texts)) or _swapped_folder(path) is not None


def _swapped_folder(folder: Path) -> Path | None:
    """Return the folder of labels of a folder of images; None if there is none."""
    labels = _swapped(folder.absolute() / "x", _IMAGES, _LABELS)
    return None if labels is None else labels.parent


def read(path: Path, bad: BadRecords) -> Records:
    """Read YOLO labels; a bad label file is a bad image.

    Args:
        path: a folder with images and labels, one of its folders of images, its YAML file, or one
            label file.
        bad: takes bad records.

    Raises:
        BadDataError: the list of class names cannot be read.
    """
    root = (path if path.is_dir() else path.parent).absolute()
    is_label = path.is_file() and not is_yaml(path)
    found = read_yaml(path) if path.is_file() and is_yaml(path) else description(root)
    notes: list[str] = []
    splits = _images_of_splits(found, bad, notes) if found and not is_label else {}
    pairs: list[tuple[Path, Path | None]]
    if is_label:
        pairs = [(path.absolute(), _image_of(path.absolute()))]
    elif path.is_file() and splits:
        pairs = [(_label_of(image), image) for image in splits]
    else:
        pairs = _pairs(root, notes) or [(_label_of(image), image) for image in splits]
        if path.is_file() and found is not None and found.missing:
            notes.append(f"no split of {path.name} is there: its whole folder was read")
    images, reading = [], _Lines(found, bad)
    for label, image in pairs:
        record = _record(label, image, root, splits)
        if reading.add(label, record):
            images.append(record)
    numbers = sorted({box.category for image in images for box in image.boxes})
    categories = None if found is None else dict(found.names)
    folders, roots = places(path)
    return Records(
        images,
        "rel_center_xywh",
        categories,
        (root, *folders),
        roots,
        {number: number + 1 for number in categories or numbers},
        notes=(*notes, *reading.notes(pairs)),
    )


def _images_of_splits(found: Description, bad: BadRecords, notes: list[str]) -> dict[Path, list]:
    """Map each image to the splits that the YAML file puts it in."""
    images: dict[Path, list[str]] = {}
    for split, entries in found.splits.items():
        for entry in entries:
            inside = pictures_below(entry) if entry.is_dir() else _listed(entry, found.file, bad)
            for image in inside:
                splits = images.setdefault(image, [])
                if split not in splits:
                    splits.append(split)
    if found.missing and found.splits:
        notes.append(f"not there of {found.file.name}: {', '.join(found.missing)}")
    return images


def _listed(file: Path, yaml_file: Path, bad: BadRecords) -> Iterator[Path]:
    if file.suffix.lower() in SUFFIXES:
        yield file
        return
    folders = (file.parent, yaml_file.parent, file.parent / _IMAGES)
    finder = PictureFinder(folders, (file.parent,))
    for index, line in enumerate(read_text(file).splitlines(), start=1):
        if line.strip():
            with bad.record(file, f"line {index}"):
                found = finder.find(line.strip())
                if not found:
                    raise RecordProblem(f"must name an image that exists. Received: {shown(line)}")
                yield Path(found)


def _pairs(root: Path, notes: list[str]) -> list[tuple[Path, Path | None]]:
    """Match every image with its label file, and every other label file with no image."""
    every = list(pictures_below(root))
    in_folder = {i for i in every if _IMAGES in map(str.casefold, i.parts[:-1])}
    # Other pictures, such as plots, lie outside, unless labels lie beside them.
    images = [i for i in every if not in_folder or i in in_folder or _is_labelled(i)]
    if len(images) < len(every):
        outside = len(every) - len(images)
        notes.append(f"{outside:,} pictures without labels lie outside the folders of images")
    pairs = [(_label_of(image), image) for image in images]
    used = {label for label, _ in pairs}
    texts = list(_texts(root))
    in_labels = [t for t in texts if _LABELS in map(str.casefold, t.relative_to(root).parts[:-1])]
    lost = in_labels or [text for text in texts if text not in used and _looks_right(text)]
    return pairs + [(label, None) for label in lost if label not in used]


def _is_labelled(image: Path) -> bool:
    label = image.with_suffix(".txt")
    return label.is_file() and _looks_right(label)


def _swapped(file: Path, old: str, new: str) -> Path | None:
    """Replace the last folder called `old` in a path by `new`, in any case, if that exists."""
    parts = list(file.parts)
    for index in reversed(range(len(parts) - 1)):
        if parts[index].casefold() == old:
            like = parts[index]
            for name in dict.fromkeys((_in_case_of(like, new), new, new.title(), new.upper())):
                folder = Path(*parts[:index], name)
                if folder.is_dir():
                    return folder.joinpath(*parts[index + 1 :])
            return None
    return None


def _in_case_of(like: str, word: str) -> str:
    return word.upper() if like.isupper() else word.title() if like.istitle() else word


def _label_of(image: Path) -> Path:
    beside = image.with_suffix(".txt")
    swapped = _swapped(image, _IMAGES, _LABELS)
    if swapped is None:
        return beside
    swapped = swapped.with_suffix(".txt")
    return swapped if swapped.is_file() or not beside.is_file() else beside


def _image_of(label: Path) -> Path | None:
    for file in (_swapped(label, _LABELS, _IMAGES), label):
        folder = file.parent if file else None
        if folder and folder.is_dir():
            for found in sorted(folder.glob(f"{_escaped(label.stem)}.*")):
                if found.suffix.lower() in SUFFIXES:
                    return found
    return None


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _record(label: Path, image: Path | None, root: Path, splits: dict) -> ImageRecord:
    file = image or label
    inside = file.relative_to(root) if file.is_relative_to(root) else _from_images(file)
    kinds = (_IMAGES, _LABELS)
    folders = [part for part in inside.parts[:-1] if part.casefold() not in kinds]
    name = inside.as_posix() if image else inside.with_suffix("").as_posix()
    image_id = "/".join((*folders, without_suffix(file.name) if image else file.stem))
    of_image = tuple(dict.fromkeys([*splits.get(file, ()), *folders[:1]]))
    path = str(file) if image else ""
    return ImageRecord(str(label), WHOLE_FILE, image_id, name, path, split=of_image or None)


def _from_images(file: Path) -> Path:
    """Return the end of a path from its folder of images on; the bare name without one."""
    names = [part.casefold() for part in file.parts[:-1]]
    if _IMAGES not in names:
        return Path(file.name)
    return Path(*file.parts[len(names) - 1 - names[::-1].index(_IMAGES) :])


class _Lines:
    """Reads label files into image records, and counts what is worth a note."""

    def __init__(self, found: Description | None, bad: BadRecords) -> None:
        self.names = None if found is None else found.names
        self.num_keypoint_values = None if found is None else found.num_keypoint_values
        self.bad = bad
        self.num_outlines = 0

    def add(self, label: Path, record: ImageRecord) -> bool:
        """Read a label file; False where it is bad as a whole."""
        try:
            text = read_text(label) if label.is_file() else ""
        except BadDataError as error:
            self.bad.report(error.file, error.record, error.problem)
            return False
        for index, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                with self.bad.record(label, f"line {index}"):
                    record.boxes.append(self._box(line.split(), f"line {index}"))
        return True

    def _box(self, fields: list[str], record: str) -> BoxRecord:
        numbers = fields[1:]
        if len(numbers) == 4 + (self.num_keypoint_values or 0):
            values = numbers[:4]
        elif len(numbers) >= 6 and len(numbers) % 2 == 0:
            values = _bounds(numbers)
            self.num_outlines += 1
        else:
            raise RecordProblem(
                "must be: class x y width height (5 numbers), or class and the points of an "
                "outline; scores are not read, and poses need kpt_shape in the YAML file. "
                f"Received: {len(fields)}: {shown(' '.join(fields))}"
            )
        category = integer(fields[0], "the class")
        if self.names is not None and category not in self.names:
            raise RecordProblem(
                f"the class must be one of the names file's {shown(self.names)}. "
                f"Received: {category}"
            )
        return BoxRecord(record, category, values)

    def notes(self, pairs: list[tuple[Path, Path | None]]) -> Iterator[str]:
        """List what the user should know about the labels."""
        if self.num_outlines:
            yield f"{self.num_outlines} outlines taken by their bounds"
        without = sum(image is not None and not label.is_file() for label, image in pairs)
        if without:
            yield f"{without} of {len(pairs)} images have no label file"


def _bounds(numbers: list[str]) -> list[float]:
    """Compute centre and size of the box around an outline."""
    values = [number(one, "a coordinate") for one in numbers]
    xs, ys = values[0::2], values[1::2]
    left, top, right, bottom = min(xs), min(ys), max(xs), max(ys)
    return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
