"""Progress bars on the error stream, so that standard output can be piped."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import rich.console
import rich.progress

FEW_IMAGES = 200
"""Passes over so many images that only read or draw them end before a bar says anything."""


def error_console() -> rich.console.Console:
    """Give a console on the error stream, as it is at this moment; `:train:` in a path stays text.

    Example:

    >>> error_console().stderr
    True
    """
    return rich.console.Console(stderr=True, emoji=False)


def progress_bar(console: rich.console.Console) -> rich.progress.Progress:
    """Make a bar that shows a title, how far a task is, the task's `figures`, and the time left.

    Args:
        console: where it is shown; it vanishes at the end.

    Example:

    >>> bar = progress_bar(error_console())
    >>> task = bar.add_task("Training", total=20, figures="epoch 1/2")
    """
    return rich.progress.Progress(
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.TextColumn("{task.fields[figures]}"),
        rich.progress.TimeRemainingColumn(),
        console=console,
        transient=True,
    )


@contextlib.contextmanager
def image_progress(
    title: str, num_images: int | None, shown: bool = True, unit: str = "images"
) -> Iterator[Callable[[int], None]]:
    """Show how far a pass over images is; nothing where the error stream is no terminal.

    Args:
        title: what is being done.
        num_images: how many images there are; None where nobody knows.
        shown: False to show nothing.
        unit: what is counted, where it is not images.

    Yields:
        `advance(num_images)`, to be called as images are done.

    Example:

    >>> with image_progress("Detecting", 3, shown=False) as advance:
    ...     advance(3)
    """
    console = error_console()
    if not (shown and console.is_terminal):
        yield lambda num_done: None
        return
    with progress_bar(console) as bar:
        number = bar.add_task(title, total=num_images, figures="")
        task = bar.tasks[0]

        def advance(num_done: int) -> None:
            bar.advance(number, num_done)
            rate = f", {task.speed:.1f} {unit}/s" if task.speed else ""
            total = "" if num_images is None else f"/{num_images}"
            bar.update(number, figures=f"{task.completed:.0f}{total}{rate}")

        yield advance
