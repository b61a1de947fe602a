"""How much memory a process may still take: what the machine has, and what its container allows."""

from __future__ import annotations

from pathlib import Path

_NO_LIMIT = 2**60
"""Version 1 of control groups writes a number near 2**63 for no limit."""


def available_memory_bytes(root: str | Path = "/") -> int | None:
    """Find the memory that is left: the least of the machine's and that of every control group.

    Containers (Docker, Kubernetes, Slurm) limit memory by control groups of Linux, version 1 or 2.
    File pages that the kernel can drop count as free.

    Args:
        root: the folder in which `proc` and `sys` stand.

    Returns:
        Bytes, or None where the system does not tell.

    Example:

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> group = root / "sys/fs/cgroup"
    >>> group.mkdir(parents=True)
    >>> _ = (group / "memory.max").write_text("1000")
    >>> _ = (group / "memory.current").write_text("300")
    >>> available_memory_bytes(root)
    700
    """
    root = Path(root)
    found = [_machine(root), *_version_2(root), *_version_1(root)]
    return min((left for left in found if left is not None), default=None)


def _machine(root: Path) -> int | None:
    kilobytes = _table(root / "proc/meminfo").get("MemAvailable:")
    return None if kilobytes is None else kilobytes * 1024


def _version_2(root: Path) -> list[int | None]:
    folders = _groups(root, root / "sys/fs/cgroup", "")
    names = ("memory.max", "memory.current", "inactive_file")
    return [_left(folder, *names) for folder in folders]


def _version_1(root: Path) -> list[int | None]:
    folders = _groups(root, root / "sys/fs/cgroup/memory", "memory")
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    return [_left(folder, *names) for folder in folders]


def _groups(root: Path, top: Path, controller: str) -> list[Path]:
    """Give the folders of this process's group and of all groups around it."""
    folders = [top]
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controller in controllers.split(","):
            for part in Path(path.strip("/")).parts:
                folders.append(folders[-1] / part)
    return folders


def _left(folder: Path, limit: str, used: str, droppable: str) -> int | None:
    limit_bytes, used_bytes = _number(folder / limit), _number(folder / used)
    if limit_bytes is None or used_bytes is None or limit_bytes >= _NO_LIMIT:
        return None
    droppable_bytes = _table(folder / "memory.stat").get(droppable, 0)
    return max(0, limit_bytes - used_bytes + droppable_bytes)


def _table(path: Path) -> dict[str, int]:
    rows = [line.split() for line in _text(path).splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdecimal()}


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdecimal() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
