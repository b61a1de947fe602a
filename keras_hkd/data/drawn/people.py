"""Draws people for a scene: a skeleton in a pose, with clothes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_hkd.data.drawn.sprites import Sprite, choose, tint

_SKIN = (
    (250, 220, 196),
    (238, 196, 160),
    (214, 162, 118),
    (170, 114, 76),
    (122, 78, 50),
    (78, 50, 36),
)
_HAIR = (
    (24, 20, 18),
    (58, 38, 26),
    (104, 68, 38),
    (176, 132, 74),
    (222, 190, 128),
    (168, 168, 172),
    (150, 64, 30),
)
_CLOTHES = (
    (28, 30, 36), (60, 62, 70), (120, 122, 128), (196, 198, 202), (240, 240, 236), (34, 46, 84),
    (52, 92, 160), (110, 160, 210), (150, 30, 36), (214, 62, 52), (232, 140, 52), (238, 206, 84),
    (44, 96, 60), (110, 150, 80), (92, 60, 110), (210, 140, 170), (112, 80, 56), (186, 160, 122),
)  # fmt: skip
_STONE = ((150, 148, 142), (120, 122, 120), (176, 172, 160), (96, 88, 74))


@dataclasses.dataclass(frozen=True)
class Look:
    """How a figure is dressed, its colours RGB."""

    skin: tuple
    hair: tuple
    top: tuple
    trousers: tuple
    shoes: tuple
    accent: tuple
    top_kind: str
    bottom_kind: str
    head_kind: str
    pattern: str
    carries: str


@dataclasses.dataclass(frozen=True)
class Pose:
    """Angles in radians from hanging straight down, positive towards the figure's front."""

    kind: str
    facing: str
    direction: int
    lean: float
    legs: tuple[tuple[float, float], tuple[float, float]]
    arms: tuple[tuple[float, float], tuple[float, float]]


def random_look(rng: np.random.Generator) -> Look:
    """Draw clothes, hair and skin.

    Args:
        rng: the source of randomness.
    """

    def colour(palette: Sequence[tuple[int, int, int]]) -> tuple[int, int, int]:
        jitter = rng.uniform(0.85, 1.12)
        return tint(palette[int(rng.integers(len(palette)))], jitter)

    return Look(
        skin=colour(_SKIN),
        hair=colour(_HAIR),
        top=colour(_CLOTHES),
        trousers=colour(_CLOTHES[:9] if rng.random() < 0.7 else _CLOTHES),
        shoes=colour(_CLOTHES[:5] + _CLOTHES[16:17]),
        accent=colour(_CLOTHES),
        top_kind=choose(rng, shirt=4, short_sleeves=4, coat=2, sleeveless=1),
        bottom_kind=choose(rng, trousers=6, shorts=2, skirt=1.5, dress=1.5),
        head_kind=choose(rng, short=5, long=3, bun=1, bald=1, cap=1.5, hat=0.7, beanie=1, hood=1),
        pattern=choose(rng, plain=5, rows=1, columns=0.6, checks=0.7, band=0.8, open=1),
        carries=choose(rng, nothing=5, backpack=1.5, handbag=1.2, suitcase=0.6, parcel=0.6),
    )


def stone_look(rng: np.random.Generator) -> Look:
    """Draw the look of a statue or mannequin: one colour all over, which no person wears.

    Args:
        rng: the source of randomness.
    """
    stone = _STONE[rng.integers(len(_STONE))]
    dark = tint(stone, 0.85)
    return Look(
        stone, dark, stone, dark, dark, tint(stone, 1.1), "shirt", choose(rng, trousers=1, dress=1),
        choose(rng, short=1, long=1, bald=1), "plain", "nothing",
    )  # fmt: skip


