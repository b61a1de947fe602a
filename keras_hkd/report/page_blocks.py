"""The parts that a report's page is made of; the template `run_report.html` writes each kind."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from PIL import Image


@dataclasses.dataclass(frozen=True)
class Text:
    """A paragraph.

    Args:
        text: plain text.
        strong: whether it is what the reader should see first.
    """

    text: str
    strong: bool = False
    kind: str = "text"


@dataclasses.dataclass(frozen=True)
class Table:
    """A table whose first column is text and whose others are numbers.

    Args:
        headings: of the columns.
        rows: cells as text.
        caption: what it shows.
        numbers: whether the other columns are numbers, and stand to the right.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    numbers: bool = True
    kind: str = "table"


@dataclasses.dataclass(frozen=True)
class Charts:
    """Charts beside one another, with one legend.

    Args:
        charts: pairs of a heading and an `<svg>` element; empty ones are left out.
        legend: what the colours stand for.
    """

    charts: Sequence[tuple[str, Markup]]
    legend: Markup = Markup("")
    kind: str = "charts"


@dataclasses.dataclass(frozen=True)
class Code:
    """Lines as they can be given to a shell.

    Args:
        lines: the lines.
    """

    lines: Sequence[str]
    kind: str = "code"


@dataclasses.dataclass(frozen=True)
class Mark:
    """A box on a picture.

    Args:
        box: left, top, width, height in pixels of the picture as it was given to `shot`.
        style: class of its colour.
        title: what the reader is told when the mouse is on it.
    """

    box: tuple[float, float, float, float]
    style: str
    title: str


@dataclasses.dataclass(frozen=True)
class Shot:
    """A picture in the page itself, with boxes over it.

    Args:
        uri: the picture as a `data:` address.
        size: `(width, height)` in the pixels of the marks.
        alt: what it shows, for readers who do not see it.
        caption: what is written below it.
        marks: the boxes.
    """

    uri: str
    size: tuple[int, int]
    alt: str
    caption: str = ""
    marks: Sequence[Mark] = ()


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Pictures beside one another.

    Args:
        shots: the pictures.
        legend: what the colours of boxes stand for.
        columns: how many to a row; 0 for as many as fit.
        headings: of the columns.
    """

    shots: Sequence[Shot]
    legend: Markup = Markup("")
    columns: int = 0
    headings: Sequence[str] = ()
    kind: str = "pictures"


@dataclasses.dataclass(frozen=True)
class Section:
    """A section of the page.

    Args:
        id: its anchor.
        title: its heading.
        lead: how to read it, in a sentence or two.
        blocks: what it holds.
        absent: why it holds nothing, as a sentence; "" where it does.
    """

    id: str
    title: str
    lead: str = ""
    blocks: Sequence[Text | Table | Charts | Code | Pictures] = ()
    absent: str = ""


def shot(
    image: np.ndarray,
    alt: str,
    caption: str = "",
    marks: Sequence[Mark] = (),
    most_px: int = 420,
) -> Shot:
    """Put a picture into the page, made smaller where it is large.

    Args:
        image: `(height, width, 3)` uint8.
        alt: what it shows.
        caption: what is written below it.
        marks: boxes in the pixels of `image`.
        most_px: longest side that is stored.

    Example:

    >>> shot(np.zeros((600, 800, 3), np.uint8), "nothing").uri[:22]
    'data:image/jpeg;base64'
    """
    picture = Image.fromarray(np.ascontiguousarray(image))
    size = picture.size
    picture.thumbnail((most_px, most_px))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=82)
    data = base64.b64encode(stream.getvalue()).decode()
    return Shot(f"data:image/jpeg;base64,{data}", size, alt, caption, tuple(marks))
