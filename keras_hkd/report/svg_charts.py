"""Charts as inline SVG, whose colours the page's style sheet sets: they suit print and dark mode.

Lines and marks have the classes `teacher`, `s0`, `s1`, ...; text and axes take the text's colour.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from markupsafe import Markup, escape

WIDTH, HEIGHT = 460, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 12, 10, 44
_LEAST_LOG_RATIO = 5


@dataclasses.dataclass(frozen=True)
class Series:
    """One line of a chart.

    Args:
        name: what the reader is told when the mouse is on it.
        points: pairs of x and y; where y is None or not finite the line is broken.
        style: class of its colour: "teacher", "s0", "s1", ...; "guide" for a helping line.
        marks: whether points are marked.
        dashed: whether the line is broken.
    """

    name: str
    points: Sequence[tuple[float, float | None]]
    style: str = "s0"
    marks: bool = False
    dashed: bool = False

    @property
    def finite(self) -> list[tuple[float, float]]:
        """The points that can be drawn."""
        return [(x, y) for x, y in self.points if y is not None and math.isfinite(y)]


@dataclasses.dataclass(frozen=True)
class Axis:
    """One axis of a chart.

    Args:
        label: what it measures, with the unit.
        low: smallest value; that of the data by default.
        high: largest value; that of the data by default.
        log: whether it is logarithmic where values differ by a factor of five or more; values of 0
            and below are left out.
        whole: whether only whole numbers are marked.
    """

    label: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    whole: bool = False


def line_chart(title: str, series: Sequence[Series], x: Axis, y: Axis) -> Markup:
    """Draw lines over two axes.

    Args:
        title: what the chart shows, for readers who do not see it.
        series: the lines; those without a point are left out.
        x: the horizontal axis.
        y: the vertical axis.

    Returns:
        An `<svg>` element; "" if there is no point at all.

    Example:

    >>> line_chart("loss", [Series("a", [(1, 2.0), (2, 1.0)])], Axis("epoch"), Axis("loss"))[:4]
    Markup('<svg')
    """
    drawn = [(one, _usable(one, x, y)) for one in series]
    drawn = [(one, points) for one, points in drawn if points]
    if not drawn:
        return Markup("")
    everything = [point for _, points in drawn for point in points]
    across = _Scale(x, [p[0] for p in everything], _LEFT, WIDTH - _RIGHT)
    up = _Scale(y, [p[1] for p in everything], HEIGHT - _BOTTOM, _TOP)
    parts = _frame(title, x, y, across, up)
    for one, _ in drawn:
        shown = one.name
        classes = f"line {one.style}" + (" dashed" if one.dashed else "")
        for piece in _pieces(one, x, y):
            where = " ".join(f"{across(a):.1f},{up(b):.1f}" for a, b in piece)
            if len(piece) > 1:
                parts.append(
                    f'<polyline class="{classes}" points="{where}">'
                    f"<title>{escape(shown)}</title></polyline>"
                )
            if one.marks or len(piece) == 1:
                parts += [
                    f'<circle class="mark {one.style}" cx="{across(a):.1f}" cy="{up(b):.1f}" r="3">'
                    f"<title>{escape(shown)}: {a:.3g}, {b:.3g}</title></circle>"
                    for a, b in piece
                ]
    return Markup("".join([*parts, "</svg>"]))


def bar_chart(
    title: str,
    names: Sequence[str],
    bars: Sequence[tuple[str, str, Sequence[float | None]]],
    y: Axis,
) -> Markup:
    """Draw groups of bars from 0.

    Args:
        title: what the chart shows, for readers who do not see it.
        names: of the groups, from left to right.
        bars: for each bar of a group its name, the class of its colour, and a value for each group;
            None leaves it out.
        y: the vertical axis; from 0.

    Returns:
        An `<svg>` element; "" if there is no value at all.

    Example:

    >>> bar_chart("AP", ["small", "large"], [("student", "s0", [0.1, 0.4])], Axis("AP"))[:4]
    Markup('<svg')
    """
    values = [v for _, _, row in bars for v in row if v is not None and math.isfinite(v)]
    if not values:
        return Markup("")
    y = dataclasses.replace(y, low=0.0)
    up = _Scale(y, [*values, 0.0], HEIGHT - _BOTTOM, _TOP)
    parts = _frame(title, Axis(""), y, None, up)
    step = (WIDTH - _LEFT - _RIGHT) / len(names)
    width = 0.8 * step / len(bars)
    for number, name in enumerate(names):
        start = _LEFT + number * step + 0.1 * step
        parts.append(
            f'<text x="{start + 0.4 * step:.1f}" y="{HEIGHT - _BOTTOM + 16}" '
            f'text-anchor="middle">{escape(name)}</text>'
        )
        for place, (label, style, row) in enumerate(bars):
            value = row[number]
            if value is None or not math.isfinite(value):
                continue
            top = up(value)
            parts.append(
                f'<rect class="bar {style}" x="{start + place * width:.1f}" y="{top:.1f}" '
                f'width="{width - 1:.1f}" height="{max(up(0.0) - top, 0):.1f}">'
                f"<title>{escape(label)}, {escape(name)}: {value:.3f}</title></rect>"
            )
    return Markup("".join([*parts, "</svg>"]))


class _Scale:
    """Maps values of an axis to pixels."""

    def __init__(self, axis: Axis, values: Sequence[float], start: float, stop: float) -> None:
        low = min(values) if axis.low is None else axis.low
        high = max(values) if axis.high is None else axis.high
        self.log = axis.log and high >= _LEAST_LOG_RATIO * low
        if self.log:
            low, high = math.log10(low), math.log10(high)
        if high <= low:
            pad = 0.5 if axis.whole else max(abs(low), 1e-6) * 0.05
            low, high = low - pad, high + pad
        elif axis.low is None and not axis.whole:
            low -= 0.04 * (high - low)
        if axis.high is None and not axis.whole:
            high += 0.04 * (high - low)
        self.low, self.high, self.start, self.stop = low, high, start, stop
        self.ticks = _log_ticks(low, high) if self.log else _ticks(low, high, axis.whole)

    def __call__(self, value: float) -> float:
        place = math.log10(value) if self.log else value
        share = (place - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)


def _usable(one: Series, x: Axis, y: Axis) -> list[tuple[float, float]]:
    return [p for p in one.finite if (not x.log or p[0] > 0) and (not y.log or p[1] > 0)]


def _pieces(one: Series, x: Axis, y: Axis) -> list[list[tuple[float, float]]]:
    """Cut a line where a point is missing."""
    pieces, piece = [], []
    allowed = set(_usable(one, x, y))
    for point in one.points:
        if point in allowed:
            inside = (x.low is None or point[0] >= x.low) and (x.high is None or point[0] <= x.high)
            if inside:
                piece.append((point[0], float(point[1] or 0.0)))
        elif piece:
            pieces, piece = [*pieces, piece], []
    return [*pieces, piece] if piece else pieces


def _ticks(low: float, high: float, whole: bool) -> list[tuple[float, str]]:
    """Place about five marks at round numbers."""
    rough = (high - low) / 5
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * f for f in (1, 2, 5, 10) if size * f >= rough * 0.999)
    if whole:
        step = max(1.0, math.ceil(step))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return [(n * step, f"{n * step:.{digits}f}") for n in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Mark decades; of an axis shorter than two, 2 and 5 as well."""
    factors = (1, 2, 5) if high - low < 2 else (1,)
    marks = [f * 10.0**e for e in range(math.floor(low), math.ceil(high) + 1) for f in factors]
    return [(m, f"{m:g}") for m in marks if low - 1e-9 <= math.log10(m) <= high + 1e-9]


