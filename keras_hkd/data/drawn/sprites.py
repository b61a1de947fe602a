"""Small drawn pictures with a mask of the pixels of a person's body."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageDraw

_THING, _BODY = 1, 2


def tint(colour: Any, factor: float) -> tuple[int, int, int]:
    """Make a colour darker (factor below 1) or lighter.

    Args:
        colour: three numbers in [0, 255].
        factor: what each is multiplied by, at least 0.

    Example:

    >>> tint((100, 200, 40), 0.5)
    (50, 100, 20)
    """
    red, green, blue = colour
    return (
        min(255, int(red * factor)),
        min(255, int(green * factor)),
        min(255, int(blue * factor)),
    )


def choose(rng: np.random.Generator, **weights: float) -> str:
    """Draw one of the named choices.

    Args:
        rng: the source of randomness.
        weights: how often each is drawn, relative to the others.

    Example:

    >>> choose(np.random.default_rng(0), heads=1, tails=0)
    'heads'
    """
    left = rng.random() * sum(weights.values())
    for name, weight in weights.items():
        left -= weight
        if left < 0:
            return name
    return name


class Sprite:
    """A small picture to be pasted into a scene, drawn in units about an origin.

    Args:
        unit_px: pixels per unit.
        left: how far the picture reaches to the left of the origin, in units.
        top: how far it reaches above the origin.
        right: how far it reaches to the right.
        bottom: how far it reaches below.

    Attributes:
        image: what is drawn, RGB.
        cover: 255 where anything is drawn; known once finished, as are the following.
        body: 255 where the body of a person shows; things in front of it are cut out.
        whole_box: (x1, y1, x2, y2) of the whole body in pixels of the sprite, None if it has none.
        num_whole_pixels: size of the whole body in pixels.
    """

    def __init__(
        self, unit_px: float, left: float, top: float, right: float, bottom: float
    ) -> None:
        self.unit_px, self.left, self.top = unit_px, left, top
        size = (int((left + right) * unit_px) + 2, int((top + bottom) * unit_px) + 2)
        self.image, self._parts = Image.new("RGB", size), Image.new("L", size)
        self._draw, self._mark = ImageDraw.Draw(self.image), ImageDraw.Draw(self._parts)
        self.part = _THING
        self.cover = self.body = Image.new("L", size)
        self.whole_box: tuple[int, int, int, int] | None = None
        self.num_whole_pixels = 0

    def begin_body(self) -> None:
        """Mark what is drawn from now on as a person's body."""
        self.part = _BODY

    def end_body(self) -> None:
        """Mark what is drawn from now on as something that may hide the body."""
        body = np.asarray(self._parts) == _BODY
        self.whole_box, self.num_whole_pixels = _bounds(body), int(np.count_nonzero(body))
        self.part = _THING

    def px(self, points: Any) -> list[tuple[float, float]]:
        """Convert points in units to pixels of the sprite."""
        unit, left, top = self.unit_px, self.left, self.top
        return [((x + left) * unit, (y + top) * unit) for x, y in points]

    def polygon(self, points: Any, colour: Any) -> None:
        """Fill a polygon, its corners in units."""
        points = self.px(points)
        self._draw.polygon(points, colour)
        self._mark.polygon(points, self.part)

    def ellipse(self, x: float, y: float, radius_x: float, radius_y: float, colour: Any) -> None:
        """Fill an ellipse about (x, y), in units."""
        box = self.px([(x - radius_x, y - radius_y), (x + radius_x, y + radius_y)])
        self._draw.ellipse(box, colour)
        self._mark.ellipse(box, self.part)

    def limb(
        self,
        start: tuple[float, float],
        end: Any,
        start_width: float,
        end_width: float,
        colour: Any,
    ) -> None:
        """Fill a tapered bar with round ends between two points, in units."""
        (x0, y0), (x1, y1) = start, end
        length = max(math.hypot(x1 - x0, y1 - y0), 1e-6)
        nx, ny = (y0 - y1) / length / 2, (x1 - x0) / length / 2
        a, b = start_width, end_width
        corners = [(x0 + nx * a, y0 + ny * a), (x1 + nx * b, y1 + ny * b)]
        corners += [(x1 - nx * b, y1 - ny * b), (x0 - nx * a, y0 - ny * a)]
        self.polygon(corners, colour)
        self.ellipse(x0, y0, a / 2, a / 2, colour)
        self.ellipse(x1, y1, b / 2, b / 2, colour)

    def pattern(self, points: Any, kind: str, colour: Any) -> None:
        """Lay "rows", "columns", "checks", a "band" or an "open" front over a polygon."""
        points = np.array(self.px(points))
        corner = np.floor(points.min(0))
        points -= corner
        right, bottom = points.max(0)
        size = (int(right) + 2, int(bottom) + 2)
        mask, shown = Image.new("L", size), Image.new("L", size)
        ImageDraw.Draw(mask).polygon([tuple(point) for point in points], 255)
        draw, step = ImageDraw.Draw(shown), max(3.0, bottom / 6)
        if kind in ("rows", "checks"):
            for y in np.arange(0, bottom, step):
                draw.rectangle((0, y, right, y + step / 2), 255)
        if kind in ("columns", "checks"):
            for x in np.arange(0, right, step):
                draw.rectangle((x, 0, x + step / 3, bottom), 255)
        if kind == "band":
            draw.rectangle((0, bottom * 0.3, right, bottom * 0.6), 255)
        if kind == "open":
            draw.rectangle(((right - step) / 2, 0, (right + step) / 2, bottom), 255)
        place = (int(corner[0]), int(corner[1]))
        self.image.paste(
            colour, (*place, place[0] + size[0], place[1] + size[1]), ImageChops.darker(mask, shown)
        )

    def finish(self, light: float) -> Sprite:
        """Cut the sprite to what is drawn and darkens one side, so that figures look round.

        Args:
            light: from -1 (dark on the left) to 1 (dark on the right).
        """
        box = self._parts.getbbox() or (0, 0, 1, 1)
        parts = np.asarray(self._parts.crop(box))
        self.cover, self.body = _as_mask(parts > 0), _as_mask(parts == _BODY)
        if self.whole_box:
            left, top, right, bottom = self.whole_box
            self.whole_box = (left - box[0], top - box[1], right - box[0], bottom - box[1])
        self.left -= box[0] / self.unit_px
        self.top -= box[1] / self.unit_px
        image = self.image.crop(box)
        ramp = np.linspace(0, 110 * abs(light), image.width)[:: 1 if light > 0 else -1]
        shade = Image.fromarray((255 - ramp).astype(np.uint8)[None]).convert("RGB")
        self.image = ImageChops.multiply(image, shade.resize(image.size, Image.Resampling.NEAREST))
        return self


def _as_mask(chosen: np.ndarray) -> Image.Image:
    return Image.fromarray(chosen.view(np.uint8) * np.uint8(255))


def _bounds(chosen: np.ndarray) -> tuple[int, int, int, int] | None:
    columns, rows = np.flatnonzero(chosen.any(0)), np.flatnonzero(chosen.any(1))
    if not columns.size:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
