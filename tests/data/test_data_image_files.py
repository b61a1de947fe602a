"""Decoding: every kind of picture becomes RGB, upright as viewers show it."""

import concurrent.futures
import sys
import warnings

import numpy as np
import pytest
from PIL import Image, features

from keras_hkd.data.image_files import (
    SUFFIXES,
    UnreadableImageError,
    decode_image,
    image_header,
    image_size,
)


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


def test_rotation_tags_are_followed(tmp_path):
    picture = Image.new("RGB", (6, 4))
    tags = picture.getexif()
    tags[0x0112] = 6  # "turn by 90 degrees"
    picture.save(tmp_path / "a.jpg", exif=tags)
    assert decode_image(tmp_path / "a.jpg").shape == (6, 4, 3)
    assert decode_image(tmp_path / "a.jpg", (4, 6)).shape == (4, 6, 3)
    assert image_size(tmp_path / "a.jpg") == (6, 4)
    assert image_header(tmp_path / "a.jpg") == ((4, 6), 6)


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".mpo", ".gif", ".bmp", ".webp", ".tif"])
def test_kinds_of_pictures(tmp_path, suffix):
    kind = {".jfif": "JPEG", ".jpe": "JPEG", ".mpo": "JPEG"}.get(suffix)
    Image.new("RGB", (6, 4), (200, 0, 0)).save(tmp_path / f"a{suffix}", kind)
    assert suffix in SUFFIXES and decode_image(tmp_path / f"a{suffix}")[2, 2, 0] > 150


def test_the_first_frame_counts(tmp_path):
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert decode_image(tmp_path / "a.gif")[0, 0].tolist() == [255, 0, 0]


def test_avif(tmp_path):
    if not features.check("avif"):
        pytest.skip("this Pillow opens no AVIF")
    Image.new("RGB", (6, 4), (200, 0, 0)).save(tmp_path / "a.avif")
    assert decode_image(tmp_path / "a.avif").shape == (4, 6, 3)


def test_heic(tmp_path, monkeypatch):
    heif = pytest.importorskip("pillow_heif", reason="HEIC is an extra: keras_hkd[heic]")
    heif.from_pillow(Image.new("RGB", (64, 48), (200, 0, 0))).save(tmp_path / "a.heic")
    assert decode_image(tmp_path / "a.heic").shape == (48, 64, 3)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnreadableImageError, match=r"pip install keras_hkd\[heic\]") as caught:
        decode_image(tmp_path / "a.heic")
    assert "fetch it again" not in caught.value.advising("fetch it again")


def test_a_picture_beyond_the_limit_says_how_to_lift_it(tmp_path, monkeypatch):
    Image.new("L", (60, 50)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(
        UnreadableImageError, match="too large .*limit is 0.*KERAS_HKD_MAX_MEGA"
    ) as e:
        decode_image(tmp_path / "a.png")
    assert "fetch it again" not in e.value.advising("fetch it again")


@pytest.mark.own_process
def test_the_limit_can_be_set(tmp_path, fresh_python):
    Image.new("L", (1200, 1000)).save(tmp_path / "a.png")  # 1.2 megapixels
    code = """
        import sys
        from keras_hkd.data.image_files import decode_image
        try:
            print(decode_image(sys.argv[1]).shape)
        except ValueError as error:
            print(error)
    """
    file = tmp_path / "a.png"
    assert "(1 megapixels, the limit is 1)" in fresh_python(
        code, file, KERAS_HKD_MAX_MEGAPIXELS="1"
    )
    assert fresh_python(code, file, KERAS_HKD_MAX_MEGAPIXELS="2") == "(1000, 1200, 3)\n"


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


def test_warnings_of_others_are_neither_lost_nor_muted_by_threads(tmp_path):
    """A picture with a faulty EXIF block, which Pillow warns of, opened in many threads."""
    path = tmp_path / "odd.jpg"
    Image.new("RGB", (8, 8)).save(path, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    others = [one for one in warnings.filters if "PIL" not in str(one[3])]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            opened = [pool.submit(decode_image, path) for _ in range(200)]
            for number in range(50):
                warnings.warn(f"note {number}", UserWarning, stacklevel=1)
            for one in opened:
                one.result()
    assert [str(one.message) for one in caught] == [f"note {number}" for number in range(50)]
    assert [one for one in warnings.filters if "PIL" not in str(one[3])] == others
