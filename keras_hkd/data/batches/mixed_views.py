"""Pictures put together from several images, in the graph: mosaics, pasted people, blends."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_hkd.data.batches.augmentation import (
    Augmentation,
    View,
    change_covered_colours,
    plan_views,
    view_boxes,
)
from keras_hkd.data.batches.image_cache import Canvases
from keras_hkd.data.batches.label_table import LabelTable
from keras_hkd.data.batches.letterbox import PADDING_GREY
from keras_hkd.data.batches.mixing_plan import Slots
from keras_hkd.data.batches.mosaics import tile_view, tiles
from keras_hkd.data.batches.pasted_people import Donors, Pasted, covered_shares, paste
from keras_hkd.data.batches.views import SetOnCanvases, front, read_views
from keras_hkd.tensors import Tensor


class MixedViewMaker:
    """Turns rows of a `MixingPlan` into one batch of images and labels.

    Every picture is laid together from views: of its own image or of four tiles, people pasted on
    these, and another picture blended in. Its colours are changed once, by its own numbers.

    Args:
        augmentation: how images vary.
        frame_size: `(height, width)` of the batches in pixels.
        labels: the labels of the set at this size.
        canvases: how the pictures lie on their canvases.
        donors: the people who may be pasted.
        max_boxes: places for people.
        ignore_regions: whether the labels hold `ignore_boxes`.
    """

    def __init__(
        self,
        augmentation: Augmentation,
        frame_size: tuple[int, int],
        labels: LabelTable,
        canvases: Canvases,
        donors: Donors,
        max_boxes: int,
        ignore_regions: bool,
    ) -> None:
        self.augmentation, self.frame_size = augmentation, frame_size
        self.max_boxes, self.ignore_regions = max_boxes, ignore_regions
        self._single, self._slots = augmentation.of_single_views, Slots.of(augmentation)
        self._set = SetOnCanvases(labels, canvases)
        with tf.device("CPU:0"):
            self._donor_boxes = tf.constant(labels.boxes[donors.images, donors.rows])
            self._donor_classes = tf.constant(labels.classes[donors.images, donors.rows])

    def make(
        self, canvases: Sequence[Tensor], places: Tensor, row: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Make one batch.

        Args:
            canvases: uint8 `(n, height, width, 3)`, then the same at half the size, and so on.
            places: int32 `(b, 1 + s)`, where on these the images of all places lie.
            row: a batch of rows of `MixingPlan.epoch`.

        Returns:
            float32 `(b, height, width, 3)` in [0, 255], and the labels.
        """
        own = self._plan(row, 0)
        shown = _Shown(self, canvases, places, row)
        labels = _Labels(self.augmentation, self.frame_size)
        tiled = self._tiles(row, own)
        for number, (view, rectangles, there) in enumerate(tiled):
            shown.lay(number, view, there, _inside(rectangles, self.frame_size))
            labels.add(*self._labels_of(row["images"][:, number]), view, rectangles, there)
        first = 1 + self._slots.tiles + self._slots.blends
        for number in range(self._slots.people):
            # In a mosaic, each on a tile of their own as long as there are tiles.
            view, rectangles, there = tiled[number % len(tiled)]
            floor = _common(_picture(view, self.frame_size), rectangles)
            if number % len(tiled):
                own_floor = _common(_picture(tiled[0][0], self.frame_size), tiled[0][1])
                floor = tf.where(there[:, None], floor, own_floor)
            pasted = self._paste(row, number, floor)
            there = labels.add_pasted(
                pasted, self._donor_class(row, number), self._asked(row, number)
            )
            shown.lay(first + number, pasted.view, there, _soft(pasted, self.frame_size))
        if self._slots.blends:
            place = 1 + self._slots.tiles
            view, there = self._plan(row, place), row["is_blend"]
            low, high = self.augmentation.mixup_share
            shares = (low + (high - low) * row["shares"])[:, None, None, None]
            shown.lay(place, view, there, shares)
            labels.add(*self._labels_of(row["images"][:, place]), view, None, there)
        images = change_covered_colours(shown.pixels, shown.covered, own)
        return images, labels.collect(self.max_boxes, self.ignore_regions)

    def _plan(self, row: dict[str, Tensor], place: int) -> View:
        draws = row["draws"] if place == 0 else row["other_draws"][:, place - 1]
        contents = tf.gather(self._set.content_sizes, row["images"][:, place])
        return plan_views(self._single, draws, contents, self.frame_size)

    def _tiles(self, row: dict[str, Tensor], own: View) -> list[tuple[View, Tensor, Tensor]]:
        """View, part of the frame and presence of the image itself and of the tiles."""
        is_mosaic = row["is_mosaic"]
        everywhere = tf.ones_like(is_mosaic)
        height, width = self.frame_size
        whole = tf.constant([0, 0, width, height], tf.float32)[None]
        if not self._slots.tiles:
            return [(own, tf.repeat(whole, is_mosaic.shape[0], axis=0), everywhere)]
        found = []
        for number, tile in enumerate(tiles(row["centres"], self.frame_size)):
            draws = row["draws"] if number == 0 else row["other_draws"][:, number - 1]
            contents = tf.gather(self._set.content_sizes, row["images"][:, number])
            view = tile_view(self.augmentation, draws, contents, tile, number, own, width)
            found.append((view, tile, is_mosaic))
        view, tile, _ = found[0]
        found[0] = (
            _either(is_mosaic, view, own),
            tf.where(is_mosaic[:, None], tile, whole),
            everywhere,
        )
        return found

    def _labels_of(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        tables = (self._set.boxes, self._set.classes, self._set.ignore_boxes)
        boxes, classes, regions = (tf.gather(table, images) for table in tables)
        return boxes, classes, regions

    def _paste(self, row: dict[str, Tensor], number: int, floor: Tensor) -> Pasted:
        place = self._slots.tiles + self._slots.blends + number
        contents = tf.gather(self._set.content_sizes, row["images"][:, 1 + place])
        boxes = tf.gather(self._donor_boxes, row["people"][:, number])
        draws = row["other_draws"][:, place]
        return paste(self.augmentation, draws, boxes, contents, floor, self.frame_size)

    def _donor_class(self, row: dict[str, Tensor], number: int) -> Tensor:
        return tf.gather(self._donor_classes, row["people"][:, number])

    def _asked(self, row: dict[str, Tensor], number: int) -> Tensor:
        """Whether a person is to be pasted: the first always, each other one by a toss."""
        if number == 0:
            return row["is_pasted"]
        place = self._slots.tiles + self._slots.blends + number
        return row["is_pasted"] & (row["other_draws"][:, place, 1] < 0.5)


class _Shown:
    """The pixels of a batch while views are laid on one another.

    Attributes:
        pixels: float32 `(b, height, width, 3)` RGB less 114.
        covered: float32 `(b, height, width, 1)`, how much of a pixel a picture covers.
    """

    def __init__(
        self,
        maker: MixedViewMaker,
        canvases: Sequence[Tensor],
        places: Tensor,
        row: dict[str, Tensor],
    ) -> None:
        self._frame_size, self._canvases, self._places = maker.frame_size, canvases, places
        self._scales = tf.gather(maker._set.canvas_scales, row["images"])
        shape = (places.shape[0], *maker.frame_size)
        self.pixels, self.covered = tf.zeros((*shape, 3)), tf.zeros((*shape, 1))

    def lay(self, place: int, view: View, there: Tensor, alpha: Tensor) -> None:
        """Lay views over the pictures in which they are there.

        Args:
            place: whose canvases are read.
            view: b views.
            there: bool `(b,)`.
            alpha: float32 `(b, height, width, 1)` or `(b, 1, 1, 1)`, what is seen of the view.
        """
        rows = tf.where(there)
        view = _taken(view, rows[:, 0])
        places, scales = (
            tf.gather(one[:, place], rows[:, 0]) for one in (self._places, self._scales)
        )
        shown = read_views(self._canvases, places, view, scales, self._frame_size) - PADDING_GREY
        alpha = tf.gather(alpha, rows[:, 0])
        covers = _inside(_picture(view, self._frame_size), self._frame_size)
        self.pixels = _blended(self.pixels, shown, alpha, rows)
        self.covered = _blended(self.covered, covers, alpha, rows)


class _Labels:
    """The labels of a batch while views are laid on one another."""

    def __init__(self, augmentation: Augmentation, frame_size: tuple[int, int]) -> None:
        self._augmentation, self._frame_size = augmentation, frame_size
        self._people: list[Tensor] = []  # (b, n, 5): box and class
        self._kept: list[Tensor] = []
        self._regions: list[Tensor] = []
        self._regions_kept: list[Tensor] = []
        self._hidden: list[Tensor] = []  # share of each person that was pasted over

    def add(
        self,
        boxes: Tensor,
        classes: Tensor,
        regions: Tensor,
        view: View,
        rectangles: Tensor | None,
        there: Tensor,
    ) -> None:
        """Add what an image shows in a part of the frame."""
        boxes, visible = view_boxes(boxes, view, self._frame_size, rectangles)
        sides = tf.reduce_min(boxes[..., 2:] - boxes[..., :2], axis=-1)
        is_person = (classes >= 0) & there[:, None]
        kept = is_person & (visible >= self._augmentation.min_visible)
        kept &= sides >= self._augmentation.min_side_px
        self._add_people(boxes, classes, kept)
        is_region = (regions[..., 0] >= 0) & there[:, None]
        regions, shown = view_boxes(regions, view, self._frame_size, rectangles)
        self._regions += [regions, boxes]
        self._regions_kept += [is_region & (shown > 0), is_person & ~kept & (visible > 0)]

    def add_pasted(self, pasted: Pasted, classes: Tensor, asked: Tensor) -> Tensor:
        """Add people who are pasted where they cover not too much of others; tells where."""
        shares = [covered_shares(pasted.rectangles, one[..., :4]) for one in self._people]
        there, limit = asked & pasted.fit, self._augmentation.copy_paste_cover
        for share, hidden, kept in zip(shares, self._hidden, self._kept, strict=True):
            there &= tf.reduce_all(~kept | (hidden + share <= limit), axis=1)
        self._hidden = [
            hidden + tf.where(there[:, None], share, 0.0)
            for share, hidden in zip(shares, self._hidden, strict=True)
        ]
        boxes = tf.expand_dims(pasted.boxes, 1)
        self._add_people(boxes, tf.expand_dims(classes, 1), tf.expand_dims(there, 1))
        return there

    def _add_people(self, boxes: Tensor, classes: Tensor, kept: Tensor) -> None:
        self._people.append(tf.concat([boxes, tf.expand_dims(classes, 2)], axis=-1))
        self._kept.append(kept)
        self._hidden.append(tf.zeros_like(classes))

    def collect(self, max_boxes: int, ignore_regions: bool) -> dict[str, Tensor]:
        """Give the labels as `training_batches` does, of too many people the largest."""
        people, kept = tf.concat(self._people, axis=1), tf.concat(self._kept, axis=1)
        found = kept
        if people.shape[1] > max_boxes:
            areas = tf.reduce_prod(people[..., 2:4] - people[..., :2], axis=-1)
            order = tf.argsort(tf.where(kept, -areas, np.inf), axis=1, stable=True)
            found = kept & (tf.argsort(order, axis=1, stable=True) < max_boxes)
        rows = front(people, found)[:, :max_boxes]
        missing = max_boxes - rows.shape[1]
        rows = tf.pad(rows, [[0, 0], [0, missing], [0, 0]], constant_values=-1.0)
        labels = {"boxes": rows[..., :4], "classes": rows[..., 4]}
        if ignore_regions:
            regions = tf.concat([*self._regions, people[..., :4]], axis=1)
            there = tf.concat([*self._regions_kept, kept & ~found], axis=1)
            labels["ignore_boxes"] = front(regions, there)
        return labels


def _either(condition: Tensor, view: View, other: View) -> View:
    parts = {}
    for field in dataclasses.fields(View):
        one = getattr(view, field.name)
        chosen = tf.reshape(condition, (-1, *[1] * (len(one.shape) - 1)))
        parts[field.name] = tf.where(chosen, one, getattr(other, field.name))
    return View(**parts)


def _taken(view: View, rows: Tensor) -> View:
    names = [field.name for field in dataclasses.fields(View)]
    return View(**{name: tf.gather(getattr(view, name), rows) for name in names})


def _blended(below: Tensor, above: Tensor, alpha: Tensor, rows: Tensor) -> Tensor:
    old = tf.gather(below, rows[:, 0])
    return tf.tensor_scatter_nd_update(below, rows, old + alpha * (above - old))


def _picture(view: View, frame_size: tuple[int, int]) -> Tensor:
    """Where the whole pictures lie: xyxy, also beyond the frame."""
    first, last = view.offsets, view.offsets + view.extents
    width = float(frame_size[1])
    left = tf.where(view.flips, width - last[:, 1], first[:, 1])
    right = tf.where(view.flips, width - first[:, 1], last[:, 1])
    return tf.stack([left, first[:, 0], right, last[:, 0]], axis=1)


def _common(left: Tensor, right: Tensor) -> Tensor:
    """Return the rectangle that two have in common."""
    low, high = tf.maximum(left[:, :2], right[:, :2]), tf.minimum(left[:, 2:], right[:, 2:])
    return tf.concat([low, high], axis=1)


def _inside(rectangles: Tensor, frame_size: tuple[int, int]) -> Tensor:
    """1 for pixels whose centre lies in the rectangle: float32 `(b, height, width, 1)`."""
    y, x = (tf.range(side, dtype=tf.float32)[None] + 0.5 for side in frame_size)
    left, top, right, bottom = tf.split(rectangles, 4, axis=1)
    rows = tf.cast((y >= top) & (y < bottom), tf.float32)
    columns = tf.cast((x >= left) & (x < right), tf.float32)
    return _outer(rows, columns)


def _soft(pasted: Pasted, frame_size: tuple[int, int]) -> Tensor:
    """1 in the box, falling to 0 over its edge: float32 `(b, height, width, 1)`."""
    left, top, right, bottom = tf.split(pasted.boxes, 4, axis=1)
    edges = pasted.edges[:, None]
    y, x = (tf.range(side, dtype=tf.float32)[None] + 0.5 for side in frame_size)
    rows = 1 - tf.maximum(top - y, y - bottom) / edges
    columns = 1 - tf.maximum(left - x, x - right) / edges
    return _outer(tf.clip_by_value(rows, 0.0, 1.0), tf.clip_by_value(columns, 0.0, 1.0))


def _outer(rows: Tensor, columns: Tensor) -> Tensor:
    return (tf.expand_dims(rows, 2) * tf.expand_dims(columns, 1))[..., None]
