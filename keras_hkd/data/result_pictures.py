"""Matches detections of a results file with pictures: by id, by file name, or by stem."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from keras_hkd.data.formats.records import without_suffix
from keras_hkd.errors import InvalidValueError

UNKNOWN = -1


class ResultPictures:
    """Finds the pictures that results name among those of a dataset.

    All results of a file go by one rule, the first under which every one of them finds its
    picture: by `file_name`, where all results carry it, it says which picture, and no two ids or
    names share one; by `image_id` itself, unless a `file_name` beside it says otherwise; by
    `image_id` as the number or text of the same form ("7" for 7); by `image_id` as the name of a
    picture, without suffix and folders or with them, or the number that such a name is.

    Args:
        image_ids: ids of the pictures.
        names: names of their files, with folders where they are known; "" where there is none.

    Example:

    >>> pictures = ResultPictures([1, 2], ["day/x.jpg", "night/x.jpg"])
    >>> pictures.positions(["night/x", "day/x"], ["x.jpg", "x.jpg"]).tolist()
    [1, 0]
    """

    def __init__(self, image_ids: Sequence[Hashable], names: Sequence[str]) -> None:
        self.image_ids = list(image_ids)
        self.names = list(names)
        self._by_id = {image_id: place for place, image_id in enumerate(self.image_ids)}
        self._by_text = {str(image_id): place for place, image_id in enumerate(self.image_ids)}
        self._by_name: dict[str, list[int]] = {}
        for place, name in enumerate(self.names):
            for tail in _tails(name):
                self._by_name.setdefault(tail, []).append(place)

    def positions(
        self,
        image_ids: Sequence[Hashable],
        file_names: Sequence[str | None],
        unknown: str = "raise",
    ) -> np.ndarray:
        """Give the position of each result's picture.

        Args:
            image_ids: ids of the images that the results name.
            file_names: file names of the results; None where one has none.
            unknown: "raise", or "skip" for -1 where a result names no picture.

        Raises:
            ValueError: a result names no picture, or its id one and its file name another.
        """
        pairs = list(dict.fromkeys(zip(map(_key, image_ids), file_names, strict=True)))
        found = self._found(pairs)
        if unknown == "raise" and UNKNOWN in found.values():
            self._refuse_shared_names(pairs)
            pair = next(pair for pair in pairs if found[pair] == UNKNOWN)
            raise InvalidValueError(self._unknown(pair, image_ids, file_names))
        places = (
            found[_key(image_id), name]
            for image_id, name in zip(image_ids, file_names, strict=True)
        )
        return np.fromiter(places, np.int64, len(image_ids))

    def _found(self, pairs: list[tuple]) -> dict[tuple, int]:
        named = {pair: self._of_name(pair[1]) for pair in pairs}
        by_name = {pair: places[0] for pair, places in named.items() if len(places) == 1}
        if pairs and len(set(by_name.values())) == len(pairs):
            return by_name
        rules = (self._of_id, self._of_text, self._of_stem)
        tried = [{pair: rule(pair[0], named[pair]) for pair in pairs} for rule in rules]
        whole = [found for found in tried if UNKNOWN not in found.values()]
        if whole and whole[0] is tried[0]:
            self._refuse_contradictions(whole[0], named)
            return whole[0]
        if len(whole) > 1 and whole[0] != whole[1]:
            pair = next(pair for pair in pairs if whole[0][pair] != whole[1][pair])
            first, second = (self._shown(found[pair]) for found in whole)
            raise InvalidValueError(
                f"the image_id {pair[0]!r} may be the id of {first} or the name of {second}: give "
                "each result the id of its image, or its file_name"
            )
        if whole:
            return whole[0]
        # Not every result finds its picture: the rule by which most do, names before ids.
        if len(set(by_name.values())) == len(by_name):
            tried.insert(0, {pair: by_name.get(pair, UNKNOWN) for pair in pairs})
        most = max(tried, key=lambda found: sum(place != UNKNOWN for place in found.values()))
        self._refuse_contradictions(most, named)
        return most

    def _refuse_contradictions(self, found: dict, named: dict) -> None:
        for (image_id, name), place in found.items():
            there = named[image_id, name]
            if name and place != UNKNOWN and self.names[place] and place not in there:
                raise InvalidValueError(
                    f"the image_id {image_id!r} is that of {self._shown(place)}: correct the ids, "
                    "or leave the file names out if the ids are right. Received: a result with the "
                    f"file_name {name!r}"
                )

    def _refuse_shared_names(self, pairs: list[tuple]) -> None:
        """Refuse results of several pictures whose file names fit one picture alone."""
        first: dict[int, tuple] = {}
        for pair in pairs:
            for place in places if len(places := self._of_name(pair[1])) == 1 else ():
                if (other := first.setdefault(place, pair)) != pair:
                    raise InvalidValueError(
                        f"{self._shown(place)} fits the results with image_id {other[0]!r} and "
                        f"file_name {other[1]!r} and those with image_id {pair[0]!r} and file_name "
                        f"{pair[1]!r}: give each picture's results one image_id and one file_name, "
                        "with the folder where names repeat"
                    )

    def _of_name(self, name: object) -> list[int]:
        """Find the pictures that a file name fits, as it is or without its suffix."""
        if not isinstance(name, str) or not name:
            return []
        whole = _loose(name)
        tails = (whole, without_suffix(whole), *_tails(os.path.basename(whole)))
        return next((self._by_name[tail] for tail in tails if tail in self._by_name), [])

    def _of_id(self, image_id: Hashable, named: list[int]) -> int:
        return self._by_id.get(image_id, UNKNOWN)

    def _of_text(self, image_id: Hashable, named: list[int]) -> int:
        return self._by_text.get(str(image_id).strip(), UNKNOWN)

    def _of_stem(self, image_id: Hashable, named: list[int]) -> int:
        places = self._by_name.get(_loose(str(image_id)), [])
        if not places and isinstance(image_id, str):
            places = self._by_name.get(without_suffix(_loose(image_id)), [])
        if not places:
            places = self._numbered.get(str(image_id), [])
        if named:
            places = [place for place in places if place in named]
        return places[0] if len(places) == 1 else UNKNOWN

    @property
    def _numbered(self) -> dict[str, list[int]]:
        """The number that a picture's name is -> its positions."""
        if not hasattr(self, "_numbers"):
            self._numbers: dict[str, list[int]] = {}
            for place, name in enumerate(self.names):
                stem = without_suffix(os.path.basename(_loose(name)))
                if stem.isascii() and stem.isdecimal() and len(stem) < 19:
                    self._numbers.setdefault(str(int(stem)), []).append(place)
        return self._numbers

    def _shown(self, place: int) -> str:
        return repr(self.names[place] or self.image_ids[place])

    def _unknown(self, pair: Any, image_ids: Any, file_names: Any) -> str:
        row = next(
            row
            for row, one in enumerate(zip(map(_key, image_ids), file_names, strict=True))
            if one == pair
        )
        name = f" and none called {pair[1]!r}" if pair[1] else ""
        names = [name for name in self.names[:3] if name]
        called = f", its file names with {names}" if names else ""
        return (
            f"detection number {row + 1}: the ground truth has no image with id "
            f"{image_ids[row]!r}{name}; its {len(self.image_ids)} ids begin with "
            f"{self.image_ids[:3]}{called}. `keras-hkd evaluate --save-detections` writes "
            "detections with the ids of a dataset."
        )


def _key(image_id: object) -> Hashable:
    """Normalise an id for comparison: 3.0 is 3; what cannot be an id is compared as text."""
    if isinstance(image_id, np.generic):
        image_id = image_id.item()
    if isinstance(image_id, float) and image_id.is_integer():
        return int(image_id)
    return image_id if isinstance(image_id, (int, float, str)) else repr(image_id)


def _loose(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip().replace("\\", "/").removeprefix("./"))


def _tails(name: str) -> dict[str, None]:
    """List the names of a picture: with fewer and fewer folders, and without suffix."""
    parts = [part for part in _loose(name).split("/") if part] if name else []
    tails = ["/".join(parts[start:]) for start in range(len(parts))]
    return dict.fromkeys([*tails, *map(without_suffix, tails)])
