"""Splits a long pass over images into parts, a file each, which can be resumed and shared.

A pass over millions of images is cut into parts that depend on the images alone. Each part becomes
a file as soon as it is done, whole or not at all. Any number of processes, on any number of
machines that see the folder, take a share of the parts each (`--shard 2/8`); one that was killed
goes on behind its last whole part when it is started again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_hkd.atomic_write import is_partial, remove_partial_files, replacing
from keras_hkd.errors import InvalidValueError, PathInUseError
from keras_hkd.json_files import as_json, plain, read_json, write_json
from keras_hkd.messages import first_of

MOST_PARTS = 64
"""Short passes have at most so many parts; long ones have parts of `PART_BATCHES` batches."""
PART_BATCHES = 128

_FACTS = "pass.json"


class DifferentPassError(InvalidValueError):
    """A folder holds parts of a pass with other inputs."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """One of several equal shares of the parts of a pass.

    Args:
        number: which share, from 1 to `count`.
        count: how many shares there are.

    Raises:
        ValueError: there is no such share.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise InvalidValueError(
                "A shard is I/N, the I-th of N shares, I from 1 to N, such as 2/8. "
                f"Received: {self.number}/{self.count}"
            )

    @classmethod
    def parse(cls, text: str | None) -> Shard | None:
        """Read "I/N"; None stays None.

        Args:
            text: what `--shard` gave.

        Raises:
            ValueError: it has another form.

        Example:

        >>> Shard.parse("2/8")
        Shard(number=2, count=8)
        """
        if text is None:
            return None
        found = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
        if not found:
            raise InvalidValueError(
                f"A shard is I/N, the I-th of N shares, such as 2/8. Received: {text!r}"
            )
        return cls(int(found[1]), int(found[2]))

    def of(self, count: int) -> range:
        """Give the share of so many parts, one after the other.

        Args:
            count: number of parts.

        Example:

        >>> [list(Shard(number, 3).of(5)) for number in (1, 2, 3)]
        [[0], [1, 2], [3, 4]]
        """
        edges = (count * (self.number - 1) // self.count, count * self.number // self.count)
        return range(*edges)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


class Parts:
    """The parts of one pass, in a folder.

    Args:
        folder: the folder; it is made by `begin`.
        facts: what decides the result (model, images, thresholds): values that JSON can hold.
        num_items: images of the pass.
        batch_size: images that are looked at together; parts begin at whole batches, so that each
            image is seen beside the same others whoever computes its part.

    Example:

    >>> import tempfile
    >>> parts = Parts(Path(tempfile.mkdtemp()), {"model": "a"}, num_items=5, batch_size=2)
    >>> parts.begin()
    >>> for number in parts.missing():
    ...     parts.write(number, {"results": list(parts.items(number))})
    >>> parts.missing(), [part["results"] for part in parts.read_all()]
    ([], [[0, 1], [2, 3], [4]])
    """

    def __init__(
        self, folder: str | os.PathLike, facts: Mapping[str, Any], num_items: int, batch_size: int
    ) -> None:
        self.folder = Path(folder)
        self.num_items = num_items
        batches = -(-num_items // batch_size)
        self.part_items = batch_size * max(1, min(PART_BATCHES, -(-batches // MOST_PARTS)))
        self.facts = {**plain(facts), "num_items": num_items, "part_items": self.part_items}
        self._digest = hashlib.sha256(as_json(self.facts, None).encode()).hexdigest()

    @staticmethod
    def are_in(folder: str | os.PathLike) -> bool:
        """Tell whether a folder holds parts of some pass.

        Args:
            folder: any path.
        """
        return Path(folder, _FACTS).is_file()

    @property
    def count(self) -> int:
        """Number of parts."""
        return -(-self.num_items // self.part_items)

    def items(self, number: int) -> range:
        """Give the positions of the images of a part.

        Args:
            number: of the part, from 0.
        """
        start = number * self.part_items
        return range(start, min(start + self.part_items, self.num_items))

    def path(self, number: int) -> Path:
        """Give the file of a part.

        Args:
            number: of the part, from 0.
        """
        return self.folder / f"part-{number:06d}.json"

    def begin(self) -> None:
        """Write what the pass is, or compare it with what the folder holds.

        Raises:
            DifferentPassError: the folder holds parts of another pass; all differences are named.
            FileExistsError: the folder holds files and no parts of a pass.
        """
        path = self.folder / _FACTS
        if not path.exists():
            self._require_no_files()
            write_json(path, self.facts)
            return
        saved = read_json(path)
        differing = [
            f"{name} was {saved.get(name)!r} and is now {self.facts.get(name)!r}"
            for name in sorted({*saved, *self.facts})
            if saved.get(name) != self.facts.get(name)
        ]
        if differing:
            raise DifferentPassError(
                f"{self.folder} holds parts of another pass: {'; '.join(differing)}. Give the same "
                "arguments to all shards, or delete the folder to begin anew."
            )

    def missing(self, shard: Shard | None = None) -> list[int]:
        """List the parts that are not there, or are damaged.

        Args:
            shard: the share to look at; None for all.
        """
        share = range(self.count) if shard is None else shard.of(self.count)
        return [number for number in share if self._content(number) is None]

    def write(self, number: int, content: Mapping[str, Any]) -> None:
        """Write a part, whole or not at all.

        Args:
            number: of the part, from 0.
            content: values that JSON can hold.
        """
        text = as_json(content, None)
        write_json(
            self.path(number),
            {"pass": self._digest, "checksum": _checksum(text), "content": plain(content)},
            indent=None,
        )

    def read_all(self, shard: Shard | None = None) -> Iterator[dict[str, Any]]:
        """Read the parts in order, one at a time.

        Args:
            shard: the share to read; None for all.

        Raises:
            ValueError: a part is missing or damaged.
        """
        for number in range(self.count) if shard is None else shard.of(self.count):
            content = self._content(number)
            if content is None:
                raise InvalidValueError(
                    f"{self.path(number)} is missing or damaged. Call the command once more, "
                    "without --shard: it computes what is missing."
                )
            yield content

    def join(self, name: str, path: str | os.PathLike) -> int:
        """Write the lists of all parts as one JSON list, holding one part at a time.

        Args:
            name: of the list in each part.
            path: the file, which is written whole or not at all.

        Returns:
            How many entries it has.

        Raises:
            ValueError: a part is missing or damaged.
        """
        count = 0
        with replacing(path) as partial, open(partial, "w", encoding="utf-8") as file:
            file.write("[")
            for content in self.read_all():
                rows: Sequence[Any] = content[name]
                if rows:
                    file.write((", " if count else "") + as_json(rows, None)[1:-1])
                count += len(rows)
            file.write("]\n")
        return count

    def remove(self) -> None:
        """Delete the parts, and the folder if it holds nothing else."""
        remove_partial_files(self.folder)
        for path in (*self.folder.glob("part-*.json"), self.folder / _FACTS):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # files of others
            self.folder.rmdir()

    def _require_no_files(self) -> None:
        """Refuse a folder of others; another process may be beginning the pass right now."""
        names = os.listdir(self.folder) if self.folder.is_dir() else []
        there = sorted(name for name in names if not is_partial(name))
        if there and not self.are_in(self.folder):
            raise PathInUseError(
                f"{self.folder} is where the parts of this pass go, and holds other files and no "
                f"{_FACTS}: move them away, or write elsewhere. Received: {first_of(there)}"
            )

    def _content(self, number: int) -> dict[str, Any] | None:
        try:
            part = json.loads(self.path(number).read_text(encoding="utf-8"))
            content = part["content"]
            whole = part["checksum"] == _checksum(as_json(content, None))
            return content if whole and part["pass"] == self._digest else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
