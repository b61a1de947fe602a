"""Pascal VOC XML: one file per image, in `Annotations` beside `JPEGImages`.

Corners are pixels counted from 1, both inside the box, as the VOC development kit defines them:
x from xmin - 1 to xmax. `difficult` 1 makes an ignore region. Pictures may also lie beside their
XML files. The split of an image is the folder that its file is in, and lists of splits may be VOC's
own (`ImageSets/Main/train.txt`). Files are decoded as they declare.
M. Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 2010.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from xml.etree import ElementTree

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.bad_records import (
    MAX_SIZE_PX,
    BadRecords,
    RecordProblem,
    Unique,
    flag,
    integer,
    shown,
    words,
)
from keras_hkd.data.formats.records import BoxRecord, ImageRecord, Records, by_name
from keras_hkd.data.formats.text_files import WHOLE_FILE, peek
from keras_hkd.data.picture_finder import places

NAME = "voc"
RANK = 60
_FOLDERS = ("Annotations", "annotations", ".")
_NUM_PEEKED = 20
_ENCODING = re.compile(rb"""^\s*<\?xml[^>]*encoding\s*=\s*["']([\w.:-]+)["'][^>]*>""")
_WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc-kr": "cp949"}
"""Encodings that writers name although they use the characters of a larger one."""


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
        raise BadDataError(path, "folder", "expected XML files in Annotations. Received: none")
    images, names = [], Unique("image file name")
    for file in files:
        with bad.record(file, WHOLE_FILE):
            image = _image(file, file.relative_to(base), bad)
            names.add(image.file_name, file.name)
            images.append(image)
    folders, roots = places(files[0] if path.is_file() else base)
    found = dict.fromkeys(box.category for image in images for box in image.boxes)
    return Records(images, "pascal", by_name(found), folders, roots)


def _image(file: Path, inside: Path, bad: BadRecords) -> ImageRecord:
    root = _parse(file)
    image_id = inside.with_suffix("").as_posix()
    written = (root.findtext("filename") or "").strip()
    name = (inside.parent / written).as_posix() if written else image_id
    beside = file.parent / written
    path = str(beside.absolute()) if written and _is_file(beside) else ""
    split = inside.parts[0] if len(inside.parts) > 1 else None
    image = ImageRecord(str(file), WHOLE_FILE, image_id, name, path, split=split)
    size = root.find("size")
    if size is not None:
        image.width, image.height = _length(size, "width"), _length(size, "height")
        if image.width is None or image.height is None:
            image.width = image.height = None
    for index, element in enumerate(root.findall("object"), start=1):
        with bad.record(file, f"object {index}"):
            image.boxes.append(_box(element, f"object {index}"))
    return image


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # longer than a name may be
        return False


def _parse(file: Path) -> ElementTree.Element:
    try:
        root = ElementTree.fromstring(_decoded(file.read_bytes()))
    except (ElementTree.ParseError, ValueError, LookupError, OSError) as error:
        raise RecordProblem(f"expected valid XML: export it again. Received: {error}") from error
    if root.tag != "annotation":
        raise RecordProblem(f"expected the VOC element <annotation>. Received: <{shown(root.tag)}>")
    return root


def _decoded(content: bytes) -> str | bytes:
    """Decode a file by the encoding that it declares, if the parser does not know it."""
    declared = _ENCODING.match(content)
    if declared is None:
        return content
    encoding = declared[1].decode().lower()
    text = content[declared.end() :].decode(_WIDER.get(encoding, encoding))
    return text


def _length(size: ElementTree.Element, name: str) -> int | None:
    """Read a side of the image; 0 stands for "not known" in what several tools write."""
    text = size.findtext(name)
    length = integer(text or 0, f"the image's {name}", 0, MAX_SIZE_PX)
    return length or None


def _box(element: ElementTree.Element, record: str) -> BoxRecord:
    name = words(element.findtext("name"), "an object's name")
    difficult = flag((element.findtext("difficult") or "0").strip(), "difficult")
    corners = element.find("bndbox")
    if corners is None:
        raise RecordProblem("must have a <bndbox>: add it or delete the object. Received: none")
    values = [corners.findtext(key) for key in ("xmin", "ymin", "xmax", "ymax")]
    return BoxRecord(record, name.strip(), values, difficult)
