"""Pictures are found wherever people keep them, under names that differ in form only."""

import unicodedata
from pathlib import Path

import pytest

from keras_hkd.data.formats.bad_records import RecordProblem
from keras_hkd.data.picture_finder import PictureFinder, places


def touched(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def found(folder, annotations, name):
    """The picture that a file of annotations in a folder means, from the folder on."""
    folders, roots = places(folder / annotations, "val2017")
    path = PictureFinder(folders, roots).find(name)
    return Path(path).relative_to(folder).as_posix() if path else ""


NFD = unicodedata.normalize("NFD", "Größe_걸음.jpg")
LAYOUTS = [
    # annotations, picture on the disk, name in the annotations
    ("a.json", "x.jpg", "x.jpg"),
    ("a.json", "images/x.jpg", "x.jpg"),
    ("a.json", "images/x.jpg", "images/x.jpg"),
    ("a.json", "data/x.jpg", "x.jpg"),
    ("a.json", "val2017/x.jpg", "x.jpg"),
    ("labels.json", "data/x.jpg", "x.jpg"),
    ("annotations/a.json", "images/x.jpg", "x.jpg"),
    ("annotations/a.json", "images/val2017/x.jpg", "x.jpg"),
    ("annotations/a.json", "val2017/x.jpg", "x.jpg"),
    ("annotations/a.json", "images/deep/er/x.jpg", "x.jpg"),
    ("Annotations/a.xml", "JPEGImages/x.jpg", "x.jpg"),
    ("a.json", "images/day/x.jpg", "day/x.jpg"),
    ("a.json", "images/x.jpg", "images\\x.jpg"),
    ("a.json", "images/x.jpg", ".\\images\\x.jpg"),
    ("a.json", "images/x.jpg", "C:\\Users\\me\\images\\x.jpg"),
    ("a.json", "images/x.jpg", "/home/me/images/x.jpg"),
    ("a.json", "images/x y.jpg", "/data/local-files/?d=images/x%20y.jpg"),
    ("a.json", "Images/X.JPG", "images/x.jpg"),
    ("a.json", "images/x.JPEG", "x.jpg"),
    ("a.json", "images/x.png", "x"),
    ("a.json", "images/x.v1.png", "x.v1"),
    ("a.json", f"images/{NFD}", unicodedata.normalize("NFC", NFD)),
    ("a.json", f"images/{unicodedata.normalize('NFC', NFD)}", NFD),
]


@pytest.mark.parametrize("annotations, picture, name", LAYOUTS)
def test_layouts(tmp_path, annotations, picture, name):
    folder = touched(tmp_path / "set", annotations, picture, "images/other.jpg", "plot.png")
    assert found(folder, annotations, name) == picture


def test_none(tmp_path):
    folder = touched(tmp_path / "set", "a.json", "images/x.jpg", "images/notes.txt")
    for name in ("y.jpg", "", "notes", "notes.txt", "\0", "images"):
        assert found(folder, "a.json", name) == ""


def test_an_exact_name_comes_first(tmp_path):
    folder = touched(tmp_path / "set", "a.json", "images/x.jpg", "images/X.jpg", "images/x.png")
    assert found(folder, "a.json", "x.jpg") == "images/x.jpg"
    assert found(folder, "a.json", "X.jpg") == "images/X.jpg"


def test_folders_tell_pictures_of_one_name_apart(tmp_path):
    names = ("set06/V000/x.jpg", "set06/V001/x.jpg", "set07/V000/x.jpg")
    folder = touched(tmp_path / "set", "a.json", *(f"images/{name}" for name in names))
    for name in names:
        assert found(folder, "a.json", name.replace("/", "\\").upper()) == f"images/{name}"


def test_several_that_fit_are_refused(tmp_path):
    folder = touched(tmp_path / "set", "a.json", "day/x.jpg", "night/x.jpg")
    with pytest.raises(RecordProblem, match="must be one file: .* Received: 2 that fit"):
        found(folder, "a.json", "x.jpg")
    folder = touched(tmp_path / "other", "a.json", "images/x.jpg", "images/x.png")
    with pytest.raises(RecordProblem, match="must be one file"):
        found(folder, "a.json", "x")


def test_copies_elsewhere_do_not_count_beside_a_folder_of_pictures(tmp_path):
    folder = touched(tmp_path / "set", "a.json", "images/x.jpg", "runs/predict/x.jpg")
    assert found(folder, "a.json", "x") == "images/x.jpg"


def test_a_neighbour_is_not_searched(tmp_path):
    touched(tmp_path / "neighbour", "x.jpg")
    folder = touched(tmp_path / "set", "a.json")
    assert found(folder, "a.json", "x.jpg") == ""


def test_a_folder_linked_into_itself_ends(tmp_path):
    folder = touched(tmp_path / "set", "a.json", "deep/X.jpg")
    (folder / "deep" / "again").symlink_to(folder)
    assert found(folder, "a.json", "x.jpg") == "deep/X.jpg"


@pytest.mark.parametrize("picture", ["day/1.jpg", "images/day/1.JPG", "images/1.jpg"])
def test_a_picture_of_another_name_takes_no_missing_one_s_place(tmp_path, picture):
    """night/1.jpg is not there; where neither folder is, the picture may be either's."""
    folder = touched(tmp_path / "set", "a.json", picture)
    folders, roots = places(folder / "a.json")
    finder = PictureFinder(folders, roots, ["day/1.jpg", "night/1.jpg", "night/2.jpg"])
    with pytest.raises(RecordProblem, match=r"'night/1.jpg' must be there.* fits 'day/1.jpg'"):
        finder.find("night/1.jpg")
    if "day" in picture:
        assert finder.find("day/1.jpg").endswith("set/" + picture)


def test_pictures_of_one_name_are_found_below_other_folders(tmp_path):
    """Folders before those that tell them apart may differ, as on another machine."""
    folder = touched(tmp_path / "set", "a.json", "images/day/1.jpg", "images/night/1.jpg")
    folders, roots = places(folder / "a.json")
    names = ["/home/me/set/day/1.jpg", "/home/me/set/night/1.jpg", "/home/me/set/1.jpg"]
    finder = PictureFinder(folders, roots, names)
    for name in names[:2]:
        assert finder.find(name).endswith(name.removeprefix("/home/me/set/"))
