"""A progress bar over images on the error stream: rate and time left."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import rich.console
import rich.progress


class _RateColumn(rich.progress.ProgressColumn):
    """Images per second."""

    def render(self, task):
        return f"{task.speed:.1f} images/s" if task.speed else ""


@contextlib.contextmanager
def image_progress(title: str, num_images: int, shown: bool = True) -> Iterator[Callable]:
    """Show how far a pass over images is; nothing where the error stream is no terminal.

    Args:
        title: what is being done.
        num_images: how many images there are.
        shown: False to show nothing.

    Yields:
        `advance(num_images)`, to be called as images are done.

    Example:
        >>> with image_progress("Detecting", 3, shown=False) as advance:
        ...     advance(3)
    """
    console = rich.console.Console(stderr=True, emoji=False)
    if not (shown and console.is_terminal):
        yield lambda num_done: None
        return
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        _RateColumn(),
        rich.progress.TimeRemainingColumn(),
    )
    with rich.progress.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=num_images)
        yield lambda num_done: bar.advance(task, num_done)
