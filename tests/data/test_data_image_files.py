"""Decoding: every kind of picture becomes the RGB that COCO's annotators saw."""

import numpy as np
import pytest
from PIL import Image

from keras_hkd.data.image_files import UnreadableImageError, decode_image, image_size


@pytest.mark.parametrize("mode, colour", [("RGB", (10, 20, 30)), ("RGBA", (10, 20, 30, 0))])
def test_colour_is_kept_and_transparency_dropped(tmp_path, mode, colour):
    Image.new(mode, (6, 4), colour).save(tmp_path / "a.png")
    assert decode_image(tmp_path / "a.png")[3, 5].tolist() == [10, 20, 30]


def test_grey_palette_and_sixteen_bit_become_rgb(tmp_path):
    Image.new("L", (6, 4), 77).save(tmp_path / "grey.png")
    Image.new("LA", (6, 4), (77, 3)).save(tmp_path / "grey_alpha.png")
    Image.new("RGB", (6, 4), (77, 77, 77)).quantize(4).save(
        tmp_path / "palette.png", transparency=0
    )
    Image.fromarray(np.full((4, 6), 77 * 256 + 9, np.uint16)).save(tmp_path / "deep.png")
    for name in ("grey", "grey_alpha", "palette", "deep"):
        pixels = decode_image(tmp_path / f"{name}.png")
        assert pixels.shape == (4, 6, 3) and pixels.dtype == np.uint8
        assert (pixels == 77).all(), name


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (6, 4), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    red, green, blue = decode_image(tmp_path / "a.jpg")[2, 2].tolist()
    assert red > 200 and green < 50 and blue < 50


def test_rotation_tags_are_not_followed(tmp_path):
    picture = Image.new("RGB", (6, 4))
    tags = picture.getexif()
    tags[0x0112] = 6  # "turn by 90 degrees"
    picture.save(tmp_path / "a.jpg", exif=tags)
    assert decode_image(tmp_path / "a.jpg").shape == (4, 6, 3)
    assert image_size(tmp_path / "a.jpg") == (4, 6)


def test_damaged_pictures_are_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    cases = {"cut.png": whole[: len(whole) // 2], "no.png": b"not an image", "empty.png": b""}
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UnreadableImageError):
            decode_image(tmp_path / name)
    with pytest.raises(UnreadableImageError, match="does not exist"):
        decode_image(tmp_path / "missing.png")
    with pytest.raises(UnreadableImageError, match="does not exist"):
        image_size(tmp_path / "missing.png")
    with pytest.raises(UnreadableImageError, match="0 bytes"):
        decode_image(tmp_path / "empty.png")
    with pytest.raises(UnreadableImageError, match="header"):
        image_size(tmp_path / "no.png")
    assert image_size(tmp_path / "cut.png") == (40, 40)
