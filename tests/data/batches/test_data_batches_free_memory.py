"""Free memory: the machine's, and what control groups of both versions leave of it."""

import pytest

from keras_hkd.data.batches.free_memory import available_memory_bytes


@pytest.fixture
def write(tmp_path):
    def written(path, text):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(str(text))

    written("proc/meminfo", "MemTotal:  100 kB\nMemAvailable:  50 kB\n")
    return written


def test_without_a_container_it_is_the_machine_s(write, tmp_path):
    assert available_memory_bytes(tmp_path) == 50 * 1024
    assert available_memory_bytes(tmp_path / "nowhere") is None
    assert available_memory_bytes() > 2**20


@pytest.mark.parametrize(
    ("top", "line", "limit", "used", "droppable", "none"),
    [
        ("sys/fs/cgroup", "0::/a/b", "memory.max", "memory.current", "inactive_file", "max"),
        (
            *("sys/fs/cgroup/memory", "7:cpu,memory:/a/b", "memory.limit_in_bytes"),
            *("memory.usage_in_bytes", "total_inactive_file", 0x7FFFFFFFFFFFF000),
        ),
    ],
)
def test_the_tightest_group_counts(write, tmp_path, top, line, limit, used, droppable, none):
    write("proc/self/cgroup", f"3:cpuset:/c\n{line}\n")
    for folder, limit_bytes, used_bytes in (("", none, 9), ("/a", 9000, 4000), ("/a/b", none, 1)):
        write(f"{top}{folder}/{limit}", limit_bytes)
        write(f"{top}{folder}/{used}", used_bytes)
    assert available_memory_bytes(tmp_path) == 5000
    write(f"{top}/a/memory.stat", f"anon 5\n{droppable} 700\nfile 3000\n")
    assert available_memory_bytes(tmp_path) == 5700
    write(f"{top}/{limit}", 1000)  # the container's own, where its path is the host's
    write(f"{top}/{used}", 2000)
    assert available_memory_bytes(tmp_path) == 0
