"""Plans from seed and epoch alone which images are put together into one picture, and where."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from keras_hkd.data.batches.augmentation import NUM_DRAWS, Augmentation
from keras_hkd.data.batches.epoch_plan import EpochPlan
from keras_hkd.data.batches.pasted_people import Donors
from keras_hkd.tensors import Tensor

_STREAM = 1 << 16
"""Far from the numbers of the streams of images, whose numbers are drawn from the same key."""

_NUM_CHANCES = 6
_IS_MOSAIC, _IS_BLEND, _IS_PASTED, _CENTRE_Y, _CENTRE_X, _SHARE = range(_NUM_CHANCES)


@dataclasses.dataclass(frozen=True)
class Slots:
    """The places of a picture that other images may fill, after place 0 of its own image.

    Args:
        tiles: of a mosaic, beside its own.
        blends: pictures blended into it.
        people: people pasted into it.
    """

    tiles: int
    blends: int
    people: int

    @classmethod
    def of(cls, augmentation: Augmentation) -> Slots:
        """Count the slots that an augmentation needs.

        Example:

        >>> Slots.of(Augmentation(mosaic=0.5, copy_paste=0.1))
        Slots(tiles=3, blends=0, people=3)
        """
        return cls(
            3 if augmentation.mosaic else 0,
            1 if augmentation.mixup else 0,
            augmentation.copy_paste_people if augmentation.copy_paste else 0,
        )

    @property
    def total(self) -> int:
        """Slots in all, but for place 0."""
        return self.tiles + self.blends + self.people


class MixingPlan:
    """Says of every picture of an epoch what it is made from.

    Args:
        augmentation: the shares and ranges.
        plan: which images are seen when.
        seed: the run's seed.
        donors: the people who may be pasted.
    """

    def __init__(
        self, augmentation: Augmentation, plan: EpochPlan, seed: int, donors: Donors
    ) -> None:
        self.augmentation, self.plan, self.seed = augmentation, plan, seed
        self.slots = Slots.of(augmentation)
        self.donors = donors
        # Of all rows of an epoch, whichever of them this process reads.
        self._num_rows = plan.streams[0].batches_per_pass * plan.batch_size * len(plan.streams)
        streams = np.arange(self._num_rows) // plan.batch_size % len(plan.streams)
        # Images of a stream are the first ones of the set, and so are the people in them.
        pools = np.array([stream.num_images for stream in plan.streams])
        self._pools, self._people = pools[streams], donors.among_first(pools)[streams]

    def epoch(self, epoch: Tensor) -> dict[str, Tensor]:
        """Give the rows of an epoch, batch after batch.

        Args:
            epoch: int64 scalar.

        Returns:
            dict of n rows each: `draws` `(n, 11)`, of the views of the images themselves;
            `images` int32 `(n, 1 + s)`, image numbers of all places; `used` bool `(n, 1 + s)`,
            which of these are needed; `people` int32 `(n, p)`, numbers of donors; `other_draws`
            `(n, s, 11)`; `is_mosaic`, `is_blend`, `is_pasted` bool `(n,)`; `centres` `(n, 2)` and
            `shares` `(n,)` uniform in [0, 1); `sizes` int32 `(n,)`, equal within a batch.
        """
        order, draws = self.plan.epoch(epoch)
        slots, own = self.slots, self.plan.own_rows
        key = tf.stack([tf.constant(self.seed, tf.int64), 2 * tf.cast(epoch, tf.int64) + 1])
        key = tf.random.experimental.stateless_fold_in(key, _STREAM)
        shape = (self._num_rows, _NUM_CHANCES + slots.total * (1 + NUM_DRAWS))
        chances, others, other_draws = tf.split(
            own(tf.random.stateless_uniform(shape, key)),
            [_NUM_CHANCES, slots.total, slots.total * NUM_DRAWS],
            axis=1,
        )
        early = True
        if self.augmentation.mixed_epochs is not None:
            early = tf.cast(epoch, tf.int64) < self.augmentation.mixed_epochs
        is_mosaic = (chances[:, _IS_MOSAIC] < self.augmentation.mosaic) & early
        is_blend = (chances[:, _IS_BLEND] < self.augmentation.mixup) & early
        is_pasted = chances[:, _IS_PASTED] < self.augmentation.copy_paste
        num_images = slots.tiles + slots.blends
        people = _chosen(others[:, num_images:], own(tf.constant(self._people, tf.int32)))
        pools = own(tf.constant(self._pools, tf.int32))
        images = [order[:, None], _chosen(others[:, :num_images], pools)]
        flags = [(tf.ones_like(is_mosaic), 1), (is_mosaic, slots.tiles), (is_blend, slots.blends)]
        if slots.people:
            images.append(tf.gather(tf.constant(self.donors.images), people))
        flags.append((is_pasted, slots.people))
        return {
            "draws": draws,
            "images": tf.concat(images, axis=1),
            "used": tf.concat([tf.repeat(one[:, None], n, axis=1) for one, n in flags], axis=1),
            "people": people,
            "other_draws": tf.reshape(other_draws, (order.shape[0], slots.total, NUM_DRAWS)),
            "is_mosaic": is_mosaic,
            "is_blend": is_blend,
            "is_pasted": is_pasted,
            "centres": chances[:, _CENTRE_Y : _CENTRE_X + 1],
            "shares": chances[:, _SHARE],
            "sizes": self._sizes(key),
        }

    def _sizes(self, key: Tensor) -> Tensor:
        """Draw the number of each batch's size, the same for all its rows."""
        count = max(1, len(self.augmentation.sizes))
        key = tf.random.experimental.stateless_fold_in(key, 1)
        drawn = tf.random.stateless_uniform(
            (self._num_rows // self.plan.batch_size,), key, maxval=count, dtype=tf.int32
        )
        return tf.repeat(drawn, self.plan.rows_per_batch)


def _chosen(uniform: Tensor, counts: Tensor) -> Tensor:
    """Turn numbers in [0, 1) into whole numbers below the count of their row."""
    below = counts[:, None]
    numbers = tf.cast(uniform * tf.cast(below, tf.float32), tf.int32)
    return tf.maximum(tf.minimum(numbers, below - 1), 0)
