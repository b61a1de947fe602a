"""Images decoded once: layout on canvases, checks, and the memory guard."""

import numpy as np
import pytest
from PIL import Image

from keras_hkd.data.annotations import BadDataError, ImageAnnotation
from keras_hkd.data.batches import free_memory, image_cache
from keras_hkd.data.batches.image_cache import Canvases, decode_all, half_size_of, load_checked
from keras_hkd.data.dataset import Dataset


@pytest.fixture
def dataset(tmp_path):
    rows = []
    for index, size in enumerate([(30, 40), (100, 20), (8, 8)]):
        path = tmp_path / f"{index}.png"
        Image.new("RGB", size[::-1], (50 * index, 10, 20)).save(path)
        rows.append(ImageAnnotation(str(path), index, size[1], size[0], boxes=[], classes=[]))
    return Dataset(rows, ("person",), str(tmp_path), "none")


def test_canvases_shrink_large_pictures_and_never_enlarge_small_ones(dataset):
    canvases = Canvases.plan(dataset, (50, 30))
    np.testing.assert_allclose(canvases.scales, [0.75, 0.5, 1.0])
    assert canvases.content_sizes.tolist() == [[23, 30], [50, 10], [8, 8]]
    assert canvases.source_sizes.tolist() == [[30, 40], [100, 20], [8, 8]]
    assert canvases.size == (50, 30)


def test_canvases_are_even_and_no_larger_than_needed(dataset):
    assert Canvases.plan(dataset.select([2]), (500, 500)).size == (8, 8)
    assert Canvases.plan(dataset.select([0]), (15, 900)).size == (16, 20)


def test_pictures_lie_top_left_on_grey(dataset):
    pixels, halves = decode_all(dataset, Canvases.plan(dataset, (50, 30)), half_size=True)
    assert pixels.shape == (3, 50, 30, 3) and halves.shape == (3, 25, 15, 3)
    assert (pixels[1, :, :10] == (50, 10, 20)).all() and (pixels[1, :, 10:] == 114).all()
    assert (pixels[2, :8, :8] == (100, 10, 20)).all()
    assert (halves[2, :4, :4] == (100, 10, 20)).all() and (halves[2, 4:] == 114).all()
    assert decode_all(dataset, Canvases.plan(dataset, (50, 30)))[1] is None


def test_half_size_is_the_mean_of_four_pixels():
    image = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
    blocks = image.reshape(3, 2, 4, 2, 3).astype(int).sum(axis=(1, 3))
    assert np.abs(half_size_of(image) - blocks / 4).max() <= 0.5


def test_damaged_and_misannotated_files_are_named(dataset, tmp_path):
    wrong = ImageAnnotation(dataset[0].image_path, 7, 41, 30, boxes=[], classes=[])
    with pytest.raises(BadDataError, match=r"0\.png: image 7: .*\(30, 41, 3\).*\(30, 40, 3\)"):
        load_checked(Dataset([wrong], ("person",), "", ""), 0)
    (tmp_path / "1.png").write_bytes(b"nonsense")
    with pytest.raises(BadDataError, match=r"1\.png: image 1"):
        decode_all(dataset, Canvases.plan(dataset, (50, 30)))


def test_more_images_than_memory_are_refused(dataset, monkeypatch):
    monkeypatch.setattr(free_memory, "available_memory_bytes", lambda: 1000)
    with pytest.raises(MemoryError, match="cache='auto'"):
        decode_all(dataset, Canvases.plan(dataset, (50, 30)))
    monkeypatch.setattr(free_memory, "available_memory_bytes", lambda: None)
    decode_all(dataset, Canvases.plan(dataset, (50, 30)))


def test_progress_is_shown_for_many_images(dataset, monkeypatch, capsys):
    monkeypatch.setattr(image_cache, "FEW_IMAGES", 2)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    pixels, _ = decode_all(dataset, Canvases.plan(dataset, (50, 30)))
    streams = capsys.readouterr()
    assert len(pixels) == 3 and "3/3" in streams.err and not streams.out
