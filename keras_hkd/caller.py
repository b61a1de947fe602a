"""Where a warning points."""

import sys

_PACKAGE = __name__.partition(".")[0]


def stack_level_of_caller() -> int:
    """The `stacklevel` with which a warning points at the user's line, not into this package.

    To be called by the function that warns.
    """
    frame, level = sys._getframe(1), 1
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        frame, level = frame.f_back, level + 1
    return level
