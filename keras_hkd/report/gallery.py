"""Draws the detections of several detectors side by side."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_hkd.atomic_write import replacing
from keras_hkd.data.dataset import Dataset
from keras_hkd.errors import InvalidValueError

_COLOURS = ((46, 204, 64), (255, 133, 27), (0, 160, 255), (240, 18, 190), (255, 220, 0))
_IGNORED = (150, 150, 150)
_GAP_PX = 6
_HEADING_PX = 26
_CAPTION_PX = 18
_PAPER = (255, 255, 255)


def save_gallery(
    images: Sequence[np.ndarray],
    columns: Mapping[str, Sequence[Mapping[str, np.ndarray]]],
    path: str | Path,
    *,
    min_confidence: float = 0.3,
    tile_height_px: int = 240,
) -> Path:
    """Draw one row per image and one column per detector.

    Args:
        images: uint8 arrays `(height, width, 3)` RGB, of any sizes.
        columns: heading -> for each image a dict of `boxes (n, 4)` xyxy in pixels of that image,
            and optionally `confidence (n,)` in [0, 1] and `ignore (n,)`, which is drawn grey.
        path: the PNG to write; its folder is made if need be.
        min_confidence: boxes below it are left out.
        tile_height_px: height of every tile; the width follows each image's shape.

    Returns:
        The path.

    Raises:
        ValueError: if there is no image or no column, or a column has another number of entries.

    Example:

    >>> import tempfile
    >>> people = {"boxes": np.array([[10.0, 5.0, 30.0, 60.0]]), "confidence": np.array([0.9])}
    >>> path = Path(tempfile.mkdtemp()) / "gallery.png"
    >>> save_gallery([np.zeros((64, 96, 3), np.uint8)], {"student": [people]}, path).name
    'gallery.png'
    """
    if not images or not columns:
        raise InvalidValueError(
            "Expected at least one image and one column. "
            f"Received: {len(images)} images, columns={list(columns)}"
        )
    for heading, entries in columns.items():
        if len(entries) != len(images):
            raise InvalidValueError(
                f"Expected {len(images)} entries, one per image, in column {heading!r}. "
                f"Received: {len(entries)}"
            )
    rows = []
    for number, image in enumerate(images):
        tiles = [
            _tile(image, entries[number], colour, min_confidence, tile_height_px)
            for entries, colour in zip(columns.values(), _colours(len(columns)), strict=True)
        ]
        rows.append(tiles)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sheet(rows, list(columns)).save(path)
    return path


def save_dataset_gallery(
    dataset: Dataset,
    results: Mapping[str, Iterable[Mapping]],
    path: str | Path,
    *,
    num_images: int = 6,
    **options: Any,
) -> Path:
    """Draw the ground truth and what several detectors found on images of a dataset.

    The images are spread evenly over the dataset.

    Args:
        dataset: a `keras_hkd.data.Dataset`.
        results: heading -> COCO results, as `keras_hkd.evaluation.predict_dataset` gives them.
        path: the PNG to write.
        num_images: rows.
        **options: options of `save_gallery`.

    Returns:
        The path.
    """
    count = min(num_images, len(dataset))
    indices = np.linspace(0, len(dataset) - 1, count).round().astype(int)
    truth = [dataset.annotations[index] for index in indices]
    columns = {"ground truth": [{"boxes": t.boxes, "ignore": t.ignore} for t in truth]}
    for heading, found in results.items():
        by_image = _by_image(found)
        columns[heading] = [by_image.get(t.image_id, _NOTHING) for t in truth]
    return save_gallery([dataset.load_image(index) for index in indices], columns, path, **options)


def save_contact_sheet(
    images: Iterable[np.ndarray],
    entries: Sequence[Mapping[str, np.ndarray]],
    captions: Sequence[str],
    path: str | Path,
    *,
    tile_height_px: int = 180,
    sheet_width_px: int = 1600,
) -> Path:
    """Draw pictures with their boxes in rows, as many to a row as fit.

    Args:
        images: uint8 arrays `(height, width, 3)` RGB, of any sizes.
        entries: for each image its boxes, as a column of `save_gallery` has them.
        captions: for each image what is written below it, cut to the width of the picture.
        path: the PNG to write; its folder is made if need be.
        tile_height_px: height of every picture; the width follows each image's shape.
        sheet_width_px: width of the sheet; a wider picture is made narrower.

    Returns:
        The path.

    Raises:
        ValueError: if there is no image.

    Example:

    >>> import tempfile
    >>> people = {"boxes": np.array([[10.0, 5.0, 30.0, 60.0]])}
    >>> path = Path(tempfile.mkdtemp()) / "sheet.png"
    >>> save_contact_sheet([np.zeros((64, 96, 3), np.uint8)], [people], ["a.jpg"], path).name
    'sheet.png'
    """
    most = sheet_width_px - 2 * _GAP_PX
    rows: list[list[Image.Image]] = []
    left = 0
    for image, entry, caption in zip(images, entries, captions, strict=True):
        tile = _tile(image, entry, _COLOURS[0], 0.0, tile_height_px)
        tile = _captioned(tile if tile.width <= most else tile.resize((most, tile.height)), caption)
        if not rows or left < tile.width:
            rows.append([])
            left = most
        rows[-1].append(tile)
        left -= tile.width + _GAP_PX
    if not rows:
        raise InvalidValueError("Expected at least one image. Received: none")
    sheet = Image.new(
        "RGB", (sheet_width_px, (rows[0][0].height + _GAP_PX) * len(rows) + _GAP_PX), _PAPER
    )
    for number, row in enumerate(rows):
        x = _GAP_PX
        for tile in row:
            sheet.paste(tile, (x, _GAP_PX + number * (tile.height + _GAP_PX)))
            x += tile.width + _GAP_PX
    with replacing(path) as partial:
        sheet.save(partial)
    return Path(path)


def _captioned(tile: Image.Image, caption: str) -> Image.Image:
    font = ImageFont.load_default(11)
    while caption and font.getlength(caption) > tile.width:
        caption = caption.removesuffix("\u2026")[:-1].rstrip()
        caption += "\u2026" if caption else ""
    sheet = Image.new("RGB", (tile.width, tile.height + _CAPTION_PX), _PAPER)
    sheet.paste(tile)
    ImageDraw.Draw(sheet).text((0, tile.height + 2), caption, fill=(0, 0, 0), font=font)
    return sheet


_NOTHING = {"boxes": np.zeros((0, 4)), "confidence": np.zeros(0)}


def _by_image(results: Iterable[Mapping[str, Any]]) -> dict[int | str, dict[str, np.ndarray]]:
    grouped: dict[int | str, list[Mapping[str, Any]]] = {}
    for result in results:
        grouped.setdefault(result["image_id"], []).append(result)
    detections = {}
    for image_id, found in grouped.items():
        xywh = np.array([result["bbox"] for result in found], float)
        boxes = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
        detections[image_id] = {
            "boxes": boxes,
            "confidence": np.array([result["score"] for result in found]),
        }
    return detections


def _colours(count: int) -> list[tuple[int, int, int]]:
    return [_COLOURS[number % len(_COLOURS)] for number in range(count)]


def _tile(
    image: np.ndarray,
    entry: Mapping[str, np.ndarray],
    colour: tuple[int, int, int],
    min_confidence: float,
    height_px: int,
) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(image))
    scale = height_px / picture.height
    picture = picture.resize((max(1, round(picture.width * scale)), height_px))
    draw = ImageDraw.Draw(picture)
    boxes = np.asarray(entry["boxes"], float).reshape(-1, 4) * scale
    confidence = np.asarray(entry.get("confidence", np.ones(len(boxes))))
    ignore = np.asarray(entry.get("ignore", np.zeros(len(boxes), bool)), bool)
    # The surest last, so that they lie on top.
    for number in np.argsort(confidence, kind="stable"):
        if confidence[number] < min_confidence:
            continue
        x1, y1, x2, y2 = boxes[number]
        outline = _IGNORED if ignore[number] else colour
        draw.rectangle((x1, y1, max(x1, x2), max(y1, y2)), outline=outline, width=2)
        if "confidence" in entry:
            _label(draw, x1, y1, f"{confidence[number]:.2f}", outline)
    return picture


def _label(
    draw: ImageDraw.ImageDraw, x: float, y: float, text: str, colour: tuple[int, int, int]
) -> None:
    font = ImageFont.load_default(10)
    left, top, right, bottom = draw.textbbox((x, max(0, y - 12)), text, font=font)
    draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), fill=colour)
    draw.text((x, max(0, y - 12)), text, fill=(0, 0, 0), font=font)


def _sheet(rows: Sequence[Sequence[Image.Image]], headings: Sequence[str]) -> Image.Image:
    widths = [max(tile.width for tile in column) for column in zip(*rows, strict=True)]
    height = rows[0][0].height
    size = (
        sum(widths) + _GAP_PX * (len(widths) + 1),
        _HEADING_PX + (height + _GAP_PX) * len(rows),
    )
    sheet = Image.new("RGB", size, (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    x = _GAP_PX
    for column, width in enumerate(widths):
        draw.text((x, 5), headings[column], fill=(0, 0, 0), font=ImageFont.load_default(15))
        for row, tiles in enumerate(rows):
            sheet.paste(tiles[column], (x, _HEADING_PX + row * (height + _GAP_PX)))
        x += width + _GAP_PX
    return sheet
