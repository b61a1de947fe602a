"""Pascal VOC XML: one file per image, in `Annotations` beside `JPEGImages`.

Corners are pixels counted from 1, both inside the box, as the VOC development kit defines them:
x from xmin - 1 to xmax. `difficult` 1 makes an ignore region. Split lists may also be VOC's own
(`ImageSets/Main/train.txt`).
M. Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 2010.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from xml.etree import ElementTree

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.bad_records import (
    MAX_SIZE_PX,
    BadRecords,
    RecordProblem,
    Unique,
    integer,
    shown,
    words,
)
from keras_hkd.data.formats.records import BoxRecord, ImageRecord, Records, canonical
from keras_hkd.data.formats.text_files import WHOLE_FILE, peek

_FOLDERS = ("Annotations", "annotations", ".")
_NUM_PEEKED = 20


def _files(path: Path) -> tuple[Path, list[Path]]:
    if path.is_file():
        return path.parent, [path]
    for name in _FOLDERS:
        files = sorted((path / name).rglob("*.xml"))
        if files:
            return path / name, files
    return path, []


def recognises(path: Path) -> bool:
    """Tell whether a path is VOC: an XML file with an <annotation>, or a folder of them."""
    if path.is_file():
        return path.suffix.lower() == ".xml"
    files = (file for name in _FOLDERS for file in (path / name).rglob("*.xml"))
    return any("<annotation" in peek(file) for file in itertools.islice(files, _NUM_PEEKED))


def read(path: Path, bad: BadRecords) -> Records:
    """Read VOC annotations; a bad file is a bad image.

    Args:
        path: an XML file, or a folder with XML files in `Annotations` or anywhere below.
        bad: takes bad records.

    Raises:
        BadDataError: no XML file.
    """
    base, files = _files(path)
    if not files:
        raise BadDataError(path, "folder", "expected XML files in Annotations, got none")
    images, names = [], Unique("image file name")
    for file in files:
        with bad.record(file, WHOLE_FILE):
            image_id = file.relative_to(base).with_suffix("").as_posix()
            image = _image(file, image_id, bad)
            names.add(image.file_name, file.name)
            images.append(image)
    roots = (base, base.parent) if path.is_file() else (path, base, path.parent)
    folders = [root / name for root in roots for name in ("JPEGImages", "images", ".")]
    found = dict.fromkeys(box.class_name for image in images for box in image.boxes)
    return Records(images, "pascal", tuple(found), tuple(folders), numbers_as_text=True)


def _image(file: Path, image_id: str, bad: BadRecords) -> ImageRecord:
    root = _parse(file)
    name = (root.findtext("filename") or "").strip() or image_id
    image = ImageRecord(str(file), WHOLE_FILE, image_id, name)
    size = root.find("size")
    if size is not None:
        image.width, image.height = _length(size, "width"), _length(size, "height")
        if image.width is None or image.height is None:
            image.width = image.height = None
    for index, element in enumerate(root.findall("object"), start=1):
        with bad.record(file, f"object {index}"):
            image.boxes.append(_box(element, f"object {index}"))
    return image


def _parse(file: Path) -> ElementTree.Element:
    try:
        root = ElementTree.fromstring(file.read_bytes())
    except (ElementTree.ParseError, ValueError, LookupError, OSError) as error:
        raise RecordProblem(f"expected valid XML, got {error}: export it again") from error
    if root.tag != "annotation":
        raise RecordProblem(f"expected the VOC element <annotation>, got <{shown(root.tag)}>")
    return root


def _length(size: ElementTree.Element, name: str) -> int | None:
    """Read a side of the image; 0 stands for "not known" in what several tools write."""
    text = size.findtext(name)
    length = integer(text, f"the image's {name}", 0, MAX_SIZE_PX, text=True)
    return length or None


def _box(element: ElementTree.Element, record: str) -> BoxRecord:
    name = words(element.findtext("name"), "an object's name")
    difficult = (element.findtext("difficult") or "0").strip()
    if difficult not in ("0", "1"):
        raise RecordProblem(f"difficult must be 0 or 1, got {shown(difficult)}")
    corners = element.find("bndbox")
    if corners is None:
        raise RecordProblem("must have a <bndbox>, got none: add it or delete the object")
    values = [corners.findtext(key) for key in ("xmin", "ymin", "xmax", "ymax")]
    return BoxRecord(record, canonical(name), values, difficult == "1")
