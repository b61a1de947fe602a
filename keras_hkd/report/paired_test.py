"""Whether a difference over the same seeds is more than chance: Student's paired t-test."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from keras_hkd.errors import InvalidValueError


class PairedTest(NamedTuple):
    """What `paired_test` found.

    Attributes:
        differences: second minus first, pair by pair.
        mean: their mean.
        deviation: their sample standard deviation; None for one pair.
        p_value: two-sided, in [0, 1]; None for one pair, where nothing can be tested.
    """

    differences: tuple[float, ...]
    mean: float
    deviation: float | None
    p_value: float | None


def paired_test(first: Sequence[float], second: Sequence[float]) -> PairedTest:
    """Test whether the mean of paired differences is 0.

    `t = mean / (deviation / sqrt(n))`, with n - 1 degrees of freedom.

    Args:
        first: values, such as AP of students trained alone, one for each seed.
        second: values of the same seeds, such as of distilled students.

    Returns:
        A `PairedTest`. Differences that are all equal have a p-value of 0, or of 1 if they are 0.

    Raises:
        ValueError: no pair, or not as many of one as of the other.

    Example:

    >>> found = paired_test([0.20, 0.21, 0.19], [0.22, 0.24, 0.20])
    >>> round(found.mean, 3), round(found.p_value, 3)
    (0.02, 0.074)
    """
    if len(first) != len(second) or len(first) == 0:
        raise InvalidValueError(
            "A paired test needs as many values on both sides, and at least one. "
            f"Received: {len(first)} and {len(second)}"
        )
    differences = tuple(float(b) - float(a) for a, b in zip(first, second, strict=True))
    mean = statistics.fmean(differences)
    if len(differences) == 1:
        return PairedTest(differences, mean, None, None)
    deviation = statistics.stdev(differences)
    if deviation <= 1e-12 * max(map(abs, differences)):
        return PairedTest(differences, mean, deviation, 0.0 if mean else 1.0)
    t = mean / (deviation / math.sqrt(len(differences)))
    return PairedTest(differences, mean, deviation, t_test_p_value(t, len(differences) - 1))


def t_test_p_value(t: float, degrees: int) -> float:
    """Compute the two-sided p-value of Student's t, by its finite series for whole degrees.

    Args:
        t: the statistic.
        degrees: of freedom, at least 1.

    Reference:
        Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.

    Example:

    >>> round(t_test_p_value(12.706, 1), 4), round(t_test_p_value(2.228, 10), 4)
    (0.05, 0.05)
    """
    angle = math.atan(abs(t) / math.sqrt(degrees))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = degrees % 2
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for number in range(2 + odd, degrees + 1, 2):
        total += term
        term *= cosine**2 * (number - 1) / number
    if not odd:
        return max(0.0, 1.0 - sine * total)
    return max(0.0, 1.0 - (angle + sine * total) * 2.0 / math.pi)
