"""The card of a preset: where it comes from, what it costs, how good it is, where it fails."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Mapping, Sequence

from keras_hkd.checked_folder import DamagedFolderError, check_folder, replacing_folder
from keras_hkd.errors import InvalidValueError
from keras_hkd.messages import did_you_mean
from keras_hkd.zoo.card_text import card_text
from keras_hkd.zoo.catalogue import preset_folder

CARD = "card.json"
TEXT = "card.md"

FACTS = {
    "summary": "one line about it",
    "intended_use": "what it is for, and what not",
    "licence": "licence of the weights",
    "start": "list of {name, origin, licence, trained_on}: the weights that training began from",
    "photographs": "list of {name, number, licence}: what it was trained on",
    "recipe": "list of lines: what was done, in order, with the command",
    "seeds": "list of whole numbers",
    "limits": "list of lines: where it fails, as pictures that a reader can make",
}
"""What the maker of a preset states about it, by name."""

MEASURED = {
    "image_size": "[height, width] in pixels of the TFLite twin",
    "thresholds": "{score_threshold, nms_iou_threshold, max_detections} that it was measured with",
    "parameters": "number of weights",
    "parameters_folded": "the same with BatchNorm folded into the convolutions before it",
    "bytes": "{file: size}",
    "gflops": "{HEIGHTxWIDTH: billions of operations of one image}",
    "scores": "list of {photographs, num_images, image_size, file, AP, AP50, ...}, main list first",
    "latency": "list of {file, image_size, threads, median_ms, p90_ms}",
    "machine": "{cpu, num_cpus, rounds, versions}: where latency was taken",
}
"""What `benchmarks/zoo_build.py` measures, by name."""

_PARTS = {
    "start": {"name", "origin", "licence", "trained_on"},
    "photographs": {"name", "number", "licence"},
}


def write_card(folder: str | os.PathLike, facts: Mapping, measured: Mapping) -> None:
    """Add `card.json` and `card.md` to a preset, whose checksums then cover them.

    Args:
        folder: folder of the preset; its name is the preset's.
        facts: what `FACTS` lists.
        measured: what `MEASURED` lists; numbers that are not known are None.

    Raises:
        FileNotFoundError: no preset in the folder.
        ValueError: something is missing, unknown, or not as listed; or the preset is damaged.
    """
    folder = preset_folder(pathlib.Path(os.path.abspath(folder)))
    _check("facts", facts, FACTS)
    _check("measured", measured, MEASURED)
    _check_parts(facts)
    card = {"facts": dict(facts), "measured": dict(measured)}
    text = json.dumps(card, indent=1, allow_nan=False, ensure_ascii=False)
    with replacing_folder(folder, keep=True) as partial:
        (partial / CARD).write_text(text + "\n", encoding="utf-8")
        (partial / TEXT).write_text(card_text(folder.name, card), encoding="utf-8")


def read_card(name_or_folder: str | os.PathLike) -> dict | None:
    """Read what `write_card` wrote.

    Args:
        name_or_folder: one of `keras_hkd.list_presets()`, or the folder of a preset.

    Returns:
        dict of `facts` and `measured`; None of a preset without card.

    Raises:
        FileNotFoundError: no such preset; the nearest names are shown.
        ValueError: files of it are missing, altered or damaged.
    """
    folder = preset_folder(name_or_folder)
    if CARD not in check_folder(folder):
        return None
    try:
        return json.loads((folder / CARD).read_text(encoding="utf-8"))
    except ValueError as error:
        raise DamagedFolderError(f"'{folder / CARD}' is no JSON: {error}") from error


def headline(card: Mapping | None) -> dict:
    """Return the figures of a card that a table of presets shows.

    Those of its first test list, at the size of its TFLite twin.

    Args:
        card: what `read_card` gave.

    Returns:
        dict of `parameters`, `image_size`, `int8_bytes`, `photographs`, `AP`, `AP_int8`, `AP50`,
        `MR2` and `latency_ms` (int8, one thread); what the card does not say is left out.
    """
    if card is None:
        return {}
    measured = card["measured"]
    size = size_text(measured["image_size"])
    first = measured["scores"][0]["photographs"] if measured["scores"] else None
    rows = {
        row["file"]: row
        for row in reversed(measured["scores"])
        if (row["photographs"], row["image_size"]) == (first, size)
    }
    times = [
        row["median_ms"]
        for row in measured["latency"]
        if (row["file"], row["image_size"], row["threads"]) == ("int8", size, 1)
    ]
    whole, int8 = rows.get("float32", {}), rows.get("int8", {})
    found = {
        "parameters": measured["parameters_folded"],
        "image_size": measured["image_size"],
        "int8_bytes": measured["bytes"].get("int8.tflite"),
        "photographs": first,
        "AP": whole.get("AP"),
        "AP_int8": int8.get("AP"),
        "AP50": whole.get("AP50"),
        "MR2": whole.get("MR2"),
        "latency_ms": times[0] if times else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def size_text(image_size: Sequence[int]) -> str:
    """Format `(height, width)` as cards do.

    Example:

    >>> size_text((320, 416))
    '320x416'
    """
    height, width = image_size
    return f"{height}x{width}"


def _check(what: str, given: Mapping, wanted: Mapping[str, str]) -> None:
    missing = [f"{name} ({wanted[name]})" for name in wanted if name not in given]
    if missing:
        raise InvalidValueError(f"`{what}` of a card must also have: {'; '.join(missing)}.")
    for name in given:
        if name not in wanted:
            raise InvalidValueError(
                f"`{what}` of a card must be {', '.join(wanted)}.{did_you_mean(name, wanted)} "
                f"Received: {name!r}"
            )


def _check_parts(facts: Mapping) -> None:
    for name in ("start", "photographs", "recipe", "seeds", "limits"):
        if not isinstance(facts[name], list) or not facts[name]:
            raise InvalidValueError(f"`{name}` must be a {FACTS[name]}. Received: {facts[name]!r}")
    for name, keys in _PARTS.items():
        for part in facts[name]:
            if not isinstance(part, Mapping) or set(part) != keys:
                raise InvalidValueError(f"`{name}` must be a {FACTS[name]}. Received: {part!r}")
