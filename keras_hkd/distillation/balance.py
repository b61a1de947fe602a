"""Balances terms: sets their weights so that each has its share of the student's gradient."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from keras_hkd.box_labels import padded_labels
from keras_hkd.checks import positive
from keras_hkd.distillation import schedules
from keras_hkd.distillation.first_batches import first_batches
from keras_hkd.distillation.gradient_norms import as_shares, norms_of, own_and_terms
from keras_hkd.errors import InvalidTypeError, InvalidValueError
from keras_hkd.learner import checked_batch
from keras_hkd.tensors import Tensor

if TYPE_CHECKING:
    from keras_hkd.distillation.distiller import Distiller

NUM_BATCHES = 8
_SUM_OF_EQUAL_SHARES = 0.5
_OWN = "student"  # name of the student's own loss among the shares


class Balance:
    """Scales of the distillation terms, measured once, before the first step.

    `scale_i = share_i / share_own * |g_own| / |g_i|`, g the gradient of a loss at the student's
    trainable weights, own the student's own weighted loss, `share_own = 1 - sum_i share_i`. Each
    norm is the median over some batches.

    The scales are weights of the Distiller, and are saved and restored with the others.

    Args:
        distiller: a `Distiller` whose terms are attached.
        shares: a share for each distillation term.

    Raises:
        ValueError: the student's own loss weighs nothing.
    """

    def __init__(self, distiller: Distiller, shares: Sequence[float]) -> None:
        if distiller.student_loss_weight <= 0:
            raise InvalidValueError(
                "Shares are measured against the student's own loss, which must weigh something. "
                f"Received: student_loss_weight={distiller.student_loss_weight}"
            )
        self.distiller = distiller
        self.shares = dict(zip(distiller.term_names, shares, strict=True))
        self.own_share = 1.0 - sum(shares)
        kept: dict[str, Any] = {"trainable": False, "aggregation": "only_first_replica"}
        self.scales = distiller.add_weight(
            shape=(len(shares),), initializer="ones", dtype="float32", name="balance", **kept
        )
        self.num_batches = distiller.add_weight(
            shape=(), initializer="zeros", dtype="int32", name="balance_batches", **kept
        )
        self.record: dict[str, Any] | None = None
        self._norms: Callable[[Tensor, Any], np.ndarray] | None = None

    @property
    def is_measured(self) -> bool:
        """Whether the scales were measured, here or in the run that was restored."""
        return bool(ops.convert_to_numpy(self.num_batches) > 0)

    def scaled(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """Multiply the terms' weights by their scales."""
        scales = ops.convert_to_tensor(self.scales)
        return [weight * scales[number] for number, weight in enumerate(weights)]

    def measure(self, batches: Iterable[Any]) -> dict[str, Any]:
        """Set the scales by the gradients on some batches, as the student stands.

        Args:
            batches: pairs of images and labels.

        Returns:
            What was found: `num_batches`, and by name `norms` of the unweighted terms, `scales`,
            and the `shares` of the gradient `before` and `after`, in which a term without gradient
            has None.

        Raises:
            ValueError: no batch, no gradient of the student's own loss, or none of any term.
        """
        self._norms = None  # which weights train may have changed
        rows = [self._on_batch(batch) for batch in batches]
        if not rows:
            raise InvalidValueError("Balancing needs at least one batch. Received: none")
        own, *others = (_median(column) for column in np.stack(rows, axis=1))
        if not _usable(own):
            raise InvalidValueError(
                "Terms are balanced against the gradient of the student's own loss, which must be "
                "finite and above 0. Look at the labels, or give numbers as "
                f"`distillation_loss_weights`. Received: a norm of {own} over {len(rows)} batches"
            )
        idle = [name for name, norm in zip(self.shares, others, strict=True) if not _usable(norm)]
        if len(idle) == len(self.shares):
            raise InvalidValueError(
                "Balancing needs a term with a finite gradient above 0 at the student. Received: "
                f"{dict(zip(self.shares, others, strict=True))} over {len(rows)} batches"
            )
        for name in idle:
            warnings.warn(
                f"The term {name!r} has no finite gradient above 0 at the student on the first "
                f"{len(rows)} batches: it is not balanced, and its scale stays 1. Does its teacher "
                "know something that the student does not, and is its loss made for these outputs?",
                RuntimeWarning,
                stacklevel=3,
            )
        scales = [
            share / self.own_share * own / norm if _usable(norm) else 1.0
            for share, norm in zip(self.shares.values(), others, strict=True)
        ]
        self.scales.assign(np.array(scales, "float32"))
        self.num_batches.assign(len(rows))
        scaled = [scale * norm for scale, norm in zip(scales, others, strict=True)]
        self.record = {
            "num_batches": len(rows),
            "norms": self._named([own, *others]),
            "scales": dict(zip(self.shares, scales, strict=True)),
            "shares_before": self._named(as_shares([own, *others])),
            "shares_after": self._named(as_shares([own, *scaled])),
        }
        return self.record

    def before_fit(self, x: Any, y: Any, batch_size: int | None, quiet: bool = False) -> Any:
        """Measure on the first batches of what `fit` is given, unless that was done before.

        Args:
            x: as `fit` takes it.
            y: as `fit` takes it.
            batch_size: as `fit` takes it.
            quiet: print nothing.

        Returns:
            What `fit` is to take in place of `x`.
        """
        if self.is_measured:
            return x
        if not quiet and self.distiller.chosen:
            print(self.distiller.chosen)
        batches, x = first_batches(x, y, batch_size, NUM_BATCHES)
        record = self.measure(batches)
        if not quiet:
            print(describe_balance(record))
        return x

    def drifts(self, norms: Sequence[float]) -> dict[str, float]:
        """Compute how far each term's gradient, beside the own loss's, is from its share.

        Args:
            norms: of the gradients of the student's own weighted loss and of the unweighted terms.

        Returns:
            dict of factors by name of the term, without those that are not scaled: 1 where the
            gradient is as asked, whatever a schedule says.
        """
        own, *others = norms
        scales = np.asarray(ops.convert_to_numpy(self.scales))
        wanted = np.array(list(self.shares.values())) / self.own_share
        found = scales * others / max(float(own), 1e-30) / wanted  # schedules cancel out
        return {
            name: float(drift)
            for name, drift, scale in zip(self.shares, found, scales, strict=True)
            if scale != 1.0
        }

    def _on_batch(self, batch: Any) -> np.ndarray:
        *_, (images, labels, *_) = checked_batch(self.distiller.learner, (batch,))
        if self._norms is None:
            parts = functools.partial(own_and_terms, self.distiller)
            self._norms = norms_of(self.distiller, parts, training=True)
        return self._norms(images, padded_labels(labels))

    def _named(self, values: Iterable[float]) -> dict[str, float | None]:
        found = [float(value) if np.isfinite(value) else None for value in values]
        return dict(zip((_OWN, *self.shares), found, strict=True))


