"""Images decoded once into one array, so that later epochs run no Python and read no file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.batches.cache_mode import require_memory
from keras_hkd.data.batches.letterbox import PADDING_GREY, content_size, fit_scale, shrink
from keras_hkd.data.dataset import Dataset
from keras_hkd.progress import FEW_IMAGES, image_progress


@dataclasses.dataclass(frozen=True, eq=False)
class Canvases:
    """How images lie on equal canvases: top left, shrunk where they are larger, padded grey 114.

    Args:
        size: `(height, width)` of every canvas in pixels, both even.
        scales: float64 `(n,)`, canvas pixels per pixel of the original image, at most 1.
        content_sizes: int64 `(n, 2)`, rows and columns of each picture on its canvas.
        source_sizes: int64 `(n, 2)`, height and width of each original image.
    """

    size: tuple[int, int]
    scales: np.ndarray
    content_sizes: np.ndarray
    source_sizes: np.ndarray

    @classmethod
    def plan(cls, dataset: Dataset, max_size: tuple[int, int]) -> Canvases:
        """Find the smallest canvas that holds all images, none of them larger than `max_size`.

        Args:
            dataset: the images, of which only the sizes are read.
            max_size: `(height, width)` in pixels that no picture may exceed on its canvas.

        Example:

        >>> from keras_hkd.data.annotations import ImageAnnotation
        >>> images = [ImageAnnotation("", i, *size, boxes=[], classes=[])
        ...           for i, size in enumerate([(640, 480), (100, 200)])]
        >>> canvases = Canvases.plan(Dataset(images, ("person",), "", ""), (384, 384))
        >>> canvases.size, canvases.content_sizes.tolist()
        ((288, 384), [[288, 384], [200, 100]])
        """
        sizes = np.array([(image.height, image.width) for image in dataset])
        scales = np.minimum(fit_scale(sizes, np.array(max_size)), 1.0)
        contents = np.array(
            [
                (content_size(height, scale), content_size(width, scale))
                for (height, width), scale in zip(sizes, scales, strict=True)
            ]
        )
        height, width = contents.max(axis=0)
        return cls((int(height + height % 2), int(width + width % 2)), scales, contents, sizes)

    def draw(self, image: np.ndarray, index: int, antialias: bool = True) -> np.ndarray:
        """Lay one image on its canvas.

        Args:
            image: uint8 `(height, width, 3)`.
            index: position of the image in the dataset.
            antialias: see `shrink`.

        Returns:
            uint8 `(*size, 3)`.
        """
        canvas = np.full((*self.size, 3), PADDING_GREY, np.uint8)
        height, width = (int(length) for length in self.content_sizes[index])
        scale = float(self.scales[index])
        canvas[:height, :width] = shrink(image, (height, width), scale, antialias)
        return canvas


def load_checked(dataset: Dataset, index: int) -> np.ndarray:
    """Load one image and refuses it when its size is not the one that its boxes were read for.

    Args:
        dataset: where the image is.
        index: its position.

    Returns:
        uint8 `(height, width, 3)`.

    Raises:
        BadDataError: the size differs from the annotation's.
    """
    annotation = dataset[index]
    image = dataset.load_image(index)
    expected = (annotation.height, annotation.width, 3)
    if image.shape != expected:
        raise BadDataError(
            annotation.image_path or dataset.source,
            f"image {annotation.image_id}",
            f"the annotation says (height, width, channels) {expected}, the image has "
            f"{image.shape}: its boxes would be misplaced; correct the annotation",
        )
    return image


def decoded_bytes(dataset: Dataset, max_size: tuple[int, int], half_size: bool = True) -> float:
    """Compute how much memory the decoded images of a dataset take.

    Args:
        dataset: the images, of which only the sizes are read.
        max_size: as of `Canvases.plan`.
        half_size: as of `decode_all`.

    Returns:
        Bytes. While images are loaded TensorFlow holds a copy of as much.

    Example:

    >>> from keras_hkd.data import synthetic_dataset
    >>> decoded_bytes(synthetic_dataset(2, (64, 96), seed=0), (64, 96), half_size=False)
    36864.0
    """
    return _num_bytes(len(dataset), Canvases.plan(dataset, max_size).size, half_size)


def _num_bytes(num_images: int, size: tuple[int, int], half_size: bool) -> float:
    return num_images * size[0] * size[1] * 3 * (1.25 if half_size else 1.0)


def decode_all(
    dataset: Dataset, canvases: Canvases, *, half_size: bool = False, antialias: bool = True
) -> tuple[np.ndarray, Any]:
    """Decode every image once, in threads, with a progress bar above 200 images.

    Args:
        dataset: the images.
        canvases: how they are laid out.
        half_size: also return each canvas at half its size (mean of 2 x 2 pixels).
        antialias: see `shrink`.

    Returns:
        uint8 `(n, height, width, 3)`, and the halves `(n, height / 2, width / 2, 3)` or None.

    Raises:
        BadDataError: an image cannot be read or has another size than its annotation says.
        MemoryError: the arrays would not fit into the free memory.
    """
    height, width = canvases.size
    require_memory(int(_num_bytes(len(dataset), canvases.size, half_size)))
    pixels = np.empty((len(dataset), height, width, 3), np.uint8)
    halves = np.empty((len(dataset), height // 2, width // 2, 3), np.uint8) if half_size else None

    def decode(index: int) -> int:
        canvas = canvases.draw(load_checked(dataset, index), index, antialias)
        pixels[index] = canvas
        if halves is not None:
            halves[index] = half_size_of(canvas)
        return 1

    run_in_threads(decode, range(len(dataset)), "Decoding images", len(dataset))
    return pixels, halves


def half_size_of(image: np.ndarray) -> np.ndarray:
    """Halve an image by the mean of 2 x 2 pixels.

    Args:
        image: uint8 `(height, width, 3)`, both even.

    Returns:
        uint8 `(height / 2, width / 2, 3)`.
    """
    from PIL import Image

    return np.asarray(Image.fromarray(image).reduce(2))


def run_in_threads(
    task: Callable[[int], int], numbers: Sequence[int], title: str, num_images: int
) -> None:
    """Do a task for each of some numbers on all cores, with a progress bar above 200 images.

    Args:
        task: what is done with a number; it returns how many images that were.
        numbers: the numbers.
        title: what is being done.
        num_images: of all tasks together.

    Raises:
        Exception: what a task raised first; tasks that have not begun are dropped.
    """
    with (
        image_progress(title, num_images, num_images > FEW_IMAGES) as advance,
        ThreadPoolExecutor(usable_cores()) as pool,
    ):
        futures = [pool.submit(task, number) for number in numbers]
        try:
            for future in futures:
                advance(future.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def usable_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
