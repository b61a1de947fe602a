"""Writes folders with SHA-256 checksums, whole or not at all, and checks them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import re
import shutil
from collections.abc import Collection, Iterator

from keras_hkd.errors import InvalidValueError, MissingFileError, PathInUseError
from keras_hkd.messages import first_of

CHECKSUMS = "checksums.sha256"
"""The file of checksums, as `sha256sum` writes it and `sha256sum --check` reads it."""

_LITTER = {".DS_Store", "Thumbs.db", "desktop.ini"}
"""What file managers leave in any folder that they show, and make anew when it is lost."""

_LINE = re.compile(r"([0-9a-f]{64}) [ *]([^/\\]+)")


class DamagedFolderError(InvalidValueError):
    """Files of a folder are missing or are not those that were written."""


def check_folder(folder: str | os.PathLike) -> set[str]:
    """Compare every file of a folder with its checksum.

    Args:
        folder: a folder that `replacing_folder` wrote.

    Returns:
        Names of the files that were checked; other files in the folder are not looked at.

    Raises:
        FileNotFoundError: there is no such folder.
        DamagedFolderError: files are missing or altered, or there are no checksums; all are named.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise MissingFileError(f"No folder at '{folder}'.")
    sums = _read_checksums(folder)
    problems = []
    for name, expected in sums.items():
        if not (folder / name).is_file():
            problems.append(f"{name} is missing")
        elif _sha256(folder / name) != expected:
            problems.append(f"{name} was altered or cut short")
    if problems:
        raise DamagedFolderError(
            f"'{folder}' is not as it was written: {', '.join(problems)}. Take it from where it "
            "came from once more."
        )
    return set(sums)


@contextlib.contextmanager
def replacing_folder(
    folder: str | os.PathLike, keep: bool = False, members: Collection[str] = ()
) -> Iterator[pathlib.Path]:
    """Replace a folder by one that is written inside the `with` block, or leave it as it was.

    Checksums of the files are added at the end. If the block raises or the process ends before
    that, `folder` is unchanged.

    Args:
        folder: may exist if it is empty or was written by this function; of a link, what it leads
            to is replaced.
        keep: whether the new folder begins with the files of the old one.
        members: what the checksums of a folder must list for it to be replaced, since people write
            such files about their own folders too.

    Yields:
        Path of the new folder, beside `folder` under a name that begins with a dot.

    Raises:
        FileExistsError: `folder` holds other files, which would be lost.
        DamagedFolderError: files that are to be kept are missing or altered.

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     with replacing_folder(f"{place}/notes") as partial:
    ...         _ = (partial / "note.txt").write_text("whole")
    ...     sorted(check_folder(f"{place}/notes"))
    ['note.txt']
    """
    folder = pathlib.Path(os.path.realpath(folder))
    old = _names(folder)
    kept = check_folder(folder) if keep and old else set()
    if old:
        _require_ours(folder, old, members)
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        for name in kept:
            shutil.copy2(folder / name, partial / name)
        yield partial
        _write_checksums(partial)
        _take_place(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _names(folder: pathlib.Path) -> set[str]:
    """Name what a folder holds, which may be absent; litter does not count."""
    if folder.exists() and not folder.is_dir():
        raise PathInUseError(f"'{folder}' is a file: name a new folder.")
    return set(os.listdir(folder)) - _LITTER if folder.is_dir() else set()


def _require_ours(folder: pathlib.Path, names: set[str], members: Collection[str]) -> None:
    """Refuse a folder of which something would be lost that `replacing_folder` did not write."""
    advice = "name a new folder, or move it away first"
    try:
        listed = set(_read_checksums(folder))
    except DamagedFolderError as error:
        raise PathInUseError(
            f"'{folder}' exists and has no {CHECKSUMS} that can be read: {advice}."
        ) from error
    kept = {CHECKSUMS, *(name for name in listed if not (folder / name).is_dir())}
    strangers = sorted(names - kept)
    if strangers:
        raise PathInUseError(
            f"'{folder}' holds what its {CHECKSUMS} does not list, which would be lost: {advice}. "
            f"Received: {first_of(strangers, 5)}"
        )
    if not listed.issuperset(members):
        raise PathInUseError(
            f"'{folder}' was not written by keras_hkd, since its {CHECKSUMS} does not list "
            f"{', '.join(sorted(set(members) - listed))}: {advice}."
        )


def _take_place(partial: pathlib.Path, folder: pathlib.Path) -> None:
    old = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    if folder.exists():
        os.rename(folder, old)
    try:
        os.rename(partial, folder)
    except OSError:
        if old.exists():
            os.rename(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _write_checksums(folder: pathlib.Path) -> None:
    files = sorted(path for path in folder.iterdir() if path.name != CHECKSUMS)
    lines = [f"{_sha256(path)}  {path.name}\n" for path in files]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def _read_checksums(folder: pathlib.Path) -> dict[str, str]:
    """Read the checksum of each file, by its name."""
    path = folder / CHECKSUMS
    if not path.is_file():
        raise DamagedFolderError(f"'{folder}' has no {CHECKSUMS}: files of it are missing.")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    matches = [match for line in lines if (match := _LINE.fullmatch(line))]
    if not matches or len(matches) != len(lines):
        raise DamagedFolderError(f"'{path}' is damaged: a line of it is no checksum of a file.")
    return {match[2]: match[1] for match in matches}


def _sha256(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
