import sys

import numpy as np
import pytest

import keras_hkd.teacher_cache.shards as shards_module
from keras_hkd.teacher_cache.shards import Shards, rows_per_shard

ROWS = np.random.default_rng(0).integers(0, 65536, (10, 6)).astype("<u2")


@pytest.fixture(params=[3, 10, 1])
def shards(tmp_path, request):
    made = Shards(tmp_path, "key", num_rows=10, row_bytes=12, shard_rows=request.param)
    for number in range(made.count):
        rows = made.rows_of(number)
        made.write(number, ROWS[rows.start : rows.stop])
    return made


def test_rows_come_back_in_the_order_asked(shards):
    asked = [9, 0, 3, 3, 7, 2]
    assert [shards.row(number).tolist() for number in asked] == ROWS[asked].tolist()
    assert shards.missing() == []
    assert sum(path.stat().st_size for path in shards.folder.iterdir()) == shards.num_bytes


def test_mapped_files_are_given_back_after_so_many_bytes(shards, monkeypatch):
    monkeypatch.setattr(shards_module, "RESIDENT_BYTES", 4 * shards.row_bytes)
    most, kept = 0, shards.row(1)
    for number in [*range(10)] * 3:
        assert shards.row(number).tolist() == ROWS[number].tolist()
        most = max(most, len(shards._maps))
    assert most <= 4
    assert kept.tolist() == ROWS[1].tolist()


def test_a_shard_that_was_written_anew_is_read_anew(shards):
    assert shards.row(0).tolist() == ROWS[0].tolist()
    rows = shards.rows_of(0)
    shards.write(0, ROWS[rows.start : rows.stop] ^ 1)
    assert shards.row(0).tolist() == (ROWS[0] ^ 1).tolist()


def _flip(path):
    content = bytearray(path.read_bytes())
    content[5] ^= 1
    path.write_bytes(content)


def _shorten(path):
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [_flip, _shorten, lambda path: path.unlink()])
def test_damage_is_found(tmp_path, damage):
    made = Shards(tmp_path, "key", num_rows=10, row_bytes=12, shard_rows=5)
    for number in range(2):
        made.write(number, ROWS[5 * number : 5 * number + 5])
    damage(made.path(1))
    assert made.missing() == [1]


def test_shards_of_another_cache_or_another_place_do_not_pass(tmp_path):
    one = Shards(tmp_path, "key", num_rows=10, row_bytes=12, shard_rows=5)
    one.write(0, ROWS[:5])
    other = Shards(tmp_path, "other key", num_rows=10, row_bytes=12, shard_rows=5)
    assert not other.is_whole(0)
    one.path(0).rename(one.path(1))
    assert not one.is_whole(1)


def test_a_shard_of_another_length_is_refused(tmp_path):
    made = Shards(tmp_path, "key", num_rows=10, row_bytes=12, shard_rows=5)
    with pytest.raises(ValueError, match="5 rows of 12 bytes"):
        made.write(0, ROWS[:4])


def test_there_are_at_most_64_shards():
    for num_rows, row_bytes in ((1, 2), (117_000, 4_400_000), (10**6, 100_000)):
        rows = rows_per_shard(num_rows, row_bytes)
        assert 1 <= -(-num_rows // rows) <= 64


READ_ALL = """
import pathlib, re, sys
import numpy as np
from keras_hkd.teacher_cache.shards import Shards

shards = Shards(pathlib.Path(sys.argv[1]), "key", num_rows=128, row_bytes=2**20, shard_rows=32)
for number in range(shards.count):
    shards.write(number, np.full((32, 2**19), number, np.uint16))


def own_megabytes():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"RssAnon:\\s+(\\d+)", status)[1]) / 1024


before = own_megabytes()
means = [int(shards.row(number).mean(dtype=float)) for number in range(128)]
assert means == [number // 32 for number in range(128)]
print(own_megabytes() - before)
"""


@pytest.mark.own_process
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_files_are_mapped_not_copied_into_memory(fresh_python, tmp_path):
    """The 128 MB of four shards."""
    assert float(fresh_python(READ_ALL, tmp_path)) < 64
