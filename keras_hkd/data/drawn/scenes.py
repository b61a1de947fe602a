"""Street scenes drawn from a seed: people, crowds, occlusion and things that look like people."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from keras_hkd import checks
from keras_hkd.data.annotations import ImageAnnotation
from keras_hkd.data.classes import PERSON, WantedClass
from keras_hkd.data.dataset import Dataset
from keras_hkd.data.drawn.people import draw_person, random_look, random_pose
from keras_hkd.data.drawn.scenery import draw_place, draw_thing
from keras_hkd.data.drawn.source import parse_synthetic
from keras_hkd.data.drawn.sprites import Sprite
from keras_hkd.errors import InvalidValueError
from keras_hkd.progress import FEW_IMAGES, image_progress

MIN_LABELLED_VISIBILITY = 0.15
"""People of whom less is visible are ignore boxes; people of whom nothing is are left out."""

MEDIAN_PERSON_HEIGHT = 0.27
"""Of a single adult, as a fraction of the image's height: one in ten is under half of it."""

CROWD_CHANCE = 0.3
"""Share of the scenes that hold a crowd."""

MEAN_THINGS = 3.5
"""Mean number of things in a scene that are no people: cars, trees, posts, statues."""

_OVERSAMPLING = 2
_MAX_KEPT_BYTES = 2**30
_DEFAULTS = {
    "num_images": 200,
    "seed": 0,
    "height": 256,
    "width": 256,
    "person_height_percent": 27,
    "crowd_percent": 30,
    "things_percent": 100,
}


def draw_scene(
    seed: Any,
    image_size: tuple[int, int],
    image_id: int = 1,
    person_height: float = MEDIAN_PERSON_HEIGHT,
    crowd_chance: float = CROWD_CHANCE,
    mean_things: float = MEAN_THINGS,
) -> tuple[np.ndarray, ImageAnnotation]:
    """Draw one scene.

    Boxes are exact: people are drawn onto a map that knows whose each pixel is. A box is the whole
    body within the image; a visible box is what nothing hides of it (what a person wears belongs to
    the body, what it carries does not).

    Args:
        seed: whole number of at least 0, or a sequence of them; the same seed gives the same scene.
        image_size: `(height, width)` in pixels, both at least 32.
        image_id: the annotation's `image_id`.
        person_height: median height of a single adult, as a fraction of the image's height. Crowds
            and things grow with it: a camera that stands nearer.
        crowd_chance: probability of a crowd in the scene.
        mean_things: mean number of things that are no people; their number is Poisson's.

    Returns:
        uint8 `(height, width, 3)` RGB, and its `ImageAnnotation`. Ignored are crowds that nobody
        would label one by one, and people less than 15 % visible.

    Raises:
        ValueError: the image is too small, `person_height` is outside (0, 1), `crowd_chance` is
            outside [0, 1], or `mean_things` is negative.

    Example:

    >>> image, annotation = draw_scene(7, (64, 96))
    >>> image.shape, annotation.boxes.shape[1]
    ((64, 96, 3), 4)
    """
    height, width = checks.image_size("image_size", image_size, low=32)
    if not 0 < person_height < 1:
        raise InvalidValueError(f"`person_height` must lie in (0, 1). Received: {person_height!r}")
    if not 0 <= crowd_chance <= 1:
        raise InvalidValueError(f"`crowd_chance` must lie in [0, 1]. Received: {crowd_chance!r}")
    if not mean_things >= 0:
        raise InvalidValueError(f"`mean_things` must be at least 0. Received: {mean_things!r}")
    rng = np.random.default_rng(seed)
    scene = _Scene(rng, (height, width))
    nearness = person_height / MEDIAN_PERSON_HEIGHT
    actors = _cast(rng, width / height, nearness, crowd_chance, mean_things)
    for actor in sorted(actors, key=lambda actor: actor.depth):
        scene.place(actor)
    return _photograph(rng, scene.picture), scene.annotate(image_id)


