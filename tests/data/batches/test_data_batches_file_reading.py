"""Predictions are made on the pixels that `load_image` gives, whatever kind of file holds them."""

import re

import numpy as np
import pytest
from PIL import Image

from keras_hkd.data.annotations import BadDataError, ImageAnnotation
from keras_hkd.data.batches.pipeline import prediction_batches
from keras_hkd.data.dataset import Dataset

SIDE = 32
RAMP = np.arange(SIDE, dtype=np.uint8)
PIXELS = np.stack(np.broadcast_arrays(7 * RAMP[:, None], 5 * RAMP[None], np.uint8(90)), axis=-1)


def save(kind, path):
    """Writes a square picture that no turn or flip leaves as it is."""
    image = Image.fromarray(PIXELS)
    if isinstance(kind, int):
        exif = Image.Exif()
        exif[0x0112] = kind
        image.save(path, "JPEG", quality=95, exif=exif)
    elif kind == "16 bits":
        Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 256 + 5).save(path, "PNG")
    elif kind in ("WEBP", "PNG"):
        image.save(path, kind)
    else:
        image.convert(kind).save(path, "JPEG" if kind == "CMYK" else "PNG")


def dataset_of(paths):
    rows = [
        ImageAnnotation(str(path), i, SIDE, SIDE, np.zeros((0, 4)), np.zeros(0))
        for i, path in enumerate(paths)
    ]
    return Dataset(rows, ("person",), "pictures", "none")


def predicted(dataset):
    batches = prediction_batches(dataset, image_size=(SIDE, SIDE), batch_size=3)
    return np.concatenate([batch.numpy() for batch in batches])


def test_pixels_are_those_of_load_image(tmp_path):
    """Turned by EXIF in all eight ways, grey, palette, CMYK, 16 bits, WebP by another name."""
    kinds = [*range(1, 9), "PNG", "L", "P", "RGBA", "CMYK", "16 bits", "WEBP"]
    paths = [tmp_path / f"{number}.jpg" for number in range(len(kinds))]
    for kind, path in zip(kinds, paths, strict=True):
        save(kind, path)
    dataset = dataset_of(paths)
    expected = np.stack([dataset.load_image(i) for i in range(len(paths))])
    upright = expected[0].astype(int)
    assert all(abs(expected[k] - upright).mean() > 20 for k in range(1, 8))  # each turned
    np.testing.assert_allclose(predicted(dataset), expected, atol=0.01)


def test_a_phone_s_picture_has_the_size_of_its_upright_view(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "phone.jpg"
    Image.fromarray(PIXELS[:20]).save(path, quality=95, exif=exif)
    rows = [ImageAnnotation(str(path), 0, 20, SIDE, np.zeros((0, 4)), np.zeros(0))]
    dataset = Dataset(rows, ("person",), "pictures", "none")
    (images,) = prediction_batches(dataset, image_size=(SIDE, 20), batch_size=1)
    np.testing.assert_allclose(images[0], dataset.load_image(0), atol=0.01)


def test_a_missing_or_broken_file_is_named_before_anything_is_predicted(tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    for name in ("gone.jpg", "text.jpg"):
        with pytest.raises(BadDataError, match=re.escape(name)):
            predicted(dataset_of([tmp_path / name]))
