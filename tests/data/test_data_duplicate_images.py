"""Pictures that are there twice: the same bytes, stored anew, resized, turned; and others."""

import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from keras_hkd.data import (
    Dataset,
    ImageAnnotation,
    find_duplicates,
    find_shared,
    load_dataset,
    synthetic_dataset,
)
from keras_hkd.data.duplicate_images import _near_groups, difference_hash
from keras_hkd.data.image_files import small_grey


def scene(number, size=(120, 160)):
    return Image.fromarray(synthetic_dataset(number + 1, size, seed=3).load_image(number))


def dataset(paths, boxes=None):
    images = []
    for number, path in enumerate(paths):
        with Image.open(path) as picture:
            size = picture.size
        its = [] if boxes is None else boxes[number]
        images.append(ImageAnnotation(str(path), number, *size, its, [0] * len(its)))
    return Dataset(images, ("person",), "here", "none")


@pytest.fixture
def pictures(tmp_path):
    """Two scenes; copies of the first: the file, stored anew, half as large, turned by EXIF."""
    paths = [tmp_path / name for name in ("a.png", "b.png", "copy.png", "anew.jpg", "half.png")]
    first, second = scene(0), scene(1)
    first.save(paths[0])
    second.save(paths[1])
    shutil.copy(paths[0], paths[2])
    first.save(paths[3], quality=70)
    first.resize((80, 60)).save(paths[4])
    return paths


def test_copies_are_found_and_others_are_not(pictures):
    groups = find_duplicates(dataset(pictures))
    assert [(one.images, one.identical) for one in groups] == [
        ((0, 2), True),
        ((0, 2, 3, 4), False),
    ]
    (only,) = find_duplicates(dataset([pictures[0], pictures[2], pictures[1]]))
    assert only.images == (0, 1) and only.identical  # not told again as near-duplicates
    assert find_duplicates(dataset(pictures[:2])) == []


def test_a_picture_that_is_turned_by_its_tag_is_the_upright_one(tmp_path):
    upright = scene(0)
    upright.save(tmp_path / "upright.jpg", quality=95)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to view it
    upright.rotate(90, expand=True).save(tmp_path / "turned.jpg", quality=95, exif=exif)
    (group,) = find_duplicates(dataset([tmp_path / "upright.jpg", tmp_path / "turned.jpg"]))
    assert group.images == (0, 1) and not group.identical


def test_labels_of_copies_are_compared(pictures):
    box, other = [10, 10, 40, 80], [10, 10, 40, 110]
    paths = [pictures[0], pictures[2]]
    (group,) = find_duplicates(dataset(paths, [[box], [box]]))
    assert group.same_labels
    (group,) = find_duplicates(dataset(paths, [[box], [other]]))
    assert not group.same_labels
    halved = [value / 2 for value in box]
    (group,) = find_duplicates(dataset([pictures[0], pictures[4]], [[box], [halved]]))
    assert group.same_labels  # as shares of the picture


def test_drawn_scenes_are_compared_by_their_pixels():
    once = synthetic_dataset(2, (64, 64), seed=1)
    twice = Dataset.merge([once, synthetic_dataset(2, (64, 64), seed=1)])
    groups = find_duplicates(twice)
    assert [(one.images, one.identical) for one in groups] == [((0, 2), True), ((1, 3), True)]


@pytest.mark.parametrize("bits", [-1, 129, 2.5, True])
def test_wrong_bits_are_refused(bits):
    with pytest.raises(ValueError, match="at least 0 and at most 128"):
        find_duplicates(synthetic_dataset(1, (64, 64), seed=1), bits)


def test_the_hash_by_hand():
    rising = np.tile(np.arange(9, dtype=np.uint8) * 20, (9, 1))
    assert difference_hash(Image.fromarray(rising)).tolist() == [2**64 - 1, 0]
    assert difference_hash(Image.fromarray(rising[:, ::-1])).tolist() == [0, 0]
    one = np.zeros((9, 9), np.uint8)
    one[4, 4] = 200  # one step up and one down in its row, and in its column
    assert np.bitwise_count(difference_hash(Image.fromarray(one))).tolist() == [1, 1]


HASHES = st.lists(
    st.tuples(
        st.sampled_from([0, 2**64 - 1, 0xFF00FF00FF00FF00]), st.integers(0, 2**64 - 1)
    ).flatmap(
        lambda pair: st.tuples(*(st.just(n) | st.just(n ^ 7) | st.just(n ^ 56) for n in pair))
    ),
    max_size=80,
)


@given(rows=HASHES | st.lists(st.tuples(*[st.integers(0, 2**64 - 1)] * 2)), near=st.integers(0, 60))
def test_groups_reach_through_links(rows, near):
    """Against Warshall's closure of the relation, with the bits counted by Python."""
    count = len(rows)
    reached = np.eye(count, dtype=bool)
    for i in range(count):
        for j in range(i):
            bits = sum((a ^ b).bit_count() for a, b in zip(rows[i], rows[j], strict=True))
            reached[i, j] = reached[j, i] = bits <= near
    for middle in range(count):
        reached |= np.outer(reached[:, middle], reached[middle])
    expected = {tuple(np.flatnonzero(row).tolist()) for row in reached if row.sum() > 1}
    found = _near_groups(np.array(rows, np.uint64).reshape(-1, 2), near)
    assert {tuple(group) for group in found} == expected and len(found) == len(expected)


def test_a_jpeg_is_decoded_small_and_other_pictures_whole(tmp_path):
    large = scene(0, (480, 640))
    large.save(tmp_path / "a.jpg")
    large.save(tmp_path / "a.png")
    small = small_grey(tmp_path / "a.jpg")
    assert small.dtype == np.uint8 and 64 <= min(small.shape) < 130
    assert small_grey(tmp_path / "a.png").shape == (480, 640)


def test_photographs_are_all_different_and_their_copies_are_found(shared_dir, tmp_path):
    photos = load_dataset(f"{shared_dir / 'data' / 'coco_person'}:test", check_images=False)
    paths = [one.image_path for one in photos]
    assert find_duplicates(dataset(paths)) == []
    for number in range(5):
        with Image.open(paths[number]) as photo:
            half = photo.convert("RGB").resize((photo.width // 2, photo.height // 2))
        half.save(tmp_path / f"{number}.jpg", quality=60)
        paths.append(tmp_path / f"{number}.jpg")
    groups = find_duplicates(dataset(paths))
    assert [one.images for one in groups] == [(i, len(photos) + i) for i in range(5)]


def test_pictures_of_one_dataset_in_another():
    scenes = synthetic_dataset(6, (64, 64), seed=0)
    other = synthetic_dataset(4, (64, 64), seed=1)
    test = Dataset.merge([other.select([0]), scenes.select([5, 2]), other.select([3])])
    assert find_shared(scenes, test) == [(5, 1, True), (2, 2, True)]
    assert find_shared(other, scenes) == []
    with pytest.raises(ValueError, match="`near_bits` must be"):
        find_shared(scenes, test, near_bits=129)