@dataclasses.dataclass(frozen=True, eq=False)
class SyntheticDataset(Dataset):
    """Drawn scenes; scene i depends on the seed and i alone, whatever the number of images.

    Args:
        seed: the seed of the set.
        image_size: `(height, width)` of the images in pixels.
        images: the pictures, or None where they are drawn anew each time.
        person_height: see `draw_scene`.
        crowd_chance: see `draw_scene`.
        mean_things: see `draw_scene`.
    """

    seed: int = 0
    image_size: tuple[int, int] = (256, 256)
    images: tuple[np.ndarray, ...] | None = None
    person_height: float = MEDIAN_PERSON_HEIGHT
    crowd_chance: float = CROWD_CHANCE
    mean_things: float = MEAN_THINGS

    def load_image(self, index: int) -> np.ndarray:
        """Return one picture: uint8 (height, width, 3) RGB.

        Args:
            index: position of the image in the dataset.
        """
        if self.images is not None:
            return self.images[index]
        seed = (self.seed, range(len(self))[index])
        look = (self.person_height, self.crowd_chance, self.mean_things)
        return draw_scene(seed, self.image_size, 1, *look)[0]


def synthetic_dataset(
    num_images: int,
    image_size: tuple[int, int],
    seed: int,
    person_height: float = MEDIAN_PERSON_HEIGHT,
    crowd_chance: float = CROWD_CHANCE,
    mean_things: float = MEAN_THINGS,
) -> SyntheticDataset:
    """Draw a set of scenes; pictures up to 1 GiB together are kept in memory.

    Args:
        num_images: how many, at least 1.
        image_size: `(height, width)` in pixels.
        seed: whole number of at least 0. Sets of other seeds share no scene.
        person_height: see `draw_scene`.
        crowd_chance: see `draw_scene`.
        mean_things: see `draw_scene`.

    Raises:
        ValueError: an argument is out of range.

    Example:

    >>> dataset = synthetic_dataset(2, (64, 64), seed=1)
    >>> len(dataset), dataset.load_image(1).shape
    (2, (64, 64, 3))
    """
    height, width = checks.image_size("image_size", image_size)
    checks.whole("num_images", num_images, low=1)
    checks.whole("seed", seed)
    keep = num_images * height * width * 3 <= _MAX_KEPT_BYTES
    look = (person_height, crowd_chance, mean_things)
    images, annotations = [], []
    with image_progress("Drawing scenes", num_images, num_images > FEW_IMAGES) as advance:
        for index in range(num_images):
            image, annotation = draw_scene((seed, index), (height, width), index + 1, *look)
            annotations.append(annotation)
            if keep:
                images.append(image)
            advance(1)
    source = f"synthetic scenes of seed {seed}"
    fields = (tuple(annotations), ("person",), source, "synthetic", ())
    kept = tuple(images) if keep else None
    return SyntheticDataset(*fields, seed, (height, width), kept, *look)


def synthetic_scenes_of(source: str, wanted: tuple[WantedClass, ...] | None) -> Dataset:
    """Draw the dataset that a `synthetic:` source describes.

    Args:
        source: "synthetic:NAME?...", see `keras_hkd.data.load_dataset`.
        wanted: the wanted classes, of which there is person only; None for all.

    Raises:
        BadDataError: an unknown option.
        ValueError: another class than person is wanted.
    """
    if wanted is not None and (len(wanted) > 1 or PERSON not in wanted[0].accepted):
        names = [one.name for one in wanted]
        raise InvalidValueError(
            f"Drawn scenes hold the class person only. Received: class_names={names}"
        )
    class_names = (PERSON,) if wanted is None else (wanted[0].name,)
    options, seed = parse_synthetic(source, _DEFAULTS)
    dataset = synthetic_dataset(
        options["num_images"],
        (options["height"], options["width"]),
        seed,
        person_height=options["person_height_percent"] / 100,
        crowd_chance=options["crowd_percent"] / 100,
        mean_things=MEAN_THINGS * options["things_percent"] / 100,
    )
    return dataclasses.replace(dataset, class_names=class_names, source=source)


