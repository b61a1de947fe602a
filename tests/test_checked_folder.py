import hashlib
import os
import subprocess
import sys

import pytest

from keras_hkd.checked_folder import (
    CHECKSUMS,
    DamagedFolderError,
    check_folder,
    replacing_folder,
)


@pytest.fixture
def folder(tmp_path):
    with replacing_folder(tmp_path / "place" / "notes") as partial:
        (partial / "a.txt").write_text("one")
        (partial / "b.bin").write_bytes(bytes(range(256)))
    return tmp_path / "place" / "notes"


def test_a_new_folder_has_checksums_of_all_files_and_nothing_stays_beside_it(folder):
    assert check_folder(folder) == {"a.txt", "b.bin"}
    digest = hashlib.sha256(b"one").hexdigest()
    assert f"{digest}  a.txt\n" in (folder / CHECKSUMS).read_text()
    assert os.listdir(folder.parent) == ["notes"]


@pytest.mark.skipif(sys.platform != "linux", reason="sha256sum is a program of Linux")
def test_sha256sum_reads_the_checksums(folder):
    subprocess.run(["sha256sum", "--check", "--strict", CHECKSUMS], cwd=folder, check=True)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "a.txt").unlink(), "a.txt is missing"),
        (lambda f: (f / "a.txt").write_text("two"), "a.txt was altered"),
        (lambda f: (f / "b.bin").write_bytes(bytes(range(255))), "b.bin was altered"),
        (lambda f: (f / CHECKSUMS).unlink(), f"has no {CHECKSUMS}"),
        (lambda f: (f / CHECKSUMS).write_text(""), "is damaged"),
        (lambda f: (f / CHECKSUMS).write_bytes(b"\xff\x00"), "is damaged"),
        (lambda f: (f / CHECKSUMS).write_text("0" * 64 + "  ../a.txt\n"), "is damaged"),
    ],
)
def test_damage_is_named(folder, damage, message):
    damage(folder)
    with pytest.raises(DamagedFolderError, match=message):
        check_folder(folder)


def test_all_damage_is_named_at_once(folder):
    (folder / "a.txt").unlink()
    (folder / "b.bin").write_bytes(b"")
    with pytest.raises(DamagedFolderError, match="a.txt is missing, b.bin was altered"):
        check_folder(folder)


def test_other_files_are_nothing_of_the_folder(folder):
    (folder / ".DS_Store").write_bytes(b"")
    assert check_folder(folder) == {"a.txt", "b.bin"}


def test_a_failure_leaves_the_old_folder_and_nothing_else(folder):
    with pytest.raises(RuntimeError), replacing_folder(folder) as partial:
        (partial / "a.txt").write_text("two")
        raise RuntimeError
    assert (folder / "a.txt").read_text() == "one"
    assert os.listdir(folder.parent) == ["notes"]


def test_a_new_folder_replaces_the_old_with_or_without_its_files(folder):
    with replacing_folder(folder, keep=True) as partial:
        (partial / "c.txt").write_text("three")
    assert check_folder(folder) == {"a.txt", "b.bin", "c.txt"}
    with replacing_folder(folder) as partial:
        (partial / "c.txt").write_text("three")
    assert check_folder(folder) == {"c.txt"}
    assert os.listdir(folder.parent) == ["notes"]


def test_damaged_files_are_not_kept(folder):
    (folder / "a.txt").write_text("two")
    with pytest.raises(DamagedFolderError), replacing_folder(folder, keep=True):
        pass
    assert (folder / "a.txt").read_text() == "two"


def test_a_folder_of_the_user_is_not_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    with replacing_folder(tmp_path / "mine") as partial:  # empty: nothing is lost
        (partial / "a.txt").write_text("one")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="other"), replacing_folder(tmp_path / "other"):
        pass
    assert (tmp_path / "other" / "thesis.txt").read_text() == "years of work"
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError), replacing_folder(tmp_path / "file"):
        pass


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("stranger", ["NOTES.md", "photographs/1.jpg"])
def test_files_that_someone_put_beside_ours_are_not_lost(folder, stranger, keep):
    (folder / stranger).parent.mkdir(exist_ok=True)
    (folder / stranger).write_text("mine")
    with pytest.raises(FileExistsError, match=rf"Received: {stranger.split('/')[0]}$"):
        with replacing_folder(folder, keep=keep):
            pass
    assert (folder / stranger).read_text() == "mine"
    assert check_folder(folder) == {"a.txt", "b.bin"}


def test_a_folder_in_the_place_of_a_file_of_ours_is_not_lost(folder):
    (folder / "a.txt").unlink()
    (folder / "a.txt").mkdir()
    (folder / "a.txt" / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match=r"Received: a\.txt"), replacing_folder(folder):
        pass
    assert (folder / "a.txt" / "thesis.txt").read_text() == "years of work"


def test_somebody_elses_list_of_checksums_makes_no_folder_ours(folder):
    (folder / "photographs").mkdir()
    (folder / CHECKSUMS).write_text("0" * 64 + "  photographs/1.jpg\n")
    with pytest.raises(FileExistsError, match="can be read"), replacing_folder(folder):
        pass
    assert (folder / "photographs").is_dir()


def test_a_folder_whose_checksums_do_not_list_what_ours_must_have_is_not_replaced(folder):
    refused = pytest.raises(FileExistsError, match=r"does not list config\.json")
    with refused, replacing_folder(folder, members=["a.txt", "config.json"]):
        pass
    assert check_folder(folder) == {"a.txt", "b.bin"}
    with replacing_folder(folder, members=["a.txt", "b.bin"]):
        pass


def test_litter_of_file_managers_and_missing_files_are_no_obstacle(folder):
    (folder / ".DS_Store").write_bytes(b"")
    (folder / "a.txt").unlink()
    with replacing_folder(folder) as partial:
        (partial / "c.txt").write_text("three")
    assert sorted(os.listdir(folder)) == ["c.txt", CHECKSUMS]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_stays_a_link(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    with replacing_folder(tmp_path / "link", keep=True) as partial:
        (partial / "c.txt").write_text("three")
    assert (tmp_path / "link").is_symlink()
    assert check_folder(folder) == {"a.txt", "b.bin", "c.txt"}


def test_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        check_folder(tmp_path / "nowhere")
