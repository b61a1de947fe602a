"""Finds people in files of pictures for `keras-hkd detect`, all of them or in parts."""

import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_hkd.atomic_write import replacing
from keras_hkd.cli.console import remark
from keras_hkd.errors import InvalidValueError, PathInUseError
from keras_hkd.parts import Parts, Shard

MOST_PICTURES_SHOWN = 20
MARK = ".drawn-by-keras-hkd"
"""File in a folder of drawn pictures, by which they are told from photographs."""


class PhotoRun:
    """Detects in files, a batch at a time: each is decoded once, looked at and drawn.

    Args:
        detector: what detects.
        size: `(height, width)` in pixels; the detector's own if None.
        batch_size: pictures at a time.
        score_threshold: detections that score less are left out.
        picture_folder: where pictures with boxes are written; None for nowhere.
        on_bad_data: "raise", or "skip" to leave unreadable files out.

    Attributes:
        found: picture, number of detections and best score of each.
        num_images: pictures that were looked at, in this process or before.
        num_skipped: files that could not be read.
        num_computed: pictures that were looked at in this process.
        drawn: the pictures that were written.
    """

    def __init__(
        self,
        detector: Any,
        size: tuple[int, int] | None,
        batch_size: int,
        score_threshold: float,
        picture_folder: Path | None,
        on_bad_data: str,
    ) -> None:
        self.detector = detector
        self.size = size
        self.batch_size = 1 if hasattr(detector, "path") else batch_size  # TFLite sees one image
        self.found = []  # (picture, number of detections, best score)
        self.score_threshold = score_threshold
        self.picture_folder = picture_folder
        self.on_bad_data = on_bad_data
        self.categories = list(range(1, len(detector.class_names) + 1))
        self.num_images = self.num_skipped = self.num_computed = 0
        self.drawn: set[Path] = set()

    def over(self, paths_and_ids: Sequence[tuple[Path, int | str]]) -> list[dict]:
        """Detect in all images; returns COCO results."""
        from keras_hkd.progress import image_progress

        with image_progress("Detecting", len(paths_and_ids)) as advance:
            return self._over(paths_and_ids, advance)

    def over_parts(
        self, parts: Parts, share: Shard | None, paths_and_ids: Sequence[tuple[Path, int | str]]
    ) -> int:
        """Detect in the images of the parts that are missing; returns the number of results."""
        from keras_hkd.progress import image_progress

        parts.begin()
        missing = parts.missing(share)
        with image_progress("Detecting", sum(len(parts.items(n)) for n in missing)) as advance:
            for number in missing:
                self.num_images, self.num_skipped, self.found = 0, 0, []
                items = parts.items(number)
                results = self._over(paths_and_ids[items.start : items.stop], advance)
                counts = {"num_images": self.num_images, "num_skipped": self.num_skipped}
                parts.write(number, {"results": results, "found": self.found, **counts})
        self.num_images, self.num_skipped, self.found = 0, 0, []
        num_results = 0
        for part in parts.read_all(share):
            self.num_images += part["num_images"]
            self.num_skipped += part["num_skipped"]
            self.found += part["found"] if len(self.found) <= MOST_PICTURES_SHOWN else []
            num_results += len(part["results"])
        return num_results

    def _over(
        self, paths_and_ids: Sequence[tuple[Path, int | str]], advance: Callable[[int], None]
    ) -> list[dict]:
        results = []
        for start in range(0, len(paths_and_ids), self.batch_size):
            batch = paths_and_ids[start : start + self.batch_size]
            results += self._detect(list(self._decoded(batch)))
            advance(len(batch))
        return results

    def _decoded(self, batch: Any) -> Iterator[tuple]:
        from keras_hkd.data import BadDataError
        from keras_hkd.inference.photos import load_photo

        for path, image_id in batch:
            try:
                yield path, image_id, load_photo(path)
            except BadDataError as error:
                if self.on_bad_data == "raise":
                    advice = "--on-bad-data skip leaves such files out and counts them"
                    problem = f"{error.problem}; {advice}"
                    raise BadDataError(error.file, error.record, problem) from error
                self.num_skipped += 1
                remark(f"Skipped: {error}")

    def _detect(self, decoded: Any) -> list[dict]:
        from keras_hkd.inference.prediction import coco_results, predict_images

        photos = [photo for _, _, photo in decoded]
        found = predict_images(
            self.detector, photos, self.size, self.batch_size, self.score_threshold
        )
        results = []
        for (path, image_id, photo), one in zip(decoded, found, strict=True):
            named = coco_results(one, image_id, self.categories)
            name = _picture_name(path, image_id)
            results += [{**result, "file_name": name.as_posix()} for result in named]
            self.found.append((str(path), len(named), max(one["confidence"], default=None)))
            if self.picture_folder is not None:
                self._draw(photo, one, self.picture_folder, name)
        self.num_images += len(decoded)
        self.num_computed += len(decoded)
        return results

    def _draw(self, photo: np.ndarray, found: Any, folder: Path, name: Path) -> None:
        from keras_hkd.inference.drawing import draw_detections

        if not self.drawn:  # before the first, so that a halted call is known, too
            folder.mkdir(parents=True, exist_ok=True)
            (folder / MARK).touch()
        names = self.detector.class_names
        classes = found["classes"].astype(int)
        scores = zip(classes, found["confidence"], strict=True)
        labels = [f"{names[c]} {score:.2f}" for c, score in scores]
        picture = draw_detections(photo, found["boxes"], labels, classes)
        path = folder / name
        lossy = path.suffix.lower() in (".jpg", ".jpeg", ".webp")
        quality: dict[str, Any] = {"quality": 92} if lossy else {}
        with replacing(path) as partial:
            picture.save(partial, **quality)
        self.drawn.add(path)


def drawn_folders(paths: Iterable[Path]) -> list[Path]:
    """Find the folders above images that hold pictures which this command drew.

    Args:
        paths: the images.
    """
    near = {path.parent for path in paths}
    folders = near.union(*(folder.parents for folder in near))
    return sorted(folder for folder in folders if (folder / MARK).is_file())


def are_inside(places: Iterable[Path], folder: Path) -> bool:
    """Tell whether any of some places lies in a folder, or is it.

    Args:
        places: files and folders.
        folder: a folder that exists.
    """
    folder = folder.resolve()
    return any(place.resolve().is_relative_to(folder) for place in places)


def check_free(folder: Path, places: Sequence[Path]) -> None:
    """Refuse to draw where photographs, or files of somebody else's, would be replaced.

    Args:
        folder: where pictures with boxes are to be written.
        places: the images and folders of images that are to be looked at.

    Raises:
        ValueError: some of them lie in it.
        FileExistsError: there is something in it, and this command has not drawn there.
    """
    if not folder.is_dir():
        return
    if are_inside(places, folder):
        raise InvalidValueError(
            "Pictures with boxes would replace those that are looked at: choose another --out, "
            f"or give --no-pictures. Received: --out {folder.parent}, and pictures of {folder}"
        )
    if not (folder / MARK).is_file() and any(folder.iterdir()):
        raise PathInUseError(
            f"Expected a folder for pictures with boxes that is not there yet, is empty, or was "
            f"made by this command (which leaves {MARK} in it): choose another --out, or give "
            f"--no-pictures. Received: {folder}"
        )


def _picture_name(path: Path, image_id: int | str) -> pathlib.Path:
    """Name the picture after its file, with folders where the id has them."""
    folders = pathlib.PurePosixPath(str(image_id)).parent
    inside = [part for part in folders.parts if part not in ("/", "..", ".")]
    return pathlib.Path(*inside, path.name)
