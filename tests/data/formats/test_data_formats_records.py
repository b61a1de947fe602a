"""Names of classes and of image files."""

import pytest

from keras_hkd.data.formats.records import canonical, find_image, without_suffix


@pytest.mark.parametrize("name", ["person", "Pedestrian", " PERSON "])
def test_person_and_pedestrian_are_one_class(name):
    assert canonical(name) == "person"


def test_only_image_suffixes_are_taken_off():
    assert without_suffix("a/b.JPG") == "a/b"
    assert without_suffix("set06.v1") == "set06.v1"


def test_images_are_found_by_name_bare_name_and_without_suffix(tmp_path):
    (tmp_path / "in").mkdir()
    file = tmp_path / "in" / "a.png"
    file.touch()
    folders = [tmp_path / "none", tmp_path, tmp_path / "in"]
    for name in ("in/a.png", "a.png", "train/a.png", "in/a", "a"):
        assert find_image(folders, name) == str(file)
    assert find_image(folders, "b.png") == ""
    assert find_image(folders, "a.jpg") == ""
    assert find_image(folders, "\x00") == ""
