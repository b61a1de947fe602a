"""The choice of where decoded pictures are kept."""

import collections

import pytest

from keras_hkd.data.batches import cache_mode, free_memory

GIB = 2**30


@pytest.mark.parametrize(
    ("memory", "disk", "expected"),
    [(None, 0, "memory"), (27, 0, "memory"), (26, 12, "disk"), (26, 10.9, "none")],
)
def test_auto_takes_what_fits(monkeypatch, tmp_path, memory, disk, expected):
    """Ten GiB need twice as much while they are loaded, and memory is filled to three quarters."""
    free = None if memory is None else memory * GIB
    monkeypatch.setattr(free_memory, "available_memory_bytes", lambda: free)
    usage = collections.namedtuple("usage", "free")(disk * GIB)
    monkeypatch.setattr(cache_mode.shutil, "disk_usage", lambda path: usage)
    chosen = cache_mode.choose_mode(10 * GIB, tmp_path / "not" / "there")
    assert chosen == expected
    assert cache_mode.choose_mode(10 * GIB, None) == ("none" if memory == 26 else "memory")
    if expected == "none":
        assert cache_mode.choose_mode(10 * GIB, tmp_path, held_bytes=GIB) == "disk"
        with pytest.raises(ValueError, match=r"10.0 GiB .* lacks 0.1 GiB .*--cache-folder"):
            cache_mode.require_disk(10 * GIB, tmp_path)
        with pytest.raises(MemoryError, match=r"20.0 GiB .* of 19.0 GiB .*--cache auto"):
            monkeypatch.setattr(free_memory, "available_memory_bytes", lambda: 19 * GIB)
            cache_mode.require_memory(10 * GIB)


def test_words_and_the_booleans_of_old():
    words = [cache_mode.checked_mode("cache", word) for word in (True, False, "auto", "disk")]
    assert words == ["memory", "none", "auto", "disk"]
    for wrong in ("ram", None, 1):
        with pytest.raises(ValueError, match="`cache` must be one of 'auto', 'memory'"):
            cache_mode.checked_mode("cache", wrong)


def test_the_folder_is_the_given_one_the_environment_s_or_the_user_s(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.delenv(cache_mode.FOLDER_VARIABLE, raising=False)
    assert cache_mode.cache_folder().as_posix() == "/xdg/keras_hkd/pictures"
    monkeypatch.setenv(cache_mode.FOLDER_VARIABLE, "/scratch")
    assert cache_mode.cache_folder().as_posix() == "/scratch"
    assert cache_mode.cache_folder(tmp_path) == tmp_path


def test_what_does_not_fit_is_said(capsys, tmp_path):
    cache_mode.announce("memory", 10 * GIB, tmp_path)
    assert not capsys.readouterr().err
    cache_mode.announce("disk", 10 * GIB, tmp_path)
    assert f"10.0 GiB, more than memory has room for: they are kept on disk, in {tmp_path}" in (
        capsys.readouterr().err
    )