class BalancesTerms:
    """Mixin of a Keras model whose terms are balanced before its first step.

    Attributes:
        balance: a `Balance`, or None where nothing is balanced.
    """

    balance: Balance | None

    def measure_balance(self, batches: Iterable[Any]) -> dict[str, Any]:
        """Set the scales of balanced terms by gradients on batches; `fit` calls it by itself.

        Args:
            batches: pairs of images and labels.

        Returns:
            A dict of what was found, by name of the term; see `Balance.measure`.

        Raises:
            ValueError: if nothing is balanced, or the batches give no gradient to balance by.
        """
        if self.balance is None:
            raise InvalidValueError(
                'Nothing is balanced: give distillation_loss_weights="balanced" or `shares`. '
                "Received: shares=None"
            )
        return self.balance.measure(batches)

    def fit(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Train as `keras.Model.fit` does, after balanced terms that were not measured yet are."""
        if self.balance is not None:
            x = self.balance.before_fit(x, y, batch_size, quiet=kwargs.get("verbose") == 0)
        return super().fit(x, y, batch_size, *args, **kwargs)  # type: ignore[misc]

    def train_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train as Keras does; balanced terms that were not measured yet are, on this batch."""
        if self.balance is not None and not self.balance.is_measured:
            self.measure_balance([(x, y)])
        return super().train_on_batch(x, y, *args, **kwargs)  # type: ignore[misc]


class RebalanceTerms(keras.callbacks.Callback):
    """Callback that measures the scales of balanced terms anew after some epochs.

    Shares hold where they are measured, and drift while the student learns.

    Args:
        batches: pairs of images and labels to measure on, such as `train_data.take(8)`.
        after_epochs: numbers of finished epochs after which to measure.
        say: called with a line on what was found.

    Raises:
        ValueError: when training begins, if the model balances nothing.

    Example:

        distiller.fit(train_data, epochs=24, steps_per_epoch=100, callbacks=[
            keras_hkd.distillation.RebalanceTerms(train_data.take(8), after_epochs=[4, 12])
        ])
    """

    def __init__(
        self,
        batches: Iterable[Any],
        after_epochs: Collection[int],
        say: Callable[[str], object] = print,
    ) -> None:
        super().__init__()
        self.batches = list(batches) if isinstance(batches, Iterator) else batches
        self.after_epochs, self.say = frozenset(after_epochs), say

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        if getattr(self.model, "balance", None) is None:
            raise InvalidValueError(
                "RebalanceTerms needs a Distiller whose terms are balanced: give shares, or no "
                f"numbers as `distillation_loss_weights`. Received: {self.model.name!r}"
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if epoch + 1 in self.after_epochs:
            record = self.model.measure_balance(self.batches)
            self.say(f"After epoch {epoch + 1}: {describe_balance(record)}")


def describe_balance(record: dict[str, Any]) -> str:
    """Say in one line what `Balance.measure` found.

    Args:
        record: what it returned.

    Example:

    >>> describe_balance(
    ...     {
    ...         "num_batches": 1,
    ...         "scales": {"pyramid": 3.0},
    ...         "shares_before": {"student": 0.75, "pyramid": 0.25},
    ...         "shares_after": {"student": 0.5, "pyramid": 0.5},
    ...     }
    ... )
    'Balanced on 1 batch, shares of the gradient: student 0.75 -> 0.5, pyramid 0.25 -> 0.5 (x 3)'
    """
    parts = []
    for name, before in record["shares_before"].items():
        if before is None:
            parts.append(f"{name} none")
            continue
        scale = f" (x {record['scales'][name]:.3g})" if name in record["scales"] else ""
        parts.append(f"{name} {before:.2g} -> {record['shares_after'][name]:.2g}{scale}")
    count = record["num_batches"]
    number = "1 batch" if count == 1 else f"{count} batches"
    return f"Balanced on {number}, shares of the gradient: {', '.join(parts)}"


def resolve(
    weights: Any, shares: Sequence[float] | None, num_terms: int
) -> tuple[list[schedules.WeightSchedule], list[float] | None]:
    """Read a Distiller's arguments `distillation_loss_weights` and `shares`.

    Args:
        weights: "balanced", or what `schedules.for_losses` takes.
        shares: a share of the gradient for each term, or None.
        num_terms: number of distillation terms.

    Returns:
        A schedule for each term, and their shares, None where nothing is balanced.

    Raises:
        TypeError: shares that are no list of numbers.
        ValueError: another word than "balanced", numbers beside shares, shares that are not above
            0, do not leave the student one, or are not as many as the terms.

    Example:

    >>> resolve("balanced", None, 2)
    ([Constant(value=1.0), Constant(value=1.0)], [0.25, 0.25])
    """
    if isinstance(weights, str):
        if weights != "balanced":
            raise InvalidValueError(
                '`distillation_loss_weights` must be "balanced", or a number or schedule for each '
                f"term. Received: {weights!r}"
            )
        weights = None
        if not num_terms and shares is None:  # the student's own loss alone
            return [], None
        shares = [_SUM_OF_EQUAL_SHARES / num_terms] * num_terms if shares is None else shares
    of_terms = schedules.for_losses(weights, num_terms)
    if shares is None:
        return of_terms, None
    fixed = [each for each in of_terms if isinstance(each, schedules.Constant) and each.value != 1]
    if fixed:
        raise InvalidValueError(
            '`shares` say how heavy the terms are: give "balanced" or schedules with them, which '
            f"multiply the measured weights, but no numbers. Received: {of_terms}"
        )
    return of_terms, _checked(shares, num_terms)


def _checked(shares: Any, num_terms: int) -> list[float]:
    if not isinstance(shares, (list, tuple)):
        raise InvalidTypeError(
            "`shares` must be a list of numbers, a share of the gradient for each of "
            f"`distillation_losses`. Received: {shares!r}"
        )
    found = [positive(f"shares[{number}]", share) for number, share in enumerate(shares)]
    if len(found) != num_terms:
        raise InvalidValueError(
            "`shares` needs one share for each of `distillation_losses`. "
            f"Received: {len(found)} shares for {num_terms} losses."
        )
    if sum(found) >= 1.0:
        raise InvalidValueError(
            "`shares` must sum to less than 1: the rest is the share of the student's own loss. "
            f"Received: shares={found}, which sum to {sum(found):g}"
        )
    return found


def _usable(norm: float) -> bool:
    return bool(np.isfinite(norm)) and norm > 0


def _median(norms: np.ndarray) -> float:
    """Median of the finite ones; NaN without any."""
    finite = norms[np.isfinite(norms)]
    return float(np.median(finite)) if finite.size else float("nan")
