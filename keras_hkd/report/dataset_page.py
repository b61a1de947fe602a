"""What a check of labelled images found, as one HTML page that needs no other file."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence

MOST_ROWS = 100

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 1100px; padding: 0 1em; }
img { max-width: 100%; }
table { border-collapse: collapse; }
td, th { border-bottom: 1px solid #8884; padding: .2em .8em .2em 0; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
td.number { text-align: right; white-space: nowrap; }
summary { cursor: pointer; }
"""
_CAPTIONS = {
    "histograms": ("Sizes", "Ignore regions are left aside."),
    "contact_sheet": ("Pictures", "Spread evenly over the dataset; ignore regions are grey."),
    "odd_boxes": ("Boxes that look wrong", "Some of each kind, in green; their neighbours grey."),
    "duplicates": ("Pictures that are there twice", "The number before the name is the group's."),
}


def page(found: Mapping, pictures: Mapping[str, bytes]) -> str:
    """Write the page.

    Args:
        found: what `check_dataset` gives.
        pictures: name -> PNG.

    Returns:
        HTML, with the pictures in it.
    """
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'>",
        f"<title>Check of labelled images</title><style>{_STYLE}</style></head><body>",
        "<h1>Check of labelled images</h1>",
        f"<p>{html.escape(found['summary'])}</p>",
        _table(overview(found)),
        *_picture("histograms", pictures),
        *_quantiles(found),
        *_picture("contact_sheet", pictures),
        *_picture("odd_boxes", pictures),
        *_odd_boxes(found),
        *_picture("duplicates", pictures),
        *_duplicates(found),
        *_skipped(found),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def overview(found: Mapping) -> list[tuple[str, int, str]]:
    """List what was found, how often, and a remark, as rows of a table.

    Args:
        found: what `check_dataset` gives.
    """
    groups = found["duplicates"]
    copies = {kind: sum(len(group["images"]) for group in groups[kind]) for kind in groups}
    rows = [
        ("images", found["images"], ""),
        ("images without a box", found["images_without_boxes"], ""),
        *((f"boxes: {name}", count, "") for name, count in found["classes"].items()),
        ("ignore regions", found["ignore_regions"], ""),
        ("records skipped", len(found["skipped"]), "faulty; listed in check.json"),
        ("identical images", copies["identical"], _groups(groups["identical"])),
        ("near-duplicates", copies["near"], _groups(groups["near"])),
    ]
    odd = found["odd_boxes"]
    rows += [(kind.replace("_", " "), one["count"], one["meaning"]) for kind, one in odd.items()]
    return rows


def _groups(groups: Sequence[Mapping]) -> str:
    if not groups:
        return ""
    text = f"in {len(groups)} group{'s' if len(groups) > 1 else ''}"
    several = sum(group["in_several_sources"] for group in groups)
    differ = sum(not group["same_labels"] for group in groups)
    text += f", {several} across the sources given" if several else ""
    return text + (f", {differ} with different boxes" if differ else "")


def _table(rows: Iterable[Sequence], headings: Sequence[str] = ()) -> str:
    head = "".join(f"<th>{html.escape(text)}</th>" for text in headings)
    lines = [f"<tr>{head}</tr>"] if headings else []
    for row in rows:
        cells = "".join(
            f"<td class='number'>{value:,}</td>"
            if isinstance(value, int)
            else f"<td>{html.escape(str(value))}</td>"
            for value in row
        )
        lines.append(f"<tr>{cells}</tr>")
    return f"<table>{''.join(lines)}</table>"


def _picture(name: str, pictures: Mapping[str, bytes]) -> list[str]:
    if name not in pictures:
        return []
    title, caption = _CAPTIONS[name]
    data = base64.b64encode(pictures[name]).decode("ascii")
    return [
        f"<h2>{title}</h2><p>{caption}</p>",
        f"<img alt='{title}' src='data:image/png;base64,{data}'>",
    ]


def _quantiles(found: Mapping) -> list[str]:
    names = {
        "box_height_px": "height of boxes, px",
        "box_aspect": "width / height of boxes",
        "boxes_per_image": "boxes in a picture",
    }
    spreads = {label: found[key]["quantiles"] for key, label in names.items()}
    spreads = {label: spread for label, spread in spreads.items() if spread}
    if not spreads:
        return []
    shares = list(next(iter(spreads.values())))
    rows = [[label, *(f"{v:.3g}" for v in spread.values())] for label, spread in spreads.items()]
    sizes = found["image_sizes"]
    more = found["other_image_sizes"]
    listed = ", ".join(f"{s['width']} x {s['height']} ({s['images']:,})" for s in sizes)
    listed += f" and {more:,} more" if more else ""
    coco = ", ".join(f"{name} {count:,}" for name, count in found["coco_sizes"].items())
    return [
        _table(rows, ["share of values below", *(f"{float(share):.0%}" for share in shares)]),
        f"<p>By COCO's areas: {coco}. Sizes of pictures: {html.escape(listed)}.</p>",
    ]


def _folded(title: str, table: str, num_rows: int) -> str:
    more = f", the first {MOST_ROWS} of them" if num_rows > MOST_ROWS else ""
    return f"<details><summary>{html.escape(title)}: {num_rows:,}{more}</summary>{table}</details>"


def _odd_boxes(found: Mapping) -> list[str]:
    parts = []
    for kind, one in found["odd_boxes"].items():
        if one["count"]:
            rows = [
                [box["file"], box["class"], ", ".join(f"{v:g}" for v in box["box"]), box["detail"]]
                for box in one["boxes"][:MOST_ROWS]
            ]
            table = _table(rows, ["picture", "class", "left, top, right, bottom", ""])
            parts.append(
                _folded(f"{kind.replace('_', ' ')} ({one['meaning']})", table, one["count"])
            )
    return parts


def _duplicates(found: Mapping) -> list[str]:
    parts = []
    number = 1
    for kind, title in (("identical", "identical files"), ("near", "near-duplicates")):
        rows = []
        for group in found["duplicates"][kind]:
            files = ", ".join(image["file"] for image in group["images"])
            remarks = ["" if group["same_labels"] else "different boxes"]
            remarks += ["in several sources"] if group["in_several_sources"] else []
            rows.append([number, files, ", ".join(filter(None, remarks))])
            number += 1
        if rows:
            table = _table(rows[:MOST_ROWS], ["group", "pictures", ""])
            parts.append(_folded(title, table, len(rows)))
    return parts


def _skipped(found: Mapping) -> list[str]:
    skipped = found["skipped"]
    if not skipped:
        return []
    rows = [[one["file"], one["record"], one["problem"]] for one in skipped[:MOST_ROWS]]
    table = _table(rows, ["file", "record", "problem"])
    return ["<h2>Records that were skipped</h2>", _folded("faulty records", table, len(skipped))]
