import numpy as np
import pytest
from PIL import Image

from keras_hkd.data.annotations import BadDataError
from keras_hkd.inference.photos import find_images, image_ids, load_photo


@pytest.fixture
def photo():
    """6 high, 4 wide; the upper left pixel is white."""
    pixels = np.zeros((6, 4, 3), np.uint8)
    pixels[0, 0] = 255
    return pixels


def save(path, pixels, orientation=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def test_folders_are_searched_in_order(tmp_path, photo):
    names = ["b.png", "a/2.JPG", "a/1.jpg", "c.webp"]
    for name in names:
        save(tmp_path / name, photo)
    (tmp_path / "notes.txt").write_text("no image")
    found = [p.relative_to(tmp_path).as_posix() for p in find_images([tmp_path])]
    assert found == ["a/1.jpg", "a/2.JPG", "b.png", "c.webp"]
    found = find_images([tmp_path / "c.webp", tmp_path])
    assert [p.name for p in found] == ["c.webp", "1.jpg", "2.JPG", "b.png"]


def test_nothing_found(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        find_images([tmp_path / "nowhere"])
    with pytest.raises(ValueError, match="There is no image in"):
        find_images([tmp_path])
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(ValueError, match=r"notes\.txt: images end in \.jpg"):
        find_images([tmp_path / "notes.txt"])


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], []),
        (["a/000000000139.jpg"], [139]),
        (["1.jpg", "x.jpg"], ["1", "x"]),
        (["1.jpg", "01.jpg"], ["1", "01"]),
        (["a/x.jpg", "b/x.jpg"], ["a/x", "b/x"]),
        (["c/a/x.jpg", "d/a/x.jpg", "y.jpg"], ["c/a/x", "d/a/x", "y"]),
        (["x.jpg", "x.png"], ["x.jpg", "x.png"]),
    ],
)
def test_ids_are_unique(paths, expected):
    assert image_ids(paths) == expected


@pytest.mark.parametrize(
    ("orientation", "shape", "white"),
    [
        (None, (6, 4), (0, 0)),
        (1, (6, 4), (0, 0)),
        (2, (6, 4), (0, 3)),
        (3, (6, 4), (5, 3)),
        (4, (6, 4), (5, 0)),
        (5, (4, 6), (0, 0)),
        (6, (4, 6), (0, 5)),
        (7, (4, 6), (3, 5)),
        (8, (4, 6), (3, 0)),
        (99, (6, 4), (0, 0)),
    ],
)
def test_pictures_are_turned_upright(tmp_path, photo, orientation, shape, white):
    image = load_photo(save(tmp_path / "photo.png", photo, orientation))
    assert image.shape == (*shape, 3)
    assert tuple(np.argwhere(image[..., 0] == 255)[0]) == white


def test_a_damaged_picture(tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8 no picture")
    with pytest.raises(BadDataError, match=r"bad\.jpg"):
        load_photo(tmp_path / "bad.jpg")
