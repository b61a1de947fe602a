"""Drawn surroundings: places, and the things in them that stand like people or hide them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from keras_hkd.data.drawn.people import draw_person, random_pose, stone_look
from keras_hkd.data.drawn.sprites import Sprite, choose, tint

_WALLS = (
    (176, 120, 92), (200, 184, 160), (150, 150, 154), (122, 88, 72), (214, 206, 190),
    (108, 118, 130), (190, 164, 120), (84, 84, 92), (168, 176, 180),
)  # fmt: skip
_SKIES = (
    ((96, 150, 214), (206, 226, 240)),
    ((150, 160, 172), (214, 216, 218)),
    ((60, 80, 130), (240, 180, 130)),
    ((24, 28, 48), (70, 70, 96)),
    ((120, 180, 220), (240, 240, 232)),
)
_GROUNDS = {
    "street": ((92, 92, 96), (110, 108, 106), (74, 76, 82)),
    "park": ((96, 132, 66), (122, 146, 80), (84, 108, 60), (170, 152, 108)),
    "plaza": ((176, 168, 154), (150, 146, 142), (196, 186, 166), (134, 112, 98)),
    "hall": ((190, 184, 176), (140, 122, 104), (116, 120, 126)),
    "shore": ((214, 196, 150), (232, 234, 238), (190, 172, 130)),
}
_LEAVES = ((58, 96, 48), (84, 124, 58), (44, 76, 44), (126, 130, 54), (160, 108, 44))
_CARS = (
    (170, 30, 34),
    (230, 230, 228),
    (40, 42, 48),
    (60, 90, 150),
    (150, 154, 158),
    (196, 160, 60),
)


def draw_place(rng: np.random.Generator, size: tuple[int, int], horizon: float) -> Image.Image:
    """Draw an empty place: sky or wall above, ground below, with what stands far off.

    Args:
        rng: the source of randomness.
        size: `(height, width)` of the picture in pixels.
        horizon: height of the eye line as a fraction of the picture's height, from the top.
    """
    place = choose(rng, street=4, park=2, plaza=2, hall=1.5, shore=1)
    height, width = size
    line = int(np.clip(horizon * height, 2, height - 2))
    ground = _pick(rng, _GROUNDS[place])
    sky = _pick(rng, _SKIES)
    image = Image.new("RGB", (width, height))
    image.paste(_gradient(sky[0], sky[1], (line, width)), (0, 0))
    image.paste(
        _gradient(tint(ground, 0.92), tint(ground, 1.06), (height - line, width)), (0, line)
    )
    draw = ImageDraw.Draw(image)
    {
        "street": _street,
        "park": _park,
        "plaza": _plaza,
        "hall": _hall,
        "shore": _shore,
    }[place](rng, draw, (height, width), line)
    return image.filter(ImageFilter.BoxBlur(float(rng.uniform(0.2, 1.6)) * height / 256))


def draw_thing(rng: np.random.Generator, person_px: float, kind: str | None = None) -> Sprite:
    """Draw something to stand among people: post, cone, tree, car, statue, poster, dog, ...

    Args:
        rng: the source of randomness.
        person_px: how tall an adult is at its distance, in pixels.
        kind: what to draw; None for something.
    """
    kind = kind or choose(
        rng, lamp=1.5, sign=1, bollard=1, cone=1, tree=1.5, car=1.2, bush=1, bin=0.8,
        poster=1, statue=1, dog=0.8, hydrant=0.7, fence=0.8, umbrella=0.7, rack=0.7,
    )  # fmt: skip
    if kind == "statue":
        height_px = person_px * rng.uniform(0.7, 1.1)
        return draw_person(rng, height_px, stone_look(rng), random_pose(rng))
    reach = {"car": (1.4, 1.0), "tree": (0.8, 2.2), "fence": (1.3, 0.9), "lamp": (0.4, 2.8)}
    across, up = reach.get(kind, (0.65, 1.9))
    sprite = Sprite(person_px, across, up, across, 0.1)
    _THINGS[kind](rng, sprite)
    return sprite.finish(float(rng.uniform(-0.7, 0.7)))


def _street(rng: np.random.Generator, draw: ImageDraw.ImageDraw, size: Any, line: float) -> None:
    _buildings(rng, draw, size, line)
    height, width = size
    kerb = line + (height - line) * rng.uniform(0.1, 0.4)
    draw.rectangle((0, line, width, kerb), _pick(rng, _GROUNDS["plaza"]))
    draw.line((0, kerb, width, kerb), (70, 70, 70), 2)
    if rng.random() < 0.6:  # road marks, or a zebra crossing
        vanish, step = rng.uniform(0, width), rng.uniform(0.08, 0.2) * width
        for x in np.arange(-width, 2 * width, step):
            points = [
                _towards(vanish, line, x + dx, height, along)
                for dx, along in ((0, 0.45), (step * 0.5, 0.45), (step * 0.5, 0.9), (0, 0.9))
            ]
            draw.polygon(points, (206, 206, 200))


def _park(rng: np.random.Generator, draw: ImageDraw.ImageDraw, size: Any, line: float) -> None:
    height, width = size
    for _ in range(rng.integers(6, 16)):
        radius = rng.uniform(0.05, 0.16) * height
        x, colour = rng.uniform(0, width), tint(_pick(rng, _LEAVES), rng.uniform(0.8, 1.1))
        draw.rectangle((x - radius / 8, line - radius, x + radius / 8, line + 2), (74, 56, 40))
        _circle(draw, x, line - radius * rng.uniform(0.8, 1.8), radius, colour)
    vanish, near = rng.uniform(0, width), rng.uniform(-0.2, 1.2) * width
    path = [(vanish - 2, line), (vanish + 2, line), (near + 0.25 * width, height), (near, height)]
    draw.polygon(path, (186, 170, 134))


def _plaza(rng: np.random.Generator, draw: ImageDraw.ImageDraw, size: Any, line: float) -> None:
    if rng.random() < 0.7:
        _buildings(rng, draw, size, line)
    _tiles(rng, draw, size, line, rng.uniform(0.82, 0.95))


def _hall(rng: np.random.Generator, draw: ImageDraw.ImageDraw, size: Any, line: float) -> None:
    height, width = size
    floor = line + (height - line) * rng.uniform(0.05, 0.3)
    wall = _pick(rng, _WALLS)
    draw.rectangle((0, 0, width, floor), wall)
    for _ in range(rng.integers(2, 7)):  # doors, windows, shelves, pictures
        x, y = rng.uniform(0, width), rng.uniform(0, floor * 0.7)
        right, bottom = x + rng.uniform(0.06, 0.3) * width, y + rng.uniform(0.1, 0.5) * height
        draw.rectangle((x, y, right, min(bottom, floor)), tint(wall, rng.uniform(0.5, 1.4)))
    _tiles(rng, draw, size, floor, rng.uniform(0.85, 0.97))


def _shore(rng: np.random.Generator, draw: ImageDraw.ImageDraw, size: Any, line: float) -> None:
    height, width = size
    sea = line + (height - line) * rng.uniform(0.05, 0.3)
    draw.rectangle(
        (0, line, width, sea), _pick(rng, ((70, 120, 160), (90, 140, 150), (150, 160, 170)))
    )
    for _ in range(rng.integers(0, 5)):
        x, tall = rng.uniform(0, width), rng.uniform(0.02, 0.2) * height
        hill = [(x - 3 * tall, line), (x, line - tall), (x + 2.5 * tall, line)]
        draw.polygon(hill, tint((110, 120, 116), rng.uniform(0.7, 1.2)))


def _buildings(rng: np.random.Generator, draw: ImageDraw.ImageDraw, size: Any, line: float) -> None:
    height, width = size
    x = -rng.uniform(0, 0.2) * width
    while x < width:
        right = x + rng.uniform(0.12, 0.45) * width
        roof = line - rng.uniform(0.2, 1.2) * line
        wall = tint(_pick(rng, _WALLS), rng.uniform(0.75, 1.1))
        draw.rectangle((x, roof, right, line + 2), wall)
        pane = tint(wall, rng.choice((0.45, 0.6, 1.35)))
        step_x, step_y = rng.uniform(0.05, 0.1) * width, rng.uniform(0.06, 0.12) * height
        wide, tall = step_x * rng.uniform(0.35, 0.7), step_y * rng.uniform(0.45, 0.75)
        for left in np.arange(x + step_x * 0.3, right - wide, step_x):
            for top in np.arange(roof + step_y * 0.4, line - tall, step_y):
                draw.rectangle((left, top, left + wide, top + tall), pane)
        x = right


def _tiles(
    rng: np.random.Generator, draw: ImageDraw.ImageDraw, size: Any, line: float, shade: float
) -> None:
    height, width = size
    colour = _pick(rng, ((120, 116, 110), (90, 90, 92), (206, 200, 190)))
    vanish = rng.uniform(0.2, 0.8) * width
    for x in np.arange(-2 * width, 3 * width, rng.uniform(0.15, 0.5) * width):
        draw.line((vanish, line, x, height), colour, 1)
    y = 0.02
    while y < 1:
        draw.line((0, line + y * (height - line), width, line + y * (height - line)), colour, 1)
        y /= shade**3


def _lamp(rng: np.random.Generator, s: Sprite) -> None:
    metal, tall = _pick(rng, ((50, 54, 58), (110, 114, 116), (60, 80, 70))), rng.uniform(1.2, 2.6)
    s.limb((0, 0), (0, -tall), 0.07, 0.045, metal)
    s.ellipse(0, 0, 0.08, 0.03, metal)
    if rng.random() < 0.5:
        s.ellipse(0, -tall, 0.1, 0.1, (236, 226, 190))
    else:
        s.limb((0, -tall), (0.28, -tall - 0.03), 0.04, 0.05, metal)


def _sign(rng: np.random.Generator, s: Sprite) -> None:
    tall, colour = (
        rng.uniform(0.9, 1.5),
        _pick(rng, ((190, 30, 30), (40, 80, 160), (230, 190, 40), (40, 120, 70))),
    )
    s.limb((0, 0), (0, -tall), 0.045, 0.045, (130, 132, 134))
    if rng.random() < 0.6:
        s.ellipse(0, -tall, 0.16, 0.16, colour)
        s.ellipse(0, -tall, 0.1, 0.1, (236, 236, 232))
    else:
        s.polygon(
            [(-0.16, -tall - 0.2), (0.16, -tall - 0.2), (0.16, -tall + 0.1), (-0.16, -tall + 0.1)],
            colour,
        )


def _bollard(rng: np.random.Generator, s: Sprite) -> None:
    colour, tall = (
        _pick(rng, ((60, 62, 66), (170, 60, 50), (120, 110, 100))),
        rng.uniform(0.35, 0.7),
    )
    s.limb((0, 0), (0, -tall), 0.13, 0.11, colour)
    s.ellipse(0, -tall - 0.03, 0.07, 0.07, tint(colour, 1.3))
    s.limb((-0.03, -tall * 0.8), (0.03, -tall * 0.8), 0.05, 0.05, (226, 222, 210))


def _cone(rng: np.random.Generator, s: Sprite) -> None:
    tall, orange = rng.uniform(0.35, 0.6), tint((232, 106, 40), rng.uniform(0.8, 1.1))
    s.polygon([(-0.15, 0), (0.15, 0), (0.03, -tall), (-0.03, -tall)], orange)
    s.polygon(
        [(-0.1, -0.4 * tall), (0.1, -0.4 * tall), (0.07, -0.65 * tall), (-0.07, -0.65 * tall)],
        (240, 240, 236),
    )
    s.limb((-0.18, 0), (0.18, 0), 0.05, 0.05, tint(orange, 0.7))


def _tree(rng: np.random.Generator, s: Sprite) -> None:
    leaf, tall = _pick(rng, _LEAVES), rng.uniform(1.0, 1.7)
    s.limb((0, 0), (0, -tall), 0.15, 0.09, (84, 62, 44))
    for _ in range(rng.integers(3, 9)):
        x, y, radius = (
            rng.uniform(-0.35, 0.35),
            -tall + rng.uniform(-0.3, 0.25),
            rng.uniform(0.16, 0.36),
        )
        s.ellipse(x, y, radius, radius * 0.85, tint(leaf, rng.uniform(0.75, 1.2)))


def _car(rng: np.random.Generator, s: Sprite) -> None:
    paint, glass = tint(_pick(rng, _CARS), rng.uniform(0.85, 1.1)), (66, 84, 96)
    s.polygon([(-0.75, -0.55), (-0.45, -0.85), (0.4, -0.85), (0.72, -0.55)], paint)
    s.polygon([(-0.62, -0.56), (-0.4, -0.8), (-0.04, -0.8), (-0.04, -0.56)], glass)
    s.polygon([(0.04, -0.56), (0.04, -0.8), (0.36, -0.8), (0.58, -0.56)], glass)
    s.polygon(
        [(-1.25, -0.2), (-1.2, -0.5), (-0.75, -0.58), (0.75, -0.58), (1.2, -0.48), (1.28, -0.2)],
        paint,
    )
    for x in (-0.75, 0.78):
        s.ellipse(x, -0.17, 0.19, 0.19, (30, 30, 32))
        s.ellipse(x, -0.17, 0.09, 0.09, (150, 150, 150))


def _bush(rng: np.random.Generator, s: Sprite) -> None:
    leaf = _pick(rng, _LEAVES)
    for _ in range(rng.integers(4, 10)):
        radius = rng.uniform(0.12, 0.28)
        s.ellipse(
            rng.uniform(-0.35, 0.35),
            -radius * rng.uniform(0.7, 1.4),
            radius,
            radius,
            tint(leaf, rng.uniform(0.75, 1.2)),
        )


def _bin(rng: np.random.Generator, s: Sprite) -> None:
    colour = _pick(rng, ((50, 90, 60), (70, 72, 76), (40, 60, 110), (150, 120, 50)))
    s.polygon([(-0.14, 0), (0.14, 0), (0.17, -0.5), (-0.17, -0.5)], colour)
    s.limb((-0.15, -0.52), (0.15, -0.52), 0.09, 0.09, tint(colour, 0.7))


def _poster(rng: np.random.Generator, s: Sprite) -> None:
    back, look = _pick(rng, _CARS), stone_look(rng)
    s.limb((-0.3, 0), (-0.3, -0.6), 0.05, 0.05, (70, 70, 74))
    s.limb((0.3, 0), (0.3, -0.6), 0.05, 0.05, (70, 70, 74))
    s.polygon([(-0.45, -0.45), (0.45, -0.45), (0.45, -1.6), (-0.45, -1.6)], (230, 228, 222))
    s.polygon([(-0.4, -0.5), (0.4, -0.5), (0.4, -1.55), (-0.4, -1.55)], back)
    s.ellipse(0, -0.6, 0.3, 0.24, tint(back, 0.5))
    s.polygon([(-0.3, -0.5), (0.3, -0.5), (0.3, -0.62), (-0.3, -0.62)], tint(back, 0.5))
    s.ellipse(0, -1.05, 0.17, 0.22, look.skin)
    s.ellipse(0, -1.17, 0.18, 0.14, look.hair)


def _dog(rng: np.random.Generator, s: Sprite) -> None:
    fur, way = (
        _pick(rng, ((120, 84, 50), (50, 44, 40), (200, 176, 136), (150, 146, 140))),
        rng.choice((-1, 1)),
    )
    for x in (-0.2, -0.14, 0.15, 0.21):
        s.limb((x, -0.25), (x, -0.02), 0.06, 0.045, tint(fur, 0.85))
    s.limb((-0.2, -0.3), (0.2, -0.3), 0.2, 0.17, fur)
    s.limb((way * 0.2, -0.33), (way * 0.31, -0.46), 0.12, 0.1, fur)
    s.ellipse(way * 0.35, -0.49, 0.1, 0.07, fur)
    s.limb((-way * 0.22, -0.33), (-way * 0.38, -0.47), 0.05, 0.03, fur)


def _hydrant(rng: np.random.Generator, s: Sprite) -> None:
    red = tint((190, 40, 36), rng.uniform(0.7, 1.2))
    s.limb((0, 0), (0, -0.32), 0.16, 0.14, red)
    s.ellipse(0, -0.4, 0.09, 0.09, tint(red, 1.15))
    s.limb((-0.12, -0.25), (0.12, -0.25), 0.08, 0.08, tint(red, 0.85))


def _fence(rng: np.random.Generator, s: Sprite) -> None:
    paint, tall = _pick(rng, ((110, 80, 54), (216, 214, 206), (70, 74, 78))), rng.uniform(0.4, 0.8)
    for x in np.arange(-1.2, 1.2, rng.uniform(0.12, 0.3)):
        s.limb((x, 0), (x, -tall), 0.05, 0.05, paint)
    for y in (-0.3 * tall, -0.85 * tall):
        s.limb((-1.2, y), (1.2, y), 0.05, 0.05, tint(paint, 0.85))


def _umbrella(rng: np.random.Generator, s: Sprite) -> None:
    cloth = _pick(rng, _CARS)
    s.limb((0, 0), (0, -1.4), 0.04, 0.04, (90, 80, 70))
    s.polygon([(-0.6, -1.2), (0.6, -1.2), (0.3, -1.5), (0, -1.6), (-0.3, -1.5)], cloth)
    s.polygon([(-0.2, -1.2), (0.2, -1.2), (0, -1.6)], tint(cloth, 1.25))


def _rack(rng: np.random.Generator, s: Sprite) -> None:
    """Draw a coat on a stand, with a person's outline."""
    cloth = _pick(rng, _CARS)
    s.limb((0, 0), (0, -0.95), 0.05, 0.05, (90, 70, 50))
    s.limb((-0.15, 0), (0.15, 0), 0.04, 0.04, (90, 70, 50))
    s.polygon(
        [(-0.05, -0.86), (0.05, -0.86), (0.16, -0.78), (0.14, -0.3), (-0.14, -0.3), (-0.16, -0.78)],
        cloth,
    )
    s.ellipse(0, -0.97, 0.035, 0.035, (120, 96, 70))


_THINGS = {
    "lamp": _lamp,
    "sign": _sign,
    "bollard": _bollard,
    "cone": _cone,
    "tree": _tree,
    "car": _car,
    "bush": _bush,
    "bin": _bin,
    "poster": _poster,
    "dog": _dog,
    "hydrant": _hydrant,
    "fence": _fence,
    "umbrella": _umbrella,
    "rack": _rack,
}


def _pick(rng: np.random.Generator, choices: Sequence[Any]) -> Any:
    return choices[int(rng.integers(len(choices)))]


def _circle(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: Any) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), colour)


def _towards(
    vanish: float, line: float, x: float, bottom: float, along: float
) -> tuple[float, float]:
    return vanish + (x - vanish) * along, line + (bottom - line) * along


def _gradient(top: Any, bottom: Any, size: tuple[int, int]) -> Image.Image:
    ramp = np.linspace(0, 1, max(size[0], 1))[:, None, None]
    column = np.array(top) * (1 - ramp) + np.array(bottom) * ramp
    pixels = np.broadcast_to(column.clip(0, 255).astype(np.uint8), (*size, 3))
    return Image.fromarray(np.ascontiguousarray(pixels))
