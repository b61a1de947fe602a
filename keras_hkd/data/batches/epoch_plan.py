"""Plans from seed and epoch alone the order of the images and their random numbers."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from keras_hkd.data.batches.augmentation import draw_numbers
from keras_hkd.data.batches.semi_supervised import SemiSupervisedDataset
from keras_hkd.data.batches.stored_views import StoredViews
from keras_hkd.errors import InvalidValueError
from keras_hkd.tensors import Tensor


@dataclasses.dataclass(frozen=True)
class Stream:
    """Endless passes over the same images; every pass is a permutation of its own.

    A pass has as many whole batches as the images give; those that do not fill one are left out
    of it. The views of an image are drawn anew in every pass.

    Args:
        num_images: images of the stream.
        batch_size: images per batch.
        seed: the run's seed.
        number: which of a run's streams it is; streams of other numbers are independent.
        views: views that come again and again; None for views drawn anew in every pass.
    """

    num_images: int
    batch_size: int
    seed: int
    number: int = 0
    views: StoredViews | None = None

    @property
    def batches_per_pass(self) -> int:
        """Whole batches of one pass."""
        return self.num_images // self.batch_size

    def epoch(self, epoch: Tensor, num_batches: int) -> tuple[Tensor, Tensor]:
        """Give the images of the batches `epoch * num_batches` up to the next epoch's.

        Args:
            epoch: int64 scalar.
            num_batches: batches per epoch, at most those of a pass.

        Returns:
            int32 `(num_batches * batch_size,)` image numbers, and float32 of as many rows, the
            numbers drawn for their views.
        """
        if num_batches == self.batches_per_pass:
            return self._pass(epoch)
        first = epoch * num_batches
        parts = [self._pass(first // self.batches_per_pass + i) for i in (0, 1)]
        start = tf.cast(first % self.batches_per_pass, tf.int32) * self.batch_size
        stop = start + num_batches * self.batch_size
        order, draws = (tf.concat(part, axis=0)[start:stop] for part in zip(*parts, strict=True))
        return (
            tf.ensure_shape(order, (num_batches * self.batch_size,)),
            tf.ensure_shape(draws, (num_batches * self.batch_size, draws.shape[1])),
        )

    def _pass(self, number: Tensor) -> tuple[Tensor, Tensor]:
        key = tf.stack([tf.constant(self.seed, tf.int64), 2 * number])
        if self.number:
            key = tf.random.experimental.stateless_fold_in(key, self.number)
        order = tf.random.experimental.stateless_shuffle(tf.range(self.num_images), key)
        order = order[: self.batches_per_pass * self.batch_size]
        if self.views is None:
            draws = draw_numbers(self.seed, number, self.num_images, stream=self.number)
        else:
            view = self.views.view_of(number)
            draws = draw_numbers(self.views.seed, view, self.num_images)
        return order, tf.gather(draws, order)


class EpochPlan:
    """The order of images in any epoch of a training run.

    Args:
        dataset: a `Dataset`: one pass over it is an epoch. Or a `SemiSupervisedDataset`: batches
            come in turn from one pass over its labelled images and from all its images.
        batch_size: images per batch, at most the number of (labelled) images.
        seed: the run's seed.
        views: see `Stream`; of a `Dataset` only.
        share: `(index, count)`, of several processes that share every batch which one this is and
            how many they are: it reads `batch_size / count` rows of each batch, those of process 0
            first.

    Raises:
        ValueError: if the batch does not divide among the processes.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        seed: int,
        views: StoredViews | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        if batch_size % share[1]:
            raise InvalidValueError(
                f"The batch must divide among the {share[1]} processes that share it. "
                f"Received: batch_size={batch_size}"
            )
        self.batch_size = batch_size
        self.share = share
        sets = [dataset]
        if isinstance(dataset, SemiSupervisedDataset):
            sets = [dataset.labelled, dataset.images]
        self.streams = [
            Stream(len(one), batch_size, seed, number, views) for number, one in enumerate(sets)
        ]

    def epoch(self, epoch: Tensor) -> tuple[Tensor, ...]:
        """Give image numbers and drawn numbers of one epoch, batch after batch.

        Args:
            epoch: int64 scalar.

        Returns:
            int32 `(n,)` and float32 `(n, 11)`, of this process's share of every batch.
        """
        num_batches = self.streams[0].batches_per_pass
        parts = [stream.epoch(epoch, num_batches) for stream in self.streams]
        columns = (self._in_turn(column, num_batches) for column in zip(*parts, strict=True))
        return tuple(self.own_rows(column) for column in columns)

    @property
    def rows_per_batch(self) -> int:
        """Rows of every batch that this process reads."""
        return self.batch_size // self.share[1]

    def own_rows(self, rows: Tensor) -> Tensor:
        """Take, of the rows of an epoch, those that this process reads."""
        index, count = self.share
        if count == 1:
            return rows
        shares = tf.reshape(rows, (-1, count, self.rows_per_batch, *rows.shape[1:]))
        return tf.reshape(shares[:, index], (-1, *rows.shape[1:]))

    def _in_turn(self, rows: Any, num_batches: int) -> Tensor:
        if len(rows) == 1:
            return rows[0]
        shape = (num_batches, self.batch_size, *rows[0].shape[1:])
        batches = tf.stack([tf.reshape(one, shape) for one in rows], axis=1)
        return tf.reshape(batches, (-1, *shape[2:]))
