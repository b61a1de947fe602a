"""Loggers of other packages, held back while we make them talk of what is no news to the user."""

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def quiet(name: str) -> Iterator[None]:
    """Lets a logger say errors only, for a while.

    Args:
        name: of the logger, which is mostly that of its package.

    Example:

    >>> with quiet("tensorflow"):
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
