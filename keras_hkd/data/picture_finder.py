"""Finds the image files that annotations name, for all readers."""

from __future__ import annotations

import itertools
import os
import tempfile
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from urllib.parse import unquote

from keras_hkd.data.formats.bad_records import RecordProblem
from keras_hkd.data.formats.records import without_suffix
from keras_hkd.data.image_files import SUFFIXES

_PICTURES = ("images", "Images", "JPEGImages", "PNGImages", "data", "img")
_ANNOTATIONS = ("annotation", "annotations", "labels", "labelTxt", "xml", "json", "gt", "ann")
_MANY_FILES = 2_000_000


def places(path: Path, subset: str = "", extra: Sequence[str] = ()) -> tuple[tuple, tuple]:
    """Give the folders where the pictures of a dataset may be.

    Args:
        path: the annotation file, or the folder of the dataset.
        subset: name of a part, such as "val2017", that may be the name of a folder.
        extra: more names of folders of pictures, looked at first.

    Returns:
        `(folders, roots)`, as `Records` has them: pictures lie beside the annotations, in a folder
        of pictures there or beside the folder of annotations, or in its folder `subset`.
    """
    beside = path if path.is_dir() else path.parent
    tops = [beside]
    if beside.name.casefold() in map(str.casefold, _ANNOTATIONS):
        tops.append(beside.parent)
    names = (*extra, *_PICTURES)
    above = [] if _too_wide(beside.parent) else [beside.parent]
    bases = list(dict.fromkeys((*tops, *above)))
    folders = [base / name for base in bases for name in names]
    if subset:
        inside = [base / name / subset for base in bases for name in names]
        folders = [*inside, *(base / subset for base in bases), *folders]
    roots = [*tops, *(base / name for base in above for name in names)]
    return tuple(dict.fromkeys((*folders, *bases))), tuple(dict.fromkeys(roots))


def _too_wide(folder: Path) -> bool:
    """Tell whether a folder holds much that is no dataset, so that nobody wants it searched."""
    folder = folder.absolute()
    wide = (Path(folder.anchor), Path.home(), Path.home().parent, Path(tempfile.gettempdir()))
    return folder in wide


class PictureFinder:
    r"""Finds image files by the names that annotations have for them.

    First under the exact name, with or without the folders before it. Else anywhere in the roots
    by a name that differs in case, suffix, slashes, folders or Unicode form only, where one file
    alone fits; of several, those that share most of the name count. A picture in another folder
    than its name says is none where another name has as much of its path: the test image
    night/1.jpg, where it is missing, is not the training image day/1.jpg.

    Args:
        folders: where to look under the exact name, in this order.
        roots: folders that are searched with all folders inside. Of a home folder and the like,
            which hold more than a dataset, only the files themselves are looked at.
        names: the names of all pictures of the dataset, of all its parts.

    Example:

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "Images").mkdir()
    ...     Path(folder, "Images", "IMG_7.JPG").touch()
    ...     finder = PictureFinder([Path(folder, "images")], [Path(folder)])
    ...     os.path.basename(finder.find("images\\img_7.jpg"))
    'IMG_7.JPG'
    """

    def __init__(
        self, folders: Sequence[Path], roots: Sequence[Path] = (), names: Iterable[str] = ()
    ) -> None:
        self.folders = tuple(dict.fromkeys(os.path.abspath(folder) for folder in folders))
        self.roots = tuple(dict.fromkeys(os.path.abspath(root) for root in roots))
        self.num_inexact = 0
        self._names = names
        self._namesakes: dict[str, set[str]] | None = None
        self._listings: dict[str, frozenset[str]] = {}
        self._places: dict[str, list[tuple[str, frozenset[str]]]] = {}
        self._index: dict[str, list[str]] | None = None

    def find(self, file_name: str) -> str:
        """Look for an image file.

        Args:
            file_name: with or without folders and suffix.

        Returns:
            The absolute path; "" if there is none.

        Raises:
            RecordProblem: the name is not exact, and several files fit it equally, or the file
                fits another name of the dataset as well.
        """
        name = _plain(file_name)
        if not name or "\0" in name:
            return ""
        if found := self._exactly(name):
            return found
        found = self._without_folders(name)
        if not found:
            found = self._loosely(name)
            self.num_inexact += bool(found)
        if found:
            self._refuse_namesakes(name, found)
        return found

    def _exactly(self, name: str) -> str:
        inside, _, bare = name.rpartition("/")
        if without_suffix(bare) == bare:
            return ""
        if os.path.isabs(name) and bare in self._listing(inside):
            return name
        return self._in_places(inside, bare)

    def _without_folders(self, name: str) -> str:
        _, folders, bare = name.rpartition("/")
        return self._in_places("", bare) if folders and without_suffix(bare) != bare else ""

    def _in_places(self, inside: str, bare: str) -> str:
        for folder, names in self._places_of(inside):
            if bare in names:
                return os.path.join(folder, bare)
        return ""

    def _refuse_namesakes(self, name: str, found: str) -> None:
        """Refuse a picture that another name, of the same last part, fits as well or better."""
        if self._namesakes is None:
            self._namesakes = {}
            for other in map(_plain, self._names):
                self._namesakes.setdefault(_last(other), set()).add(other)
        own = _num_shared(found, name.split("/")[:-1])
        for other in sorted(self._namesakes.get(_last(name), set()) - {name}):
            if _num_shared(found, other.split("/")[:-1]) >= own:
                raise RecordProblem(
                    f"the image file {name!r} must be there, or be the only one of its name: put "
                    "it into its folder, or correct the name in the annotations. Received: only "
                    f"{found}, which fits {other!r} of the same annotations as well"
                )

    def _places_of(self, inside: str) -> list[tuple[str, frozenset[str]]]:
        """List the folders that may hold what a name has after `inside/`, and the names in them."""
        if inside not in self._places:
            part = inside.lstrip("/")
            paths = [os.path.normpath(os.path.join(folder, part)) for folder in self.folders]
            listed = [(path, self._listing(path)) for path in dict.fromkeys(paths)]
            self._places[inside] = [(path, names) for path, names in listed if names]
        return self._places[inside]

    def _listing(self, folder: str) -> frozenset[str]:
        if folder not in self._listings:
            try:
                self._listings[folder] = frozenset(os.listdir(folder))
            except OSError:
                self._listings[folder] = frozenset()
        return self._listings[folder]

    def _loosely(self, name: str) -> str:
        if self._index is None:
            self._index = _index(self.roots)
        parts = unquote(name.split("?d=")[-1].split("?")[0]).split("/")
        candidates = self._index.get(_loose(without_suffix(parts[-1])), [])
        full = [path for path in candidates if _loose(os.path.basename(path)) == _loose(parts[-1])]
        candidates = full or candidates
        if len(candidates) > 1:
            shared = [_num_shared(path, parts[:-1]) for path in candidates]
            most = [p for p, n in zip(candidates, shared, strict=True) if n == max(shared)]
            exact = [path for path in most if os.path.basename(path) == parts[-1]]
            candidates = self._in_first_folder(exact or most)
        if len(candidates) > 1:
            first, second = candidates[:2]
            raise RecordProblem(
                f"the image file {name!r} must be one file: write its whole name in the "
                "annotations, or name the folder of the images (--images). Received: "
                f"{len(candidates)} that fit, such as {first} and {second}"
            )
        return candidates[0] if candidates else ""

    def _in_first_folder(self, paths: list[str]) -> list[str]:
        """Keep the paths in the folder that has precedence; all if none is in it."""
        for folder in self.folders:
            inside = [path for path in paths if os.path.dirname(path) == folder]
            if inside:
                return inside
        return paths


