"""Image files: found, whole, and of the stated size."""

import numpy as np
import pytest
from PIL import Image

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.bad_records import BadRecords
from keras_hkd.data.formats.records import ImageRecord, Records
from keras_hkd.data.image_checks import locate, whole_images
from keras_hkd.data.image_files import decode_image


def record(name="a.png", **options):
    return ImageRecord("f.json", f"image {name}", name, name, **options)


def located(image, folder, required=True, bad=None, **options):
    records = Records([image], "xywh", {"person": "person"}, (folder,), **options)
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
    with pytest.raises(BadDataError, match="do not state its size"):
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
    assert "31 x 40 px, as f.json says" in other.problem and "Received: 30 x 40" in other.problem
    assert "its sides are swapped, and no EXIF tag turns it" in turned.problem
    with pytest.raises(BadDataError, match="cut.png: image cut.png"):
        whole_images(some, BadRecords())


def test_many_images_keep_their_order(tmp_path):
    images = []
    for index in range(230):
        path = tmp_path / f"{index}.png"
        Image.new("L", (2 + index % 5, 3)).save(path)
        images.append(record(path.name, image_path=str(path), width=2 + index % 5, height=3))
    assert whole_images(images, BadRecords()) == images


def tagged(path, orientation, size=(30, 40)):
    """A picture whose upper left corner, as stored, is red, with a tag that says how to turn it."""
    picture = Image.new("RGB", size)
    picture.paste((255, 0, 0), (0, 0, 10, 10))
    tags = picture.getexif()
    tags[0x0112] = orientation
    picture.save(path, exif=tags, quality=95)
    return str(path)


CORNERS = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1)}
CORNERS |= {8: (-1, 0)}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", ["not stated", "upright", "as stored"])
def test_pictures_are_turned_as_viewers_do_unless_their_stated_size_says_otherwise(
    tmp_path, orientation, size
):
    path, notes = tagged(tmp_path / "a.jpg", orientation), []
    quarter = orientation >= 5
    upright = (40, 30) if quarter else (30, 40)
    stated = {"not stated": (None, None), "upright": upright, "as stored": (30, 40)}[size]
    image = record("a.jpg", image_path=path, width=stated[0], height=stated[1])
    records = Records([image], "xywh", {})
    (image,) = whole_images(
        locate([image], records, BadRecords(), True, notes=notes), BadRecords(), notes
    )
    as_stored = quarter and size == "as stored"
    assert (image.width, image.height) == ((30, 40) if as_stored else upright)
    pixels = decode_image(path, (image.height, image.width))
    corner = (0, 0) if as_stored else CORNERS[orientation]
    assert pixels[corner][0] > 200 and pixels.shape[:2] == (image.height, image.width)
    # said where the size cannot tell: none is stated, or it is the same either way
    unsure = orientation > 1 and (size == "not stated" or not quarter)
    assert bool(notes) == unsure and all("turned by the EXIF tag" in note for note in notes)


def test_a_picture_is_that_of_one_image_only(tmp_path):
    Image.new("RGB", (6, 4)).save(tmp_path / "a.jpg")
    for other, problem in (
        ("a.jpg", "each image file must be used once"),
        ("A.JPG", "which fits 'a.jpg' of the same annotations as well"),
    ):
        images = [record("a.jpg"), record(other)]
        records = Records(images, "xywh", {}, (tmp_path,), (tmp_path,))
        bad = BadRecords("skip")
        assert locate(images, records, bad, required=True) == images[:1]
        assert problem in bad.skipped[0].problem


def test_the_folder_of_the_images_can_be_named(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    Image.new("RGB", (6, 4)).save(tmp_path / "elsewhere" / "a.png")
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    images = [record("images/a.png")]
    records = Records(images, "xywh", {}, (tmp_path,), (tmp_path,))
    (image,) = locate(images, records, BadRecords(), True, tmp_path / "elsewhere")
    assert (image.width, image.height) == (6, 4)
