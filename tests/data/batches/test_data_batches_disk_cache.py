"""Pictures on disk: those of memory, made once, mended, and gone on with after a kill."""

import dataclasses
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_hkd.data import load_unlabelled
from keras_hkd.data.annotations import BadDataError, ImageAnnotation
from keras_hkd.data.batches import disk_cache
from keras_hkd.data.batches.disk_cache import DiskCache
from keras_hkd.data.batches.image_cache import Canvases, decode_all
from keras_hkd.data.batches.mapped_file import mapped_file
from keras_hkd.data.dataset import Dataset

BLOCK = 4


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(disk_cache, "BLOCK_IMAGES", BLOCK)


@pytest.fixture
def dataset(tmp_path):
    rng, rows = np.random.default_rng(0), []
    for index in range(11):
        path, size = tmp_path / f"{index}.png", (20 + index, 30)
        Image.fromarray(rng.integers(0, 255, (*size, 3), np.uint8)).save(path)
        rows.append(ImageAnnotation(str(path), index, size[1], size[0], boxes=[], classes=[]))
    return Dataset(rows, ("person",), str(tmp_path), "none")


@pytest.fixture
def cache(dataset, tmp_path):
    return cache_of(dataset, tmp_path)


def cache_of(dataset, tmp_path):
    return DiskCache(dataset, Canvases.plan(dataset, (24, 32)), tmp_path / "cache")


@pytest.fixture
def drawn(monkeypatch):
    """List the images that are decoded."""
    numbers, draw = [], Canvases.draw

    def counted(self, image, index, antialias=True):
        numbers.append(index)
        return draw(self, image, index, antialias)

    monkeypatch.setattr(Canvases, "draw", counted)
    return numbers


def assert_right(cache):
    pictures, expected = cache.open(), decode_all(cache.dataset, cache.canvases, half_size=True)
    np.testing.assert_array_equal(pictures.full.numpy(), expected[0])
    np.testing.assert_array_equal(pictures.half.numpy(), expected[1])


def test_it_holds_what_memory_holds_and_is_made_once(cache, drawn):
    assert_right(cache)
    assert sorted(os.listdir(cache.folder)) == [
        *(".lock", "facts.json", "halves.bin", "pictures.bin")
    ]
    assert cache.num_bytes == 11 * (24 * 30 + 12 * 15) * 3
    del drawn[:]
    cache.open()
    assert not drawn


def test_other_images_sizes_and_changed_files_are_other_caches(cache, dataset, tmp_path):
    fewer = cache_of(dataset.select(range(10)), tmp_path)
    smaller = DiskCache(dataset, Canvases.plan(dataset, (16, 16)), tmp_path / "cache")
    os.utime(dataset[3].image_path, (1, 1))
    changed = cache_of(dataset, tmp_path)
    assert len({one.folder for one in (cache, fewer, smaller, changed)}) == 4
    assert cache_of(dataset, tmp_path).folder == changed.folder


@pytest.mark.parametrize("name", ["pictures.bin", "halves.bin"])
def test_a_damaged_block_alone_is_made_anew(cache, drawn, name):
    cache.open()
    path = cache.folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    del drawn[:]
    cache.open()
    assert sorted(drawn) == [4, 5, 6, 7]
    assert_right(cache)


@pytest.mark.parametrize("name", ["pictures.bin", "halves.bin", "facts.json"])
def test_a_missing_or_short_file_is_made_anew(cache, name):
    cache.open()
    (cache.folder / name).write_bytes((cache.folder / name).read_bytes()[:50])
    assert_right(cache)
    (cache.folder / name).unlink()
    assert_right(cache)


def test_of_a_large_cache_a_sample_of_blocks_is_checked(cache, monkeypatch):
    cache.open()
    monkeypatch.setattr(disk_cache, "CHECKED_BYTES", 1)
    read, digest = [], DiskCache._digest
    monkeypatch.setattr(DiskCache, "_digest", lambda s, p, n: read.append(n) or digest(s, p, n))
    cache.open()
    assert read == [0, 2]