class FrameFinder:
    """Finds pictures by what their paths say they are, such as a film and the number of a frame.

    Args:
        roots: folders that are searched with all folders inside.
        key: gives of a path or a name what it says; None for nothing.

    Example:

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "film_7.jpg").touch()
    ...     finder = FrameFinder([Path(folder)], lambda name: int(name[-5]))
    ...     os.path.basename(finder.find("frame 7.png"))
    'film_7.jpg'
    """

    num_inexact = 0

    def __init__(self, roots: Sequence[Path], key: Callable[[str], Hashable | None]) -> None:
        self.folders = tuple(dict.fromkeys(os.path.abspath(root) for root in roots))
        self._key = key
        self._paths: dict[Hashable, list[str]] | None = None

    def find(self, file_name: str) -> str:
        """Look for the picture of a frame.

        Args:
            file_name: the name of the frame.

        Returns:
            The absolute path; "" if there is none.

        Raises:
            RecordProblem: several pictures are of this frame.
        """
        if self._paths is None:
            self._paths = {}
            for path in itertools.chain.from_iterable(_index(self.folders).values()):
                key = self._key(path.replace(os.sep, "/"))
                if key is not None:
                    self._paths.setdefault(key, []).append(path)
        found = self._paths.get(self._key(file_name), [])
        if len(found) > 1:
            raise RecordProblem(
                f"the frame {file_name!r} must have one picture: name the folder of those that are "
                f"meant (--images). Received: {len(found)}, such as {found[0]} and {found[1]}"
            )
        return found[0] if found else ""


def _plain(file_name: str) -> str:
    return file_name.strip().replace("\\", "/").removeprefix("file://")


def _last(name: str) -> str:
    return _loose(without_suffix(name.rpartition("/")[2]))


def _loose(name: str) -> str:
    """Normalise a name that systems write in different ways, for comparison."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _num_shared(path: str, folders: Sequence[str]) -> int:
    """Count how many of the folders of a name a path has, in order, from the end."""
    inside = [_loose(part) for part in path.split(os.sep)[:-1]]
    count = 0
    for folder in reversed([_loose(part) for part in folders if part not in ("", ".", "..")]):
        if folder in inside:
            last = len(inside) - 1 - inside[::-1].index(folder)
            inside = inside[:last]
            count += 1
    return count


def _index(roots: Iterable[str]) -> dict[str, list[str]]:
    """Give the loose stem -> paths of all pictures in these folders and the folders inside."""
    index: dict[str, list[str]] = {}
    seen: set[str] = set()
    num_files = 0
    for root in roots:
        flat = _too_wide(Path(root))
        for folder, inside, files in os.walk(root, followlinks=True):
            real = os.path.realpath(folder)
            if real in seen:
                inside.clear()
                continue
            seen.add(real)
            inside[:] = [] if flat else sorted(n for n in inside if not n.startswith("."))
            num_files += len(files)
            for name in sorted(files):
                stem, suffix = os.path.splitext(name)
                if suffix.lower() in SUFFIXES and not name.startswith("._"):
                    index.setdefault(_loose(stem), []).append(os.path.join(folder, name))
            if num_files > _MANY_FILES:
                return index
    return index
