"""Parses `synthetic:NAME?key=value&...`, the dataset argument for drawn images."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from urllib.parse import parse_qsl

from keras_hkd.data.annotations import BadDataError

PREFIX = "synthetic:"


def parse_synthetic(source: str, defaults: Mapping[str, int]) -> tuple[dict[str, int], int]:
    """Read the options of a `synthetic:` source, and make the seed of its stream.

    Each name is a stream of its own, so that train and val never share an image.

    Args:
        source: as the user wrote it.
        defaults: every known option with its value; `seed` among them.

    Returns:
        The options, and the seed that the name and the option `seed` make together.

    Raises:
        BadDataError: an unknown option, or a value that is no whole number from 1 (from 0 for the
            seed and for percentages).

    Example:

    >>> parse_synthetic("synthetic:train?seed=3", {"num_images": 8, "seed": 0})[0]
    {'num_images': 8, 'seed': 3}
    """
    name, _, query = source.removeprefix(PREFIX).partition("?")
    options = dict(defaults)
    for key, value in parse_qsl(query, keep_blank_values=True):
        minimum = 0 if key == "seed" or key.endswith("_percent") else 1
        if key not in options or not value.isdecimal() or int(value) < minimum:
            raise BadDataError(
                source,
                key,
                f"expected whole numbers for {sorted(options)}, from {minimum}. "
                f"Received: {key}={value}",
            )
        options[key] = int(value)
    digest = hashlib.sha256(f"{name}:{options['seed']}".encode()).digest()
    return options, int.from_bytes(digest[:4], "big") >> 1
