"""Passes in parts: shares cover all parts once, and only whole parts of the same pass count."""

import json
import os

import pytest

from keras_hkd.json_files import write_json
from keras_hkd.parts import DifferentPassError, Parts, Shard


def parts_of(folder, num_items=23, batch_size=2, **facts):
    return Parts(folder, {"model": "a", **facts}, num_items, batch_size)


def fill(parts, shard=None):
    parts.begin()
    for number in parts.missing(shard):
        parts.write(number, {"rows": [{"i": i, "é": i / 3} for i in parts.items(number) if i % 5]})


@pytest.mark.parametrize(("count", "parts"), [(1, 7), (3, 7), (7, 7), (9, 7), (4, 0)])
def test_shards_cover_every_part_once(count, parts):
    shares = [Shard(number, count).of(parts) for number in range(1, count + 1)]
    assert [part for share in shares for part in share] == list(range(parts))
    lengths = [len(share) for share in shares]
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0", "-1/4", ""])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(ValueError, match="I-th of N shares"):
        Shard.parse(text)


def test_shards_are_written_as_they_are_read():
    assert Shard.parse(" 2/ 8") == Shard(2, 8) and str(Shard(2, 8)) == "2/8"
    assert Shard.parse(None) is None


@pytest.mark.parametrize(("num_items", "batch_size"), [(1, 8), (23, 2), (1000, 3), (300_000, 8)])
def test_parts_are_whole_batches_and_neither_many_nor_long(tmp_path, num_items, batch_size):
    parts = parts_of(tmp_path, num_items, batch_size)
    items = [parts.items(number) for number in range(parts.count)]
    assert [one.start for one in items] == [0, *(one.stop for one in items[:-1])]
    assert items[-1].stop == num_items
    assert not any(one.start % batch_size for one in items)
    assert len(items) <= 64 or len(items[0]) == 128 * batch_size


def test_joined_parts_are_the_list_byte_for_byte(tmp_path):
    parts = parts_of(tmp_path / "parts")
    for number in (3, 1, 2):
        fill(parts, Shard(number, 3))
    assert parts.join("rows", tmp_path / "joined.json") == 18
    rows = [{"i": i, "é": i / 3} for i in range(23) if i % 5]
    write_json(tmp_path / "whole.json", rows, indent=None)
    assert (tmp_path / "joined.json").read_bytes() == (tmp_path / "whole.json").read_bytes()


def test_only_what_is_missing_or_damaged_is_done_again(tmp_path):
    parts = parts_of(tmp_path)
    fill(parts)
    assert parts.missing() == []
    parts.path(2).write_text(parts.path(2).read_text()[:-9])
    changed = json.loads(parts.path(4).read_text())
    changed["content"]["rows"][0]["i"] = 77
    parts.path(4).write_text(json.dumps(changed))
    parts.path(7).unlink()
    assert parts.missing() == [2, 4, 7]
    assert parts.missing(Shard(1, 2)) == [2, 4]
    with pytest.raises(ValueError, match=r"part-000002\.json is missing or damaged"):
        parts.join("rows", tmp_path / "joined.json")
    assert not (tmp_path / "joined.json").exists()


def test_parts_of_another_pass_are_refused_and_never_counted(tmp_path):
    fill(parts_of(tmp_path))
    with pytest.raises(DifferentPassError, match="model was 'a' and is now 'b'"):
        parts_of(tmp_path, model="b").begin()
    with pytest.raises(DifferentPassError, match="num_items was 23 and is now 24"):
        parts_of(tmp_path, num_items=24).begin()
    assert len(parts_of(tmp_path, model="b").missing()) == parts_of(tmp_path).count


def test_a_folder_of_others_is_refused_and_an_empty_one_or_one_just_begun_is_not(tmp_path):
    (tmp_path / "my_work.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"no pass\.json.*Received: my_work\.txt$"):
        parts_of(tmp_path).begin()
    assert os.listdir(tmp_path) == ["my_work.txt"]
    (tmp_path / "empty").mkdir()
    parts_of(tmp_path / "empty").begin()
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / ".partial-7.pass.json").write_text("{")  # by another process
    parts_of(tmp_path / "begun").begin()
    assert Parts.are_in(tmp_path / "begun") and not Parts.are_in(tmp_path)


def test_parts_are_removed_and_nothing_else(tmp_path):
    for name in ("alone", "shared"):
        fill(parts_of(tmp_path / name))
    (tmp_path / "alone" / ".partial-7.part-000001.json").write_text("{")
    (tmp_path / "shared" / "my_work.txt").write_text("mine")
    for name in ("alone", "shared", "absent"):
        parts_of(tmp_path / name).remove()
    assert os.listdir(tmp_path) == ["shared"]
    assert os.listdir(tmp_path / "shared") == ["my_work.txt"]
