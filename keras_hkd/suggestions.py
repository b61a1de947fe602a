"""The hint in an error message about a name that is not known."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: object, known: Iterable[str], most: int = 1, cutoff: float = 0.6) -> str:
    """A sentence with the names that come near, a space before it; empty where none does.

    Args:
        name: what was given.
        known: what could have been.
        most: names to show.
        cutoff: from 0 for anything to 1 for equal names.

    Example:
        >>> did_you_mean("hdk", ["adl", "hkd"])
        " Did you mean 'hkd'?"
    """
    near = difflib.get_close_matches(str(name), list(known), n=most, cutoff=cutoff)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