def random_pose(rng: np.random.Generator) -> Pose:
    """Draw a pose: standing, walking, running, sitting or bending, arms in one of many ways.

    Args:
        rng: the source of randomness.
    """
    kind = choose(rng, standing=4, walking=5, running=1, sitting=1.2, bending=0.5)
    facing = (
        "side"
        if kind in ("running", "sitting", "bending")
        else choose(rng, front=3, back=3, side=4)
    )
    direction = 1 if rng.random() < 0.5 else -1
    if kind == "standing":
        near, far = rng.uniform(0.0, 0.16), -rng.uniform(0.0, 0.16)
        legs, lean = ((near, near), (far, far)), rng.uniform(-0.05, 0.08)
    elif kind == "walking":
        stride = rng.uniform(0.2, 0.5)
        legs = ((stride, stride - rng.uniform(0, 0.2)), (-stride, -stride - rng.uniform(0.1, 0.6)))
        lean = rng.uniform(0, 0.12)
    elif kind == "running":
        legs, lean = ((rng.uniform(0.6, 1.1), rng.uniform(-0.6, 0.2)), (-0.6, -1.6)), 0.25
    elif kind == "sitting":
        bent = rng.uniform(-0.15, 0.25)
        legs, lean = ((rng.uniform(1.2, 1.6), bent), (rng.uniform(1.2, 1.6), bent - 0.1)), -0.05
    else:
        legs, lean = ((0.1, 0.0), (-0.15, -0.2)), rng.uniform(0.5, 1.1)
    if rng.random() < 0.5:
        legs = legs[::-1]
    return Pose(kind, facing, direction, lean, legs, (_arm(rng, kind, 1), _arm(rng, kind, -1)))


def draw_person(
    rng: np.random.Generator, height_px: float, look: Look, pose: Pose, child: bool = False
) -> Sprite:
    """Draw one figure.

    Args:
        rng: the source of randomness.
        height_px: height when standing upright, in pixels.
        look: how it is dressed.
        pose: how it stands.
        child: draw a larger head on a smaller body.

    Returns:
        The sprite, its origin on the ground between the feet.
    """
    sprite = Sprite(height_px, left=0.62, top=1.2, right=0.62, bottom=0.06)
    figure = _Figure(
        sprite, look, pose, head_scale=1.35 if child else float(rng.uniform(0.94, 1.08))
    )
    figure.broad = float(rng.uniform(0.85, 1.25))
    figure.things_behind()
    sprite.begin_body()
    figure.draw_body()
    sprite.end_body()
    figure.things_in_front()
    return sprite.finish(float(rng.uniform(-1, 1)))


