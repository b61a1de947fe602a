"""Files as tensors: nothing is copied, and positions beyond 4 GiB are right."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

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


def test_it_is_read_in_a_graph_too(tmp_path):
    path, numbers = tmp_path / "numbers.bin", np.arange(6, dtype="<u2").reshape(3, 2)
    path.write_bytes(numbers.tobytes())
    found = tf.function(lambda: mapped_file(path, tf.uint16, (3, 2))[1])()
    assert found.numpy().tolist() == [2, 3]
