"""Measures latencies of models in turn: medians, 90th percentiles and ratios."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_hkd import checks
from keras_hkd.errors import InvalidValueError
from keras_hkd.inference.prediction import input_size
from keras_hkd.progress import image_progress


@dataclasses.dataclass(frozen=True)
class Latencies:
    """Times of several calls, taken in turn, round by round.

    Attributes:
        times_ms: name -> milliseconds `(rounds,)`; entry r of all names is of the same round.

    Example:

    >>> times = {"old": np.array([4.0, 8.0, 6.0]), "new": np.array([2.0, 4.0, 2.0])}
    >>> latencies = Latencies(times)
    >>> latencies.median_ms("new"), latencies.speed_up("new", "old")
    (2.0, 2.0)
    """

    times_ms: Mapping[str, np.ndarray]

    def median_ms(self, name: str) -> float:
        """Return the median time of a call in milliseconds."""
        return float(np.median(self.times_ms[name]))

    def p90_ms(self, name: str) -> float:
        """Return the 90th percentile of the time of a call in milliseconds."""
        return float(np.percentile(self.times_ms[name], 90))

    def speed_up(self, name: str, reference: str) -> float:
        """Compute how many times faster a call is than another: the median of the rounds' ratios.

        A machine that slows down slows both calls of a round, so a ratio holds where times drift.
        """
        return float(np.median(self.times_ms[reference] / self.times_ms[name]))


def measure_latencies(
    calls: Mapping[str, Callable[[], object]],
    rounds: int = 50,
    warm_up: int = 5,
    progress: bool = True,
) -> Latencies:
    """Time calls in turn: each once a round, so that all see the same state of the machine.

    Each timed call follows an untimed one of the same kind, as in a stream of images: what it reads
    is in the processor's caches and not what the others left there.

    Args:
        calls: name -> function without arguments.
        rounds: timed rounds.
        warm_up: rounds before these, which compile and fill caches.
        progress: whether to show a progress bar.

    Raises:
        ValueError: `rounds` below 1, `warm_up` below 0, or nothing to call.
    """
    checks.whole("rounds", rounds, low=1)
    checks.whole("warm_up", warm_up)
    if not calls:
        raise InvalidValueError("`calls` must hold at least one call to time. Received: none")
    times_ms = {name: np.zeros(rounds) for name in calls}
    with image_progress("Timing", (warm_up + rounds) * len(calls), progress) as advance:
        for step in range(-warm_up, rounds):
            for name, call in calls.items():
                call()
                start = time.perf_counter()
                call()
                if step >= 0:
                    times_ms[name][step] = 1000 * (time.perf_counter() - start)
                advance(1)
    return Latencies(times_ms)


def measure_latency_ms(
    models: Mapping[str, object],
    image_size: tuple[int, int] | None = None,
    repeats: int = 10,
    warm_up: int = 2,
) -> dict[str, float]:
    """Measure the median time of one compiled prediction of one image.

    The models predict in turn, so that a machine that slows down slows all of them.

    Args:
        models: name -> anything with `predict_on_batch(images)`.
        image_size: `(height, width)` in pixels; each model's own if None.
        repeats: timed predictions of each.
        warm_up: predictions before these, which compile and fill caches.

    Returns:
        Name -> milliseconds.

    Raises:
        ValueError: no image size, or `repeats` below 1.
    """
    checks.whole("repeats", repeats, low=1)
    calls = {name: _prediction(model, image_size) for name, model in models.items()}
    latencies = measure_latencies(calls, repeats, warm_up, progress=False)
    return {name: latencies.median_ms(name) for name in models}


def _prediction(model: Any, image_size: tuple[int, int] | None) -> Callable[[], object]:
    shape = (1, *input_size(model, image_size), 3)
    image = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    return lambda: model.predict_on_batch(image)
