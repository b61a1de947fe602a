"""Files as tensors: nothing is copied, and positions beyond 4 GiB are right."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from keras_hkd.data.batches.disk_cache import MappedPictures
from keras_hkd.data.batches.mapped_file import mapped_file


def resident_bytes():
    status = pathlib.Path("/proc/self/status")
    if not status.exists():
        pytest.skip("only Linux says how much memory is resident")
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def test_a_file_of_more_than_four_gib_is_read_to_its_end_and_never_copied(tmp_path):
    path, shape = tmp_path / "pictures.bin", (11_000, 384, 384, 3)
    with open(path, "wb") as file:  # sparse: the disk holds the last image alone
        file.seek((shape[0] - 1) * 384 * 384 * 3)
        file.write(b"\x07" * (384 * 384 * 3))
    before = resident_bytes()
    full = mapped_file(path, tf.uint8, shape)
    crops = tf.image.crop_and_resize(full, [[0.0, 0.0, 1.0, 1.0]] * 2, [10_999, 0], (8, 8))
    assert crops.numpy()[0].min() == 7 and not crops.numpy()[1].any()
    assert resident_bytes() - before < 500e6


def test_a_pipeline_of_pictures_beyond_memory_never_copies_them(tmp_path):
    """What tf.data does of itself, rewriting the pipeline when its iterator is made, would."""
    path, shape = tmp_path / "pictures.bin", (7_000, 384, 384, 3)
    with open(path, "wb") as file:
        file.truncate(7_000 * 384 * 384 * 3)
    full = mapped_file(path, tf.uint8, shape)
    pictures = MappedPictures(full, full, image_bytes=384 * 384 * 3)
    batches = tf.data.Dataset.range(7_000).batch(2).map(lambda i: tf.gather(full, i))
    before = resident_bytes()
    for batch in pictures.bounded(batches, 2).take(2).prefetch(1):
        assert not batch.numpy().any()
    assert resident_bytes() - before < 500e6


def test_it_is_read_in_a_graph_too(tmp_path):
    path, numbers = tmp_path / "numbers.bin", np.arange(6, dtype="<u2").reshape(3, 2)
    path.write_bytes(numbers.tobytes())
    found = tf.function(lambda: mapped_file(path, tf.uint16, (3, 2))[1])()
    assert found.numpy().tolist() == [2, 3]