@dataclasses.dataclass(frozen=True)
class _Actor:
    """Somebody or something in a scene, in fractions of the image's height (`x`: of its width)."""

    x: float
    height: float  # of an adult at this distance
    depth: float  # where the feet are, below the horizon, in adult heights
    is_person: bool
    crowd: int = 0  # number of the crowd that is one ignore region, 0 for none


class _Scene:
    """The picture in the making, and the map of whose each pixel is."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]) -> None:
        self.rng, (self.height, self.width) = rng, size
        self.horizon = rng.uniform(0.15, 0.5)
        self.eye_height = rng.uniform(0.7, 1.7)  # of the camera, in adult heights
        place = draw_place(rng, size, self.horizon)
        full = (self.width * _OVERSAMPLING, self.height * _OVERSAMPLING)
        self.picture = place.resize(full, Image.Resampling.NEAREST)  # reduced again in the end
        self.owners = Image.new("L", full)
        self.people: list[tuple[Sprite, tuple[int, int], int]] = []

    def place(self, actor: _Actor) -> None:
        """Draw an actor in front of all that stand there."""
        unit_px = actor.height * self.height * _OVERSAMPLING
        feet = self.horizon + actor.depth * self.eye_height
        if actor.height > 0.45:  # near people are seen whole more often than perspective has it
            feet = min(feet, 0.97 + 0.6 * actor.height * (self.rng.random() ** 3))
        if actor.is_person:
            child = self.rng.random() < 0.15
            unit_px *= self.rng.uniform(0.55, 0.8) if child else self.rng.uniform(0.9, 1.08)
            look, pose = random_look(self.rng), random_pose(self.rng)
            sprite = draw_person(self.rng, unit_px, look, pose, child)
        else:
            sprite = draw_thing(self.rng, unit_px)
        x, y = actor.x * self.picture.width, feet * self.picture.height
        self._shadow(x, y, sprite.image.width, unit_px)
        corner = (round(x - sprite.left * sprite.unit_px), round(y - sprite.top * sprite.unit_px))
        self.picture.paste(sprite.image, corner, sprite.cover)
        self.owners.paste(0, corner, sprite.cover)
        if actor.is_person and len(self.people) < 254:
            self.people.append((sprite, corner, actor.crowd))
            self.owners.paste(len(self.people), corner, sprite.body)

    def _shadow(self, x: float, y: float, width: float, unit_px: float) -> None:
        half, low = 0.4 * width + 1, 0.04 * unit_px + 1
        mask = Image.new("L", (int(2 * half) + 1, int(2 * low) + 1))
        ImageDraw.Draw(mask).ellipse((0, 0, 2 * half, 2 * low), 70)
        self.picture.paste((0, 0, 0), (round(x - half), round(y - low)), mask)

    def annotate(self, image_id: int) -> ImageAnnotation:
        """Compute the boxes from the map."""
        rows, crowds = [], {}
        for number, (sprite, corner, crowd) in enumerate(self.people, start=1):
            box, visible, num_visible = self._extent(number, sprite, corner)
            if not num_visible:
                continue
            if crowd:
                crowds.setdefault(crowd, []).append(visible)
            else:
                hidden = num_visible < MIN_LABELLED_VISIBILITY * sprite.num_whole_pixels
                rows.append((box, visible, hidden))
        for boxes in crowds.values():
            region = (*np.min(boxes, 0)[:2], *np.max(boxes, 0)[2:])
            rows.append((region, region, True))
        return ImageAnnotation(
            "",
            image_id,
            self.width,
            self.height,
            boxes=np.reshape([box for box, _, _ in rows], (-1, 4)) / _OVERSAMPLING,
            classes=np.zeros(len(rows), np.int32),
            ignore=np.array([ignored for _, _, ignored in rows], bool),
            visible_boxes=np.reshape([box for _, box, _ in rows], (-1, 4)) / _OVERSAMPLING,
        )

    def _extent(self, number: int, sprite: Sprite, corner: tuple[int, int]) -> Any:
        """Measure the box within the picture, the visible box and its number of pixels."""
        owners = np.asarray(self.owners)
        limits = owners.shape[1::-1] * 2
        box = np.clip(np.add(sprite.whole_box or (0, 0, 0, 0), corner * 2), 0, limits)
        left, top, right, bottom = box
        seen = owners[top:bottom, left:right] == number
        columns, lines = np.flatnonzero(seen.any(0)), np.flatnonzero(seen.any(1))
        if not columns.size:
            return box, box, 0
        corners = (columns[0], lines[0], columns[-1] + 1, lines[-1] + 1)
        return box, np.add(corners, (left, top, left, top)), int(np.count_nonzero(seen))


def _cast(
    rng: np.random.Generator,
    aspect: float,
    nearness: float,
    crowd_chance: float,
    mean_things: float,
) -> list[_Actor]:
    """Draw who and what stands where: single people, groups, perhaps a crowd, and things."""
    actors: list[_Actor] = []
    num_people = 0 if rng.random() < 0.07 else min(10, rng.geometric(0.3))
    for _ in range(num_people):
        height, x = _height(rng, nearness * MEDIAN_PERSON_HEIGHT), rng.uniform(0.0, 1.0)
        if actors and rng.random() < 0.35:  # somebody's company
            other = actors[-1]
            height = other.height * rng.uniform(0.93, 1.07)
            x = other.x + rng.choice((-1, 1)) * rng.uniform(0.15, 0.5) * height / aspect
        actors.append(_Actor(x, height, height * rng.uniform(0.97, 1.03), True))
    if rng.random() < crowd_chance:
        actors += _crowd(rng, aspect, nearness)
    for _ in range(rng.poisson(mean_things)):
        height = min(_height(rng, nearness * 0.24), 0.6)
        actors.append(_Actor(rng.uniform(0, 1), height, height, False))
    return actors


def _crowd(rng: np.random.Generator, aspect: float, nearness: float) -> list[_Actor]:
    num_people, size = rng.integers(6, 18), rng.uniform(0.07, 0.22) * nearness
    is_region = int(size < 0.13 or rng.random() < 0.3)
    centre, spread = rng.uniform(0.1, 0.9), size * num_people * rng.uniform(0.05, 0.12) / aspect
    heights = size * rng.uniform(0.9, 1.12, num_people)
    places = centre + rng.uniform(-1, 1, num_people) * spread
    return [
        _Actor(float(x), float(height), float(height), True, is_region)
        for x, height in zip(places, heights, strict=True)
    ]


def _height(rng: np.random.Generator, median: float) -> float:
    return float(np.clip(median * np.exp(rng.normal(0, 0.55)), 0.06, 0.95))


def _photograph(rng: np.random.Generator, picture: Image.Image) -> np.ndarray:
    """Reduce the picture, and gives it light, colour cast and noise."""
    pixels = np.asarray(picture.reduce(_OVERSAMPLING), np.float32)
    height, width = pixels.shape[:2]
    light = 1 + rng.uniform(-0.3, 0.3) * np.linspace(-1, 1, width, dtype=np.float32)
    contrast, dark = rng.uniform(0.6, 1.1), rng.random() < 0.12
    cast = rng.uniform(0.9, 1.08, 3) * (rng.uniform(0.35, 0.6) if dark else rng.uniform(0.85, 1.1))
    gain = (light[:, None] * (contrast * cast)).astype(np.float32)
    pixels = pixels * gain + np.float32(rng.uniform(0, 1 - min(contrast, 1)) * 128)
    grain = int(rng.integers(1, 14))
    noise = rng.integers(-grain, grain + 1, (height, width, 3), np.int8)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)
