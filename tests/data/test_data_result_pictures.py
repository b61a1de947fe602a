"""Results find their pictures by id, file name or stem, and what contradicts is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_hkd.data.result_pictures import UNKNOWN, ResultPictures

NUMBERED = ([1, 2, 3], ["000003.jpg", "000001.jpg", "000002.jpg"])
FOLDERS = ([1, 2], ["day/x 1.png", "night/x 1.png"])
STEMS = (["a", "b"], ["a.jpg", "b.jpg"])


def positions(pictures, ids, names=None, **options):
    names = [None] * len(ids) if names is None else names
    return ResultPictures(*pictures).positions(ids, names, **options).tolist()


CASES = [
    # pictures, ids of results, file names of results, positions
    (NUMBERED, [1, 3, 2], None, [0, 2, 1]),
    (NUMBERED, [1.0, 3.0], None, [0, 2]),
    (NUMBERED, ["000003", "000001"], None, [0, 1]),
    (NUMBERED, ["000003.jpg"], None, [0]),
    (NUMBERED, [3, 1, 2], ["000003.jpg", "000001.jpg", "000002.jpg"], [0, 1, 2]),
    (NUMBERED, [99, 98], ["000001.jpg", "images/000002.jpg"], [1, 2]),
    (NUMBERED, [99, 98], ["000001.png", "000002"], [1, 2]),
    (([7, 8], ["000139.jpg", "000285.jpg"]), [139, 285], None, [0, 1]),
    (FOLDERS, ["night/x 1", "day/x 1"], ["x 1.png", "x 1.png"], [1, 0]),
    (FOLDERS, ["night/x 1.png"], None, [1]),
    (FOLDERS, [9, 9], ["night\\x 1.png", "./day/x 1.png"], [1, 0]),
    (STEMS, ["b", "a", "b"], None, [1, 0, 1]),
    (STEMS, ["b"], ["b.jpg"], [1]),
    ((["1", "2"], ["a.jpg", "b.jpg"]), [2, 1], None, [1, 0]),
    (([1, 2], ["", ""]), ["2"], None, [1]),
    (([1, 2], ["", ""]), [2], ["whatever.jpg"], [1]),
    (STEMS, [], None, []),
]


@pytest.mark.parametrize("pictures, ids, names, expected", CASES)
def test_pictures_are_found(pictures, ids, names, expected):
    assert positions(pictures, ids, names) == expected


@pytest.mark.parametrize(
    "pictures, ids, names, message",
    [
        (NUMBERED, [1, 9], None, "detection number 2: .*no image with id 9; its 3 ids begin with"),
        (STEMS, ["c"], ["c.jpg"], r"no image with id 'c' and none called 'c.jpg'"),
        (NUMBERED, [[1]], None, r"no image with id \\[1\\]"),
        (FOLDERS, ["x 1"], None, "no image with id 'x 1'"),  # two have that name
        (
            NUMBERED,
            [1, 2],
            [None, "000003.jpg"],
            "image_id 2 is that of '000001.jpg': .* '000003",
        ),
        # What was found in two pictures is not that of one.
        (
            STEMS,
            ["x", "y", "z"],
            ["a.jpg", "a.jpg", "b.jpg"],
            "'a.jpg' fits the results with image_id 'x' and file_name 'a.jpg' and those .* 'y'",
        ),
        (NUMBERED, [9, 8], ["day/000001.jpg", "night/000001.jpg"], "fits the results with .* 'day"),
        (NUMBERED, [1], ["other.jpg"], "image_id 1 is that of '000003.jpg': .* 'other.jpg'"),
        (([1, 7], ["7.jpg", "1.jpg"]), ["7"], None, "'7' may be the id of '1.jpg' or the name of"),
    ],
)
def test_what_cannot_be_or_is_contradictory_is_refused(pictures, ids, names, message):
    with pytest.raises(ValueError, match=message.replace("\\\\", "\\")):
        positions(pictures, ids, names)


def test_results_of_other_images_can_be_skipped():
    assert positions(NUMBERED, [1, 9, 2], unknown="skip") == [0, UNKNOWN, 1]
    assert positions(STEMS, ["c"], unknown="skip") == [UNKNOWN]


ids = st.lists(
    st.integers(0, 30) | st.text("ab01/", min_size=1, max_size=3), unique=True, max_size=6
)


@given(ids, st.data())
def test_own_ids_are_always_found(image_ids, data):
    """Whatever the files are called, results with the ids of the ground truth go by these."""
    names = [f"{name}.jpg" for name in data.draw(st.permutations([str(i) for i in image_ids]))]
    order = data.draw(st.permutations(range(len(image_ids))))
    assert positions((image_ids, names), [image_ids[i] for i in order]) == list(order)


def test_pictures_of_one_name_are_told_apart_by_their_ids():
    pictures = ([1, 2], ["images/x.jpg", "images/y.jpg"])
    ids, names = ["images/x", "thumbs/x", "images/y"], ["x.jpg", "x.jpg", "y.jpg"]
    assert positions(pictures, ids, names, unknown="skip") == [0, UNKNOWN, 1]
    with pytest.raises(ValueError, match="'thumbs/x'"):
        positions(pictures, ids, names)
