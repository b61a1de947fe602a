"""Caltech's .vbb files, written by SciPy: a film worked out by hand, and the ways to be wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

from keras_hkd.data import BadDataError, load_boxes, load_dataset
from keras_hkd.data.formats.vbb import frame_of

LABELS = ["person", "people", "person?", "cyclist", "person", "unused"]


def cells(values):
    array = np.empty((1, len(values)), dtype=object)
    array[0, :] = values
    return array


def seen_object(number, pos, occluded=0, seen=(0, 0, 0, 0), **more):
    numbers = {"id": float(number), "pos": np.array([pos], float), "occl": float(occluded)}
    return numbers | {"lock": 0.0, "posv": np.array([seen], float), **more}


def several(*objects):
    """A structure array, as a frame with several objects has it."""
    array = np.empty((1, len(objects)), [(name, object) for name in objects[0]])
    for column, one in enumerate(objects):
        for name, value in one.items():
            array[0, column][name] = value
    return array


NOBODY = np.zeros((0, 0))
FRAMES = [
    NOBODY,
    seen_object(1, [10, 20, 30, 80]),
    several(
        seen_object(1, [100.25, 50, 20, 60], 1, [100.25, 50, 20, 30]),
        seen_object(5, [200.25, 50, 20, 60], 1, [200.4, 50, 20, 60.1]),
        seen_object(2, [400, 40, 100, 50]),
        seen_object(3, [500, 40, 20, 50]),
        seen_object(4, [300, 40, 20, 50]),
        seen_object(5, [-5, 400, 30, 100], 1),
    ),
    NOBODY,
]


def film(folder, name="set06/V000", frames=FRAMES, labels=LABELS, **more):
    path = folder / "annotations" / f"{name}.vbb"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"nFrame": float(len(frames)), "objLists": cells(frames)}
    content |= {"maxObj": 6.0, "objInit": np.ones((1, 6)), "objLbl": cells(labels), **more}
    savemat(path.with_suffix(".mat"), {"A": content, "vers": 1.4})
    return path.with_suffix(".mat").rename(path)


def picture(folder, name, size=(640, 480)):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)
    return path


def test_worked_example(tmp_path):
    path = film(tmp_path)
    for source in (tmp_path, path, f"{tmp_path}:test"):
        dataset = load_dataset(source, check_images=False)
        assert dataset.format == "vbb" and len(dataset) == 4
        assert [one.num_boxes for one in dataset] == [0, 1, 5, 0]
        assert [one.image_id for one in dataset][:2] == ["set06/V000/I00000", "set06/V000/I00001"]
    one = dataset[2]
    assert (one.width, one.height) == (640, 480)
    assert one.boxes[[0, 4]].tolist() == [[100.25, 50, 120.25, 110], [-5, 400, 25, 500]]
    assert one.ignore.tolist() == [False, False, True, True, False]
    assert one.visible_boxes[0].tolist() == [100.25, 50, 120.25, 80]
    assert one.visible_boxes[1].tolist() == [200.25, 50, 200.25, 50]  # equal boxes: hidden
    assert one.visible_boxes[4].tolist() == one.boxes[4].tolist()  # how much is not known
    assert one.occlusion.tolist() == [1, 1, 0, 0, 1]
    assert dataset.findings.left_out == {"cyclist": 1}


def test_it_is_as_the_text_files_that_the_authors_code_makes_of_it(tmp_path):
    film(tmp_path / "vbb")
    text = tmp_path / "text" / "annotations" / "set06_V000_I00002.txt"
    text.parent.mkdir(parents=True)
    text.write_text(
        "% bbGt version=3\n"
        "person 100 50 20 60 1 100 50 20 30 0 0\n"
        "person 200 50 20 60 1 200 50 20 60 0 0\n"
        "people 400 40 100 50 0 0 0 0 0 0 0\n"
        "person? 500 40 20 50 0 0 0 0 0 0 0\n"
        "cyclist 300 40 20 50 0 0 0 0 0 0 0\n"
        "person -5 400 30 100 1 0 0 0 0 0 0\n"
    )
    (other,) = load_dataset(tmp_path / "text", check_images=False)
    one = load_dataset(tmp_path / "vbb", check_images=False)[2]
    for name in ("boxes", "visible_boxes"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=0.5)
    for name in ("ignore", "classes", "occlusion"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize(
    "name",
    [
        "images/set06/V000/I00002.jpg",
        "set06/V000/I00002.png",
        "set06/V000/visible/I00002.jpg",
        "images/set06_V000_I00002.jpg",
        "pictures/deep/set06_V000_2.png",
        "annotations/set06/V000/images/I00002.jpg",
        "SET06/v000/i00002.JPG",
    ],
)
def test_frames_that_have_a_picture_count(tmp_path, name):
    path = film(tmp_path)
    film(tmp_path, "set06/V001")
    expected = picture(tmp_path, name, (700, 500))
    picture(tmp_path, "images/set07/V000/I00001.jpg")  # of a film without annotations
    picture(tmp_path, "images/set06/V000/lwir/I00002.jpg")  # thermal
    dataset = load_dataset(tmp_path)
    (one,) = dataset
    assert one.image_path == str(expected) and one.num_boxes == 5
    assert (one.width, one.height) == (700, 500)
    assert "of 8 frames the 1 that have a picture" in dataset.summary
    if not name.startswith("pictures"):
        assert len(load_dataset(path)) == 1
    assert len(load_dataset(path, images_folder=tmp_path / name.split("/")[0])) == 1


def test_without_pictures_it_says_how_to_make_them(tmp_path):
    film(tmp_path)
    picture(tmp_path, "images/set06/V001/I00002.jpg")
    with pytest.raises(BadDataError, match="extract them from the .seq files as set00/V000/I00029"):
        load_dataset(tmp_path)
    assert len(load_boxes(tmp_path)) == 4


def test_two_pictures_of_a_frame_are_told_apart_or_refused(tmp_path):
    film(tmp_path)
    picture(tmp_path, "small/set06_V000_I00001.jpg")
    picture(tmp_path, "large/set06/V000/I00001.png", (1280, 960))
    with pytest.raises(BadDataError, match="must have one picture: .* Received: 2"):
        load_dataset(tmp_path)
    assert load_dataset(tmp_path, images_folder=tmp_path / "large")[0].width == 1280


def test_splits(tmp_path):
    for name in ("set00/V000", "set05/V001", "set06/V000", "set10/V011"):
        film(tmp_path, name)
    train, test = (load_boxes(f"{tmp_path}:{split}") for split in ("train", "test"))
    assert {one.image_id[:5] for one in train} == {"set00", "set05"}
    assert {one.image_id[:5] for one in test} == {"set06", "set10"}


def test_files_of_other_making(tmp_path):
    """One label only, no visible boxes as in the first version, numbers of other types."""
    one = {"id": np.uint8(1), "pos": np.array([[1, 2, 30, 40]], np.int32), "occl": np.uint8(0)}
    film(tmp_path, frames=[one, several(one, one)], labels=["person"])
    dataset = load_boxes(tmp_path)
    assert [image.num_boxes for image in dataset] == [1, 2]
    assert dataset[0].visible_boxes.tolist() == [[1, 2, 31, 42]]


@pytest.mark.parametrize(
    "one, message",
    [
        (seen_object(7, [1, 2, 3, 4]), "number of an object with a label. Received: 7"),
        (seen_object(1.5, [1, 2, 3, 4]), "number of an object with a label. Received: 1.5"),
        (seen_object(1, [1, 2, 3]), "pos must hold 4 numbers"),
        (seen_object(1, [1, 2, 0, 4]), "width above 0"),
        (seen_object(1, [1, 2, 3, 4], 3), "occl must be 0 or 1"),
        (seen_object(1, [1, np.nan, 3, 4]), "finite"),
        ({"id": 1.0}, "structure with id and pos"),
        ("text", "structure with id and pos"),
    ],
)
def test_a_faulty_object_is_a_faulty_box(tmp_path, one, message):
    film(tmp_path, frames=[NOBODY, one, seen_object(1, [1, 2, 3, 4])])
    with pytest.raises(BadDataError, match=message) as error:
        load_boxes(tmp_path)
    assert error.value.record.startswith("frame 1, object 1")
    dataset = load_boxes(tmp_path, on_bad_data="skip")
    assert len(dataset) == 3 and dataset.num_boxes == 1 and len(dataset.skipped) == 1


def test_a_faulty_file_is_a_faulty_film(tmp_path):
    film(tmp_path)
    damaged = film(tmp_path, "set06/V001")
    damaged.write_bytes(damaged.read_bytes()[:-40])
    film(tmp_path, "set06/another")
    savemat(tmp_path / "x.mat", {"B": 1})
    (tmp_path / "x.mat").rename(tmp_path / "annotations" / "set06" / "V002.vbb")
    with pytest.raises(BadDataError, match="V001.vbb: the whole file"):
        load_boxes(damaged)
    dataset = load_boxes(tmp_path, on_bad_data="skip")
    assert len(dataset) == 4
    problems = " ".join(record.problem for record in dataset.skipped)
    for words in ("a whole MATLAB file", "called set00/V000.vbb", "structure A"):
        assert words in problems


@pytest.mark.parametrize(
    "name", ["a.jpg", "set00/I00001.jpg", "V000/I00001.jpg", "offset00/V000/x.jpg", ""]
)
def test_names_of_no_frame(name):
    assert frame_of(name) is None


@given(st.integers(0, 99), st.integers(0, 999), st.integers(0, 99_999))
def test_names_of_frames(number, video, frame):
    names = [
        f"/data/set01/V001/x/set{number:02d}/V{video:03d}/I{frame:05d}.jpg",
        f"set{number:02d}_V{video:03d}_I{frame:05d}",
        f"a/set{number:02d}_V{video:03d}_{frame}.png",
        f"set{number:02d}/V{video:03d}.seq/I{frame:05d}.jpg",
    ]
    assert {frame_of(name) for name in names} == {(f"set{number:02d}", f"v{video:03d}", frame)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return film(tmp_path_factory.mktemp("whole")).read_bytes()


@pytest.mark.filterwarnings("ignore::keras_hkd.data.DataWarning")
@settings(max_examples=100)
@given(data=st.data())
def test_damaged_files_are_read_or_refused(data, whole, tmp_path_factory):
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        content[start : start + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    path = tmp_path_factory.mktemp("damaged") / "set00" / "V000.vbb"
    path.parent.mkdir()
    path.write_bytes(content)
    try:
        dataset = load_boxes(path, on_bad_data="skip")
    except BadDataError:
        return
    assert all(np.isfinite(one.boxes).all() for one in dataset)
