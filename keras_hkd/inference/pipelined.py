"""Stages that work at the same time on one item after another, each in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from typing import Any

_WAIT_S = 0.05
_END = object()


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


def pipelined(
    items: Iterable, *stages: Callable[[Any], Any], depth: int = 4
) -> Generator[Any, None, None]:
    """Pass items through stages, in their order, while the next ones are on their way.

    Reading the items is a stage too. Between two stages at most `depth` items wait, so that memory
    does not grow with the number of items. What a stage raises is raised here, after the items
    before it; when the iterator is closed, all threads end.

    Args:
        items: what goes in; it is read in a thread.
        *stages: functions of one item, applied one after another.
        depth: most items that wait between two stages.

    Yields:
        What the last stage returned.

    Example:

    >>> list(pipelined(range(4), lambda n: n + 1, lambda n: n * n))
    [1, 4, 9, 16]
    """
    stop = threading.Event()
    queues: list[queue.Queue] = [queue.Queue(depth) for _ in range(len(stages) + 1)]

    def put(target: queue.Queue, item: Any) -> bool:
        while not stop.is_set():
            try:
                target.put(item, timeout=_WAIT_S)
                return True
            except queue.Full:
                continue
        return False

    def feed() -> None:
        try:
            for item in items:
                if not put(queues[0], item):
                    return
            put(queues[0], _END)
        except BaseException as error:
            put(queues[0], _Failure(error))

    def work(stage: Callable[[Any], Any], source: queue.Queue, target: queue.Queue) -> None:
        while True:
            item = _taken(source, stop)
            if item is _END or isinstance(item, _Failure):
                put(target, item)
                return
            try:
                result = stage(item)
            except BaseException as error:
                put(target, _Failure(error))
                return
            if not put(target, result):
                return

    threads = [threading.Thread(target=feed, daemon=True)]
    for number, stage in enumerate(stages):
        given = (stage, queues[number], queues[number + 1])
        threads.append(threading.Thread(target=work, args=given, daemon=True))
    for thread in threads:
        thread.start()
    try:
        while True:
            item = _taken(queues[-1], stop)
            if item is _END:
                return
            if isinstance(item, _Failure):
                raise item.error
            yield item
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _taken(source: queue.Queue, stop: threading.Event) -> Any:
    while not stop.is_set():
        try:
            return source.get(timeout=_WAIT_S)
        except queue.Empty:
            continue
    return _END
