"""Checks labelled images before a training: figures, faults and pictures."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keras_hkd.atomic_write import replacing, write_text
from keras_hkd.data.dataset import Dataset
from keras_hkd.data.duplicate_images import NEAR_BITS, DuplicateGroup, find_duplicates
from keras_hkd.data.odd_boxes import KINDS, OddBox, find_odd_boxes
from keras_hkd.data.summary import counts_by_class
from keras_hkd.errors import PathInUseError
from keras_hkd.json_files import read_json, write_json
from keras_hkd.report.dataset_page import page
from keras_hkd.report.gallery import save_contact_sheet

COCO_SIZES = (32**2, 96**2)
"""Areas in square pixels from which on COCO calls an object medium, and large."""
HEIGHTS_PX = (0, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
ASPECTS = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.5, 2, 4)
NUMBERS = (0, 1, 2, 3, 4, 5, 10, 20, 50, 100)
_QUANTILES = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
_FACTS = "check.json"
_FILES = (
    *(_FACTS, "index.html"),
    *("histograms.png", "contact_sheet.png", "odd_boxes.png", "duplicates.png"),
)
_MOST_SIZES = 20
_CROP_PX = 96


def check_dataset(
    dataset: Dataset | Sequence[Dataset],
    folder: str | Path,
    *,
    num_pictures: int = 24,
    near_bits: int = NEAR_BITS,
) -> dict:
    """Look for what may be wrong with labelled images, and write what was found for people to see.

    Nothing is changed or left out. Written are `index.html`, which holds all the pictures itself,
    `check.json` with every figure and fault, `histograms.png`, `contact_sheet.png` (pictures spread
    evenly over the dataset, with their boxes; ignore regions are grey) and, where there are any,
    `odd_boxes.png` and `duplicates.png`.

    Args:
        dataset: labelled images that can be read, or several datasets of the same classes, such as
            those for training and for validation: pictures that are in two of them are named.
        folder: where to write; made if need be. Files of an earlier check are replaced.
        num_pictures: most pictures on each sheet.
        near_bits: as `keras_hkd.data.find_duplicates` takes it.

    Returns:
        What `check.json` holds: `summary`, `images`, `images_without_boxes`, `boxes`, `classes`,
        `ignore_regions`, `skipped`, `box_height_px`, `box_aspect` (width / height),
        `boxes_per_image`, `coco_sizes`, `image_sizes`, `duplicates` and `odd_boxes`.

    Raises:
        FileExistsError: the folder holds files of these names that no check wrote.
        ValueError: no image, no picture to draw, or datasets of different classes.
        BadDataError: a picture that cannot be read, or one source named twice.

    Example:

    >>> import tempfile
    >>> from keras_hkd.data import synthetic_dataset
    >>> found = check_dataset(synthetic_dataset(3, (64, 64), seed=0), tempfile.mkdtemp())
    >>> found["images"], found["duplicates"]["identical"]
    (3, [])
    """
    folder = Path(folder)
    require_free(folder)
    datasets = [dataset] if isinstance(dataset, Dataset) else list(dataset)
    several = len({one.source for one in datasets}) == len(datasets)
    merged = Dataset.merge(datasets, shared_files=several)
    sources = [one.source for one in datasets for _ in one]
    odd = find_odd_boxes(merged)
    duplicates = find_duplicates(merged, near_bits)
    found = {
        "summary": "; ".join(one.summary for one in datasets),
        **_counts(merged),
        **_figures(merged),
        "duplicates": _duplicates(merged, sources, duplicates),
        "odd_boxes": _odd(merged, odd),
    }
    write_json(folder / _FACTS, found)  # first: it says whose the other files are
    pictures = _pictures(merged, odd, duplicates, folder, num_pictures, found)
    write_text(folder / "index.html", page(found, pictures))
    return found


def require_free(folder: str | Path) -> None:
    """Refuse, before the pictures are read, a folder where files of others would be replaced.

    Args:
        folder: as `check_dataset` takes it.

    Raises:
        FileExistsError: it holds files of the names of ours, and no `check.json` of a check.
    """
    folder = Path(folder)
    there = [name for name in _FILES if (folder / name).exists()]
    if there and not _is_of_check(folder / _FACTS):
        raise PathInUseError(
            f"'{folder}' holds files that a check would replace and that no check wrote: name "
            f"another folder (--out), or move them away. Received: {', '.join(there)}"
        )


def _is_of_check(file: Path) -> bool:
    try:
        return {"summary", "duplicates", "odd_boxes"} <= set(read_json(file))
    except (OSError, ValueError, TypeError):
        return False


def _counts(dataset: Dataset) -> dict:
    return {
        "format": dataset.format,
        "images": len(dataset),
        "images_without_boxes": sum(one.num_boxes == 0 for one in dataset),
        "boxes": dataset.num_boxes,
        "classes": counts_by_class(dataset.annotations, dataset.class_names),
        "ignore_regions": sum(int(one.ignore.sum()) for one in dataset),
        "left_out": dict(dataset.findings.left_out),
        "notes": list(dataset.findings.notes),
        "skipped": [vars(record) for record in dataset.skipped],
    }


def _figures(dataset: Dataset) -> dict:
    none = np.zeros((0, 4))
    boxes = np.concatenate([none, *(one.boxes[~one.ignore] for one in dataset)])
    sides = boxes[:, 2:] - boxes[:, :2]
    areas = sides.prod(axis=1)
    aspects = sides[:, 0] / np.where(sides[:, 1] > 0, sides[:, 1], np.inf)
    numbers = np.array([np.count_nonzero(~one.ignore) for one in dataset])
    sizes = Counter((one.width, one.height) for one in dataset).most_common()
    small, large = COCO_SIZES
    return {
        "box_height_px": _spread(sides[:, 1], HEIGHTS_PX),
        "box_aspect": _spread(aspects, ASPECTS),
        "boxes_per_image": _spread(numbers, NUMBERS),
        "coco_sizes": {
            "small": int((areas < small).sum()),
            "medium": int(((areas >= small) & (areas < large)).sum()),
            "large": int((areas >= large).sum()),
        },
        "image_sizes": [
            {"width": width, "height": height, "images": count}
            for (width, height), count in sizes[:_MOST_SIZES]
        ],
        "other_image_sizes": max(0, len(sizes) - _MOST_SIZES),
    }


def _spread(values: np.ndarray, starts: Sequence[float]) -> dict:
    """Compute quantiles and a histogram."""
    quantiles = np.quantile(values, _QUANTILES).tolist() if len(values) else []
    places = np.searchsorted(starts, values, side="right") - 1
    return {
        "quantiles": {f"{q:g}": v for q, v in zip(_QUANTILES, quantiles, strict=False)},
        "from": list(starts),
        "counts": np.bincount(places[places >= 0], minlength=len(starts)).tolist(),
    }


def _duplicates(
    dataset: Dataset, sources: Sequence[str], groups: Sequence[DuplicateGroup]
) -> dict[str, list[dict]]:
    rows: dict[str, list[dict]] = {"identical": [], "near": []}
    for group in groups:
        rows["identical" if group.identical else "near"].append(
            {
                "images": [
                    {"file": _name(dataset, index), "source": sources[index]}
                    for index in group.images
                ],
                "same_labels": group.same_labels,
                "in_several_sources": len({sources[index] for index in group.images}) > 1,
            }
        )
    return rows


def _name(dataset: Dataset, index: int) -> str:
    one = dataset[index]
    return one.image_path or one.name or str(one.image_id)


def _odd(dataset: Dataset, odd: Sequence[OddBox]) -> dict[str, dict]:
    rows: dict[str, list[dict]] = {kind: [] for kind in KINDS}
    for one in odd:
        image = dataset[one.image]
        ids = image.annotation_ids
        rows[one.kind].append(
            {
                "file": _name(dataset, one.image),
                "image_id": image.image_id,
                "annotation_id": None if ids is None else int(ids[one.box]),
                "class": dataset.class_names[image.classes[one.box]],
                "box": image.boxes[one.box].round(2).tolist(),
                "detail": one.detail,
            }
        )
    return {
        kind: {"meaning": KINDS[kind], "count": len(boxes), "boxes": boxes}
        for kind, boxes in rows.items()
    }


def _pictures(
    dataset: Dataset,
    odd: Sequence[OddBox],
    duplicates: Sequence[DuplicateGroup],
    folder: Path,
    num_pictures: int,
    found: Mapping,
) -> dict[str, bytes]:
    """Write the pictures; name -> content. Those of earlier checks go."""
    spread = np.linspace(0, len(dataset) - 1, min(num_pictures, len(dataset)))
    chosen = [(index, None, _label(dataset, index)) for index in spread.round().astype(int)]
    copies = [
        (index, None, f"{number}: {_label(dataset, index)}")
        for number, group in enumerate(duplicates, start=1)
        for index in group.images
    ]
    shown = _of_every_kind(odd, num_pictures)
    crops = [(one.image, one.box, f"{one.kind}: {_label(dataset, one.image)}") for one in shown]
    sheets: dict[str, list[tuple]] = {
        "contact_sheet": chosen,
        "odd_boxes": crops,
        "duplicates": copies[:num_pictures],
    }
    pictures = {"histograms": _histograms(found)}
    for name, tiles in sheets.items():
        path = folder / f"{name}.png"
        if tiles:
            drawn = [_tile(dataset, index, box) for index, box, _ in tiles]
            images, entries = [one for one, _ in drawn], [entry for _, entry in drawn]
            save_contact_sheet(images, entries, [caption for *_, caption in tiles], path)
            pictures[name] = path.read_bytes()
        else:
            path.unlink(missing_ok=True)
    with replacing(folder / "histograms.png") as partial:
        partial.write_bytes(pictures["histograms"])
    return pictures


def _label(dataset: Dataset, index: int) -> str:
    return dataset[index].file_name


def _of_every_kind(odd: Sequence[OddBox], most: int) -> list[OddBox]:
    """Choose boxes of every kind, as many as there is room for."""
    by_kind: dict[str, list[OddBox]] = {}
    for one in odd:
        by_kind.setdefault(one.kind, []).append(one)
    room = max(1, most // max(1, len(by_kind)))
    return [one for boxes in by_kind.values() for one in boxes[:room]][:most]


def _tile(dataset: Dataset, index: int, box: int | None) -> tuple[np.ndarray, dict]:
    """Draw a picture with its boxes, or the surroundings of one box."""
    one, image = dataset[index], dataset.load_image(index)
    if box is None:
        return image, {"boxes": one.boxes, "ignore": one.ignore}
    left, top, right, bottom = one.boxes[box].tolist()
    reach = max(_CROP_PX, 1.5 * max(right - left, bottom - top)) / 2
    height, width = image.shape[:2]
    x = min(max((left + right) / 2, 0), width)
    y = min(max((top + bottom) / 2, 0), height)
    x1, y1 = int(max(0, x - reach)), int(max(0, y - reach))
    x2, y2 = int(min(width, x + reach)), int(min(height, y + reach))
    grey = np.arange(one.num_boxes) != box
    boxes = one.boxes - [x1, y1, x1, y1]
    order = np.argsort(~grey, kind="stable")  # the odd one on top
    return image[y1:y2, x1:x2], {"boxes": boxes[order], "ignore": grey[order]}


def _histograms(found: Mapping) -> bytes:
    figure = Figure(figsize=(15, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = {
        "box_height_px": "height of boxes, px",
        "box_aspect": "width / height of boxes",
        "boxes_per_image": "boxes in a picture",
    }
    for place, (key, title) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(1, len(panels), place)
        starts, counts = found[key]["from"], found[key]["counts"]
        axes.bar(range(len(counts)), counts)
        axes.set_xticks(range(len(counts)), [f"{start:g}" for start in starts])
        axes.set_title(title)
        axes.set_xlabel("from")
        axes.set_ylabel("pictures" if key == "boxes_per_image" else "boxes")
        axes.grid(axis="y", alpha=0.3)
    content = io.BytesIO()
    figure.savefig(content, dpi=90, metadata={"Software": None})
    return content.getvalue()
