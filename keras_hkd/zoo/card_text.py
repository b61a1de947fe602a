"""Writes a card as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

_SCORES = {
    "AP": "AP",
    "AP50": "AP50",
    "AP75": "AP75",
    "AP_small": "small",
    "AP_medium": "medium",
    "AP_large": "large",
    "MR2": "MR-2",
}


def card_text(name: str, card: Mapping) -> str:
    """Write a card as Markdown.

    Args:
        name: name of the preset.
        card: dict of `facts` and `measured`, see `keras_hkd.zoo.write_card`.
    """
    facts, measured = card["facts"], card["measured"]
    parts = [
        f"# {name}",
        facts["summary"],
        f"**Use.** {facts['intended_use']}",
        f"**Licence.** {facts['licence']}",
        "## How good",
        _scores(measured),
        "## What it costs",
        _cost(measured),
        "## Where it comes from",
        _table(("start", "origin", "licence", "trained on"), _columns(facts["start"], _START)),
        _table(("photographs", "number", "licence"), _columns(facts["photographs"], _PHOTOGRAPHS)),
        "## Recipe",
        _list(facts["recipe"]),
        f"Seeds: {', '.join(map(str, facts['seeds']))}.",
        "## Where it fails",
        _list(facts["limits"]),
    ]
    return "\n\n".join(parts) + "\n"


_START = ("name", "origin", "licence", "trained_on")
_PHOTOGRAPHS = ("name", "number", "licence")


def _scores(measured: Mapping) -> str:
    headings = ("photographs", "number", "size", "file", *_SCORES.values())
    rows = [
        (
            *(row[key] for key in ("photographs", "num_images", "image_size", "file")),
            *(_number(row.get(key), 3) for key in _SCORES),
        )
        for row in measured["scores"]
    ]
    limits = measured["thresholds"]
    about = (
        "Test lists, which were neither trained on nor used to choose. AP of people as COCO counts "
        "it, small below 32x32 pixels, large above 96x96; MR-2, lower is better. Detections that "
        f"score above {limits['score_threshold']:g}, at most {limits['max_detections']} an image, "
        f"suppressed at an IoU of {limits['nms_iou_threshold']:g}."
    )
    return f"{_table(headings, rows)}\n\n{about}"


def _cost(measured: Mapping) -> str:
    files = "; ".join(f"`{name}` {size:,} bytes" for name, size in measured["bytes"].items())
    operations = "; ".join(
        f"{_number(value, 3)} at {size}" for size, value in measured["gflops"].items()
    )
    machine = measured["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    rows = [
        (
            *(row[key] for key in ("file", "image_size", "threads")),
            *(_number(row[key], 2) for key in ("median_ms", "p90_ms")),
        )
        for row in measured["latency"]
    ]
    return "\n\n".join(
        (
            f"{measured['parameters_folded']:,} parameters with BatchNorm folded into the "
            f"convolutions ({measured['parameters']:,} with it). {files}. GFLOPs of an image: "
            f"{operations}.",
            _table(("TFLite file", "size", "threads", "median ms", "90th percentile ms"), rows),
            f"Latency of one image, decoding and suppression included, median of "
            f"{machine['rounds']} rounds in turn: LiteRT on {machine['cpu']}, "
            f"{machine['num_cpus']} cores ({versions}).",
        )
    )


def _columns(rows: Iterable[Mapping], keys: Sequence[str]) -> list[tuple]:
    return [tuple(row[key] for key in keys) for row in rows]


def _table(headings: Sequence[str], rows: Iterable[Sequence]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(str(x).replace('|', '/') for x in line)} |" for line in lines)


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