class _Figure:
    """Places the joints of one figure and draws its parts from back to front."""

    def __init__(self, sprite: Sprite, look: Look, pose: Pose, head_scale: float) -> None:
        self.sprite, self.look, self.pose, self.head = sprite, look, pose, head_scale
        self.broad = 1.0
        self.side = pose.facing == "side"
        ends = [self._chain((0, 0), legs, (0.25, 0.235))[2][1] for legs in pose.legs]
        self.hip = (0.0, -max(ends) - 0.025)
        self.neck = self._along(self.hip, math.pi - pose.lean, 0.33)
        self.skull = self._along(self.neck, math.pi - pose.lean * 0.6, 0.105 * head_scale)

    def _along(
        self, start: tuple[float, float], angle: float, length: float
    ) -> tuple[float, float]:
        x = start[0] + math.sin(angle) * length * self.pose.direction
        return x, start[1] + math.cos(angle) * length

    def _chain(
        self, start: tuple[float, float], angles: Sequence[float], lengths: Sequence[float]
    ) -> tuple[tuple[float, float], ...]:
        joint = self._along(start, angles[0], lengths[0])
        return start, joint, self._along(joint, angles[1], lengths[1])

    def _half_width(self, front: float) -> float:
        return front * self.broad * (0.62 if self.side else 1.0)

    def draw_body(self) -> None:
        """Draw far arm, legs, torso, head and near arm."""
        self._arm(1, far=True)
        self._leg(1, far=True)
        self._leg(0, far=False)
        self._torso()
        self._head()
        self._arm(0, far=False)

    def _leg(self, which: int, far: bool) -> None:
        look, side = self.look, 1 if which == 0 else -1
        offset = 0.0 if self.side else side * 0.045
        angles = self.pose.legs[which]
        if not self.side:  # seen from the front, a stride is mostly depth
            spread = 1.0 if self.pose.kind == "standing" else 0.25
            angles = tuple(abs(angle) * side * self.pose.direction * spread for angle in angles)
        hip, knee, ankle = self._chain((self.hip[0] + offset, self.hip[1]), angles, (0.25, 0.235))
        if not self.side and self.pose.kind == "walking" and far:
            knee, ankle = (knee[0], knee[1] - 0.02), (ankle[0], ankle[1] - 0.06)
        dark = 0.8 if far else 1.0
        bare = look.bottom_kind in ("shorts", "skirt", "dress")
        upper, lower = tint(look.trousers, dark), tint(look.skin if bare else look.trousers, dark)
        if look.bottom_kind == "dress":
            upper = tint(look.skin, dark)
        broad = self.broad
        self.sprite.limb(knee, ankle, 0.06 * broad, 0.042 * broad, lower)
        self.sprite.limb(hip, knee, 0.095 * broad, 0.066 * broad, upper)
        toe = 0.055 * self.pose.direction if self.side else 0.012 * side
        foot = (ankle[0] + toe, ankle[1] + 0.018)
        self.sprite.limb((ankle[0], ankle[1] + 0.008), foot, 0.042, 0.034, tint(look.shoes, dark))

    def _arm(self, which: int, far: bool) -> None:
        look, side = self.look, 1 if which == 0 else -1
        lift = self._along(self.hip, math.pi - self.pose.lean, 0.295)
        shoulder = (lift[0] + side * self._half_width(0.0 if self.side else 0.108), lift[1])
        angles = self.pose.arms[which]
        if not self.side:
            angles = tuple(abs(angle) * side * self.pose.direction for angle in angles)
        shoulder, elbow, wrist = self._chain(shoulder, angles, (0.16, 0.145))
        dark = 0.78 if far else 0.94
        sleeve, skin = tint(look.top, dark), tint(look.skin, dark)
        fore = sleeve if look.top_kind in ("shirt", "coat") else skin
        upper = skin if look.top_kind == "sleeveless" else sleeve
        self.sprite.limb(elbow, wrist, 0.042, 0.032, fore)
        self.sprite.limb(shoulder, elbow, 0.058 * self.broad, 0.046, upper)
        self.sprite.ellipse(*wrist, 0.02, 0.023, skin)

    def _torso(self) -> None:
        look, lean = self.look, self.pose.lean
        levels = [(0.325, 0.06), (0.29, 0.118), (0.17, 0.1), (0.0, 0.098)]
        if look.top_kind == "coat" or look.bottom_kind == "dress":
            flare = 0.125 if self.pose.kind != "sitting" else 0.09
            levels.append((-0.22 if self.pose.kind != "sitting" else -0.02, flare))
        outline = self._outline(levels, lean)
        if look.bottom_kind == "skirt":
            drop = -0.2 if self.pose.kind != "sitting" else -0.03
            skirt = self._outline([(0.03, 0.095), (drop, 0.14)], 0.0)
            self.sprite.polygon(skirt, look.trousers)
        self.sprite.limb(self.neck, self.skull, 0.055, 0.05, tint(look.skin, 0.85))
        self.sprite.polygon(outline, look.top)
        if look.pattern != "plain" and self.sprite.unit_px > 40:
            self.sprite.pattern(outline, look.pattern, look.accent)

    def _outline(self, levels: Any, lean: float) -> list[tuple[float, float]]:
        left, right = [], []
        for along, half_width in levels:
            x, y = self._along(self.hip, math.pi - lean if along > 0 else math.pi, along)
            half = self._half_width(half_width)
            left.append((x - half, y))
            right.append((x + half, y))
        return left + right[::-1]

    def _head(self) -> None:
        sprite, look, (x, y), size = self.sprite, self.look, self.skull, self.head
        rx, ry = 0.056 * size, 0.07 * size
        away, turn = self.pose.facing == "back", 0.018 * self.pose.direction * self.side
        kind = look.head_kind
        if kind == "hood":
            sprite.ellipse(x - turn, y - 0.005, rx * 1.3, ry * 1.2, look.top)
        if kind == "long":
            sprite.ellipse(x - turn, y + 0.045, rx * 1.25, ry * 1.45, look.hair)
        if kind == "bun":
            sprite.ellipse(x - 2.5 * turn, y - ry, rx * 0.5, ry * 0.45, look.hair)
        if kind not in ("bald", "hood"):
            sprite.ellipse(x - turn * 0.6, y - 0.008, rx * 1.1, ry * 1.07, look.hair)
        if kind == "bald" or not away:
            shown = (x + turn, y + 0.014 * size, rx * 0.93, ry * 0.86)
            sprite.ellipse(*(shown if kind != "bald" else (x, y, rx, ry)), look.skin)
            self._face(x + turn * 1.6, y + 0.01, size)
        self._hat(x, y, rx, ry)

    def _hat(self, x: float, y: float, rx: float, ry: float) -> None:
        kind, colour, sprite = self.look.head_kind, self.look.accent, self.sprite
        if kind not in ("cap", "hat", "beanie"):
            return
        sprite.ellipse(x, y - ry * 0.55, rx * 1.12, ry * 0.62, colour)
        if kind == "beanie":
            sprite.polygon(
                [(x - rx, y - ry * 0.6), (x + rx, y - ry * 0.6), (x, y - ry * 1.5)], colour
            )
        brim = rx * (1.7 if kind == "hat" else 0.8)
        centre = x if kind == "hat" else x + self.pose.direction * rx * 0.8
        if kind != "beanie" and self.pose.facing != "back":
            sprite.ellipse(centre, y - ry * 0.3, brim, ry * 0.14, tint(colour, 0.75))

    def _face(self, x: float, y: float, size: float) -> None:
        if self.sprite.unit_px < 150:
            return
        dark = tint(self.look.skin, 0.45)
        for offset in (-0.02, 0.02) if not self.side else (0.012 * self.pose.direction,):
            self.sprite.ellipse(x + offset * size, y - 0.005, 0.006, 0.005, dark)
        self.sprite.ellipse(x, y + 0.036 * size, 0.014, 0.004, tint(self.look.skin, 0.6))

    def things_behind(self) -> None:
        """Draw what the body hides: a backpack seen from the side, a suitcase, a seat."""
        look, sprite, back = self.look, self.sprite, -self.pose.direction
        if self.pose.kind == "sitting":
            wood = tint((120, 84, 54), self.broad)
            seat = self.hip[1] + 0.04
            sprite.polygon(
                [(-0.3, seat), (0.3, seat), (0.3, seat + 0.05), (-0.3, seat + 0.05)], wood
            )
            for leg in (-0.25, 0.25):
                sprite.limb((leg, seat), (leg, 0.0), 0.035, 0.035, tint(wood, 0.7))
        if look.carries == "backpack" and self.side:
            x, y = self._along(self.hip, math.pi - self.pose.lean, 0.2)
            sprite.ellipse(x + back * 0.1, y, 0.075, 0.115, look.accent)
        if look.carries == "suitcase":
            x = back * 0.2
            box = [(x - 0.075, -0.3), (x + 0.075, -0.3), (x + 0.075, -0.01), (x - 0.075, -0.01)]
            sprite.polygon(box, look.accent)
            sprite.limb((x, -0.3), (x, -0.42), 0.015, 0.015, (40, 40, 44))

    def things_in_front(self) -> None:
        """Draw what hides a part of the body: a backpack seen from behind, a bag, a parcel."""
        look, sprite, (x, y) = self.look, self.sprite, self.hip
        if look.carries == "backpack" and self.pose.facing == "back":
            sprite.ellipse(x, y - 0.19, 0.085, 0.12, look.accent)
            sprite.ellipse(x, y - 0.13, 0.06, 0.05, tint(look.accent, 0.7))
        if look.carries == "handbag":
            side = x + self.pose.direction * 0.1
            sprite.limb((side, y - 0.04), (x, y - 0.28), 0.012, 0.012, tint(look.accent, 0.6))
            bag = [
                (side - 0.06, y - 0.06),
                (side + 0.06, y - 0.06),
                (side + 0.05, y + 0.05),
                (side - 0.05, y + 0.05),
            ]
            sprite.polygon(bag, look.accent)
        if look.carries == "parcel" and self.pose.facing == "front":
            box = [(x - 0.1, y - 0.2), (x + 0.1, y - 0.2), (x + 0.1, y - 0.05), (x - 0.1, y - 0.05)]
            sprite.polygon(box, (184, 148, 100))


def _arm(rng: np.random.Generator, kind: str, sign: int) -> tuple[float, float]:
    if kind == "running":
        return 0.7 * sign, 0.7 * sign + 1.5
    if kind == "bending":
        return rng.uniform(0.1, 0.9), rng.uniform(0.1, 1.0)
    swing = rng.uniform(0.1, 0.5) * sign if kind == "walking" else rng.uniform(0.05, 0.2) * sign
    how = choose(rng, hanging=6, bent=1.5, hip=1, phone=1, raised=0.6, forward=0.8)
    return {
        "hanging": (swing, swing + 0.1),
        "bent": (0.2, 1.4),
        "hip": (-0.7, 0.8),
        "phone": (0.3, 2.6),
        "raised": (2.4, 2.8),
        "forward": (1.1, 1.4),
    }[how]
