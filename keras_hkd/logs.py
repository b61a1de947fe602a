"""Silences the loggers of other packages."""

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def silenced(name: str) -> Iterator[None]:
    """Let a logger report errors only, for a while.

    Args:
        name: name of the logger, usually that of its package.

    Example:

    >>> with silenced("tensorflow"):
    ...     logging.getLogger("tensorflow").isEnabledFor(logging.WARNING)
    False
    """
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
