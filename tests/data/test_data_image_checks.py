"""Image files: found, whole, and of the stated size."""

import numpy as np
import pytest
from PIL import Image

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.bad_records import BadRecords
from keras_hkd.data.formats.records import ImageRecord, Records
from keras_hkd.data.image_checks import locate, whole_images


def record(name="a.png", **options):
    return ImageRecord("f.json", f"image {name}", name, name, **options)


def located(image, folder, required=True, bad=None, **options):
    records = Records([image], "xywh", ("person",), (folder,), **options)
    return locate([image], records, bad or BadRecords(), required)


def test_path_and_missing_size_are_filled_in(tmp_path):
    Image.new("RGB", (6, 4)).save(tmp_path / "a.png")
    (image,) = located(record(), tmp_path)
    assert image.image_path == str(tmp_path / "a.png") and (image.width, image.height) == (6, 4)
    (image,) = located(record(width=9, height=9), tmp_path)
    assert image.width == 9  # what is stated is compared when the image is decoded


def test_a_missing_file_is_bad_if_required_or_if_its_size_is_needed(tmp_path):
    stated = {"width": 6, "height": 4}
    with pytest.raises(BadDataError, match="image a.png: .*'a.png' must exist.*check_images"):
        located(record(**stated), tmp_path)
    (image,) = located(record(**stated), tmp_path, required=False)
    assert image.image_path == ""
    with pytest.raises(BadDataError, match="the format does not state its size"):
        located(record(), tmp_path, required=False)
    (image,) = located(record(), tmp_path, required=False, default_size=(640, 480))
    assert (image.width, image.height) == (640, 480)
    bad = BadRecords("skip")
    assert located(record(), tmp_path, bad=bad) == [] and len(bad.skipped) == 1


def test_a_damaged_header_is_bad_where_the_size_is_needed(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(BadDataError, match="header cannot be read"):
        located(record(), tmp_path)


def test_damaged_and_mismatched_images_are_named(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (40, 30, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])

    def image(name, width=30, height=40):
        return record(name, image_path=str(tmp_path / name), width=width, height=height)

    some = [image("a.png"), image("cut.png"), image("a.png", 31, 40), image("a.png", 40, 30)]
    bad = BadRecords("skip")
    assert whole_images(some, bad) == some[:1]
    cut, other, turned = bad.skipped
    assert cut.file.endswith("cut.png") and "decoded whole" in cut.problem
    assert "31 x 40 px, as f.json says, got 30 x 40" in other.problem
    assert "rotation tags" in turned.problem
    with pytest.raises(BadDataError, match="cut.png: image cut.png"):
        whole_images(some, BadRecords())


def test_many_images_keep_their_order(tmp_path):
    images = []
    for index in range(230):
        path = tmp_path / f"{index}.png"
        Image.new("L", (2 + index % 5, 3)).save(path)
        images.append(record(path.name, image_path=str(path), width=2 + index % 5, height=3))
    assert whole_images(images, BadRecords()) == images
