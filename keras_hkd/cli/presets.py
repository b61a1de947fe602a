"""`keras-hkd presets`: the detectors that come with the package, and their cards."""

from typing import Annotated

import typer

from keras_hkd.cli import options
from keras_hkd.cli.console import figures, print_json
from keras_hkd.errors import InvalidValueError
from keras_hkd.zoo.cards import TEXT, headline, read_card, size_text
from keras_hkd.zoo.catalogue import list_presets, preset_folder

ORDER = 80

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]",
        help="A preset, or the folder of one, whose card to show.",
        show_default=False,
    ),
]


def command(
    name: Name = None,
    json: options.Json = False,
    config: options.Config = None,
) -> None:
    """List the detectors that come with the package, or show the card of one.

    Parameters are counted with BatchNorm folded; AP and MR-2 are of people on the card's first test
    list, at the size in pixels; "int8" is the TFLite twin with which `keras-hkd detect` works.
    """
    if name is None:
        rows = {preset: headline(read_card(preset)) for preset in list_presets()}
        print_json(rows) if json else _print_table(rows)
        return
    card = read_card(name)
    if card is None:
        raise InvalidValueError(
            f"The preset {name!r} has no card. `keras_hkd.zoo.write_card` makes one."
        )
    if json:
        print_json(card)
    else:
        print((preset_folder(name) / TEXT).read_text(encoding="utf-8"), end="")


def _print_table(rows: dict[str, dict]) -> None:
    import rich.box
    import rich.table

    lists = sorted({row["photographs"] for row in rows.values() if "photographs" in row})
    table = rich.table.Table(
        title=f"Presets, measured on {', '.join(lists)}" if lists else "Presets",
        title_justify="left",
        box=rich.box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    # Narrow enough for a terminal of 80 columns; where even that is too much, folded and never cut.
    table.add_column("preset", overflow="fold")
    scores = ("AP", "AP\nint8", "AP50", "MR-2")
    for heading in ("parameters", "pixels", *scores, "kB\nint8", "ms\nint8"):
        table.add_column(heading, justify="right", overflow="fold")
    for name, row in sorted(rows.items(), key=lambda item: -item[1].get("parameters", 0)):
        table.add_row(
            name,
            f"{row['parameters']:,}" if "parameters" in row else "",
            size_text(row["image_size"]) if "image_size" in row else "",
            *(_number(row, key, 3) for key in ("AP", "AP_int8", "AP50", "MR2")),
            f"{row['int8_bytes'] / 1000:.0f}" if "int8_bytes" in row else "",
            _number(row, "latency_ms", 1),
        )
    figures().print(table)


def _number(row: dict, key: str, digits: int) -> str:
    return f"{row[key]:.{digits}f}" if key in row else ""
