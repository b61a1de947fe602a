"""A second start does not decode again what was found whole, and only that."""

import os

import numpy as np
import pytest
from PIL import Image

from keras_hkd.data import checked_images, image_checks
from keras_hkd.data.formats.bad_records import BadRecords
from keras_hkd.data.formats.records import ImageRecord
from keras_hkd.data.image_checks import whole_images
from keras_hkd.data.image_files import UnreadableImageError, decode_image, require_whole


@pytest.fixture
def images(tmp_path):
    made = []
    for index in range(4):
        noise = np.random.default_rng(index).integers(0, 255, (40, 30, 3), np.uint8)
        path = tmp_path / f"{index}.jpg"
        Image.fromarray(noise).save(path)
        made.append(ImageRecord("f.json", f"image {index}", index, path.name, str(path), 30, 40))
    return made


@pytest.fixture
def decoded(tmp_path, monkeypatch):
    """Paths of the images that were decoded, where four are many and have a folder."""
    monkeypatch.setattr(checked_images, "MANY_IMAGES", 4)
    monkeypatch.setenv("KERAS_HKD_CACHE_FOLDER", str(tmp_path / "caches"))
    paths, real = [], image_checks.require_whole

    def counted(path, stated):
        paths.append(path)
        return real(path, stated)

    monkeypatch.setattr(image_checks, "require_whole", counted)
    return paths


def test_many_images_are_decoded_once(images, decoded):
    assert whole_images(images, BadRecords()) == images
    assert len(decoded) == 4
    assert whole_images(images, BadRecords()) == images
    assert len(decoded) == 4
    assert whole_images(images[:3], BadRecords()) == images[:3]  # few: anew
    assert len(decoded) == 7


def test_notes_are_the_same_at_a_second_start(images, decoded):
    picture = Image.new("RGB", (30, 40))
    tags = picture.getexif()
    tags[0x0112] = 3
    picture.save(images[1].image_path, exif=tags)
    first, second = [], []
    whole_images(images, BadRecords(), first)
    whole_images(images, BadRecords(), second)
    assert len(decoded) == 4 and first == second and "1 image turned" in first[0]


def test_what_changed_is_found(images, decoded):
    whole_images(images, BadRecords())
    content = open(images[2].image_path, "rb").read()
    status = os.stat(images[2].image_path)
    with open(images[2].image_path, "wb") as file:
        file.write(content[:-400] + bytes(400))  # of the same size
    os.utime(images[2].image_path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    bad = BadRecords("skip")
    images[3].width = 31
    assert whole_images(images, bad) == images[:3]
    assert len(decoded) == 8 and "Received: 30 x 40" in bad.skipped[0].problem
    assert whole_images(images, BadRecords("skip")) == images[:3], "what is bad stays bad"


def test_a_folder_that_cannot_be_written_is_no_fault(images, decoded, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("KERAS_HKD_CACHE_FOLDER", str(tmp_path / "file"))
    for count in (4, 8):
        assert whole_images(images, BadRecords()) == images
        assert len(decoded) == count


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("missing", [0, 3, 30, 300, 1500])
def test_a_small_decoding_finds_what_a_whole_one_finds(tmp_path, mode, progressive, missing):
    noise = np.random.default_rng(0).integers(0, 255, (50, 70, 3), np.uint8)
    path = tmp_path / "a.jpg"
    Image.fromarray(noise).convert(mode).save(path, progressive=progressive)
    path.write_bytes(path.read_bytes()[: path.stat().st_size - missing])
    found = []
    for look in (require_whole, lambda path: decode_image(path).shape[:2]):
        try:
            found.append(look(path))
        except UnreadableImageError as error:
            found.append(str(error))
    assert found[0] == found[1]
    assert missing or found[0] == (50, 70)