def _frame(title: str, x: Axis, y: Axis, across: _Scale | None, up: _Scale) -> list[str]:
    parts = [
        f'<svg class="chart" role="img" aria-label="{escape(title)}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" xmlns="http://www.w3.org/2000/svg">'
    ]
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    for value, label in up.ticks:
        place = up(value)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{place:.1f}" y2="{place:.1f}"/>'
        )
        parts.append(
            f'<text x="{_LEFT - 6}" y="{place + 4:.1f}" text-anchor="end">{escape(label)}</text>'
        )
    for value, label in across.ticks if across is not None else ():
        place = across(value) if across is not None else 0.0
        parts.append(
            f'<line class="grid" x1="{place:.1f}" x2="{place:.1f}" y1="{_TOP}" y2="{bottom}"/>'
        )
        parts.append(
            f'<text x="{place:.1f}" y="{bottom + 16}" text-anchor="middle">{escape(label)}</text>'
        )
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>')
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{_LEFT}" y1="{_TOP}" y2="{bottom}"/>')
    middle = (_LEFT + right) / 2
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x.label)}</text>'
    )
    height = (_TOP + bottom) / 2
    parts.append(
        f'<text transform="translate(12 {height}) rotate(-90)" text-anchor="middle">'
        f"{escape(y.label)}</text>"
    )
    return parts


def legend(entries: Sequence[tuple[str, str]]) -> Markup:
    """Write the names of colours as a list.

    Args:
        entries: pairs of the class of a colour and what it stands for.

    Example:

    >>> legend([("s0", "student alone")])
    Markup('<ul class="legend"><li><span class="swatch s0"></span>student alone</li></ul>')
    """
    rows = [
        f'<li><span class="swatch {style}"></span>{escape(name)}</li>' for style, name in entries
    ]
    return Markup(f'<ul class="legend">{"".join(rows)}</ul>')