def test_a_bad_image_is_named_and_the_rest_is_kept(cache, dataset, drawn):
    good = open(dataset[9].image_path, "rb").read()
    times = os.stat(dataset[9].image_path)
    with open(dataset[9].image_path, "r+b") as file:
        file.truncate(60)
    with pytest.raises(BadDataError, match=r"9\.png"):
        cache.open()
    with open(dataset[9].image_path, "wb") as file:
        file.write(good)
    os.utime(dataset[9].image_path, ns=(times.st_atime_ns, times.st_mtime_ns))
    done = set(disk_cache._read_journal(cache.folder / "unfinished.journal"))
    del drawn[:]
    cache.open()
    assert sorted(drawn) == [index for index in range(11) if index // BLOCK not in done]
    assert_right(cache)


def test_drawn_images_are_refused(dataset, tmp_path):
    @dataclasses.dataclass(frozen=True, eq=False)
    class Drawn(Dataset):
        def load_image(self, index):
            return np.zeros((20, 30, 3), np.uint8)

    drawn = Drawn(dataset.annotations, ("person",), "drawn", "none")
    with pytest.raises(ValueError, match="cache='disk' keeps .*'drawn'"):
        cache_of(drawn, tmp_path)


def test_pages_that_were_read_are_given_back(tmp_path, monkeypatch):
    """Of 32 MiB that are read through in batches, less than half stays mapped."""
    path, shape = tmp_path / "pictures.bin", (64, 256, 683, 3)
    with open(path, "wb") as file:
        file.write(b"\x07" * (64 * 256 * 683 * 3))
    full = mapped_file(path, tf.uint8, shape)
    pictures = disk_cache.MappedPictures(full, full[:, :1], image_bytes=256 * 683 * 3)
    pictures._views = pictures._views[:1]

    def resident_kib():
        with open("/proc/self/smaps", encoding="utf-8") as lines:
            inside = False
            for line in lines:
                inside = str(path) in line if "-" in line.split()[0] else inside
                if inside and line.startswith("Rss:"):
                    return int(line.split()[1])
        return 0

    if not os.path.exists("/proc/self/smaps"):
        pytest.skip("only Linux says how much of a file is mapped")
    batches = tf.data.Dataset.range(64).batch(4).map(lambda i: tf.reduce_sum(
        tf.cast(tf.gather(full, i), tf.int32), axis=(1, 2, 3)))  # fmt: skip
    for _ in batches:
        pass
    assert resident_kib() > 30_000
    monkeypatch.setattr(disk_cache, "RESIDENT_BYTES", 8 * 2**20)
    sums = np.concatenate([found.numpy() for found in pictures.bounded(batches, 4)])
    assert resident_kib() < 16_000
    assert sums.tolist() == [7 * 256 * 683 * 3] * 64


SCRIPT = """
import sys, time
from keras_hkd.data import load_unlabelled
from keras_hkd.data.batches import disk_cache, image_cache
disk_cache.BLOCK_IMAGES = 4
image_cache.usable_cores = lambda: 1
draw = image_cache.Canvases.draw
def slow(self, image, index, antialias=True):
    time.sleep(0.15)
    return draw(self, image, index, antialias)
image_cache.Canvases.draw = slow
dataset = load_unlabelled(sys.argv[1])
canvases = image_cache.Canvases.plan(dataset, (24, 32))
disk_cache.DiskCache(dataset, canvases, disk_cache.Path(sys.argv[2])).open()
"""


@pytest.mark.own_process
def test_a_killed_build_goes_on(tmp_path, drawn):
    (tmp_path / "data").mkdir()
    for index in range(24):
        picture = Image.new("RGB", (30, 20 + index), (index, 10 * index, 7))
        picture.save(tmp_path / "data" / f"{index:02}.png")
    dataset = load_unlabelled(tmp_path / "data")
    cache = cache_of(dataset, tmp_path)
    words = [sys.executable, "-c", SCRIPT, str(tmp_path / "data"), str(tmp_path / "cache")]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    journal, deadline = cache.folder / "unfinished.journal", time.monotonic() + 240
    while len(disk_cache._read_journal(journal)) < 2 and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = disk_cache._read_journal(journal)
    assert 2 <= len(done) < 6 and not (cache.folder / "facts.json").exists()
    del drawn[:]
    cache.open()
    assert sorted(drawn) == list(range(4 * len(done), 24))
    assert_right(cache)
