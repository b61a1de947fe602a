"""Benchmark rules as data: what differs between the pedestrian benchmarks, and nothing else."""

from __future__ import annotations

import dataclasses

from keras_hkd.errors import InvalidValueError
from keras_hkd.messages import did_you_mean
from keras_hkd.metrics.subsets import Subset

ROUNDED_REFERENCES = (0.0100, 0.0178, 0.0316, 0.0562, 0.1000, 0.1778, 0.3162, 0.5623, 1.0000)
"""False positives per image at which the miss rate is read, rounded as the official codes do."""


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How one benchmark computes its log-average miss rate.

    Args:
        name: such as "citypersons".
        subsets: the subsets that it reports, the headline first.
        iou_threshold: overlap from which a detection finds a person.
        references: false positives per image at which the miss rate is read.
        max_detections: the best so many of an image are looked at.
        height_tolerance: detections whose height lies outside the subset's range widened by this
            factor are dropped; None keeps them all.
        image_bounds: `(left, top, right, bottom)`; people who reach out of it are ignored.
        skips_images_without_detections: whether people of such images do not count as missed.
        zero_id_is_no_match: whether finding the person with annotation id 0 is a false positive, as
            the benchmark's published scores have it, in its whole test part.
        num_test_images: images of the benchmark's test part; None where it does not matter.
        below_the_curve: miss rate at a reference lower than the whole curve: "lowest" takes the
            curve's lowest miss rate, "one" takes 1.
        min_miss_rate: floor under each miss rate before the logarithm.
        aspect_ratio: width / height that boxes are brought to before matching, or None.
        include_max_height: whether a person exactly at a subset's upper limit counts.
        verified: whether scores were checked against the benchmark's own code.
    """

    name: str
    subsets: tuple[Subset, ...]
    iou_threshold: float = 0.5
    references: tuple[float, ...] = ROUNDED_REFERENCES
    max_detections: int | None = 1000
    height_tolerance: float | None = 1.25
    image_bounds: tuple[float, float, float, float] | None = None
    skips_images_without_detections: bool = False
    zero_id_is_no_match: bool = False
    num_test_images: int | None = None
    below_the_curve: str = "lowest"
    min_miss_rate: float = 0.0
    aspect_ratio: float | None = None
    include_max_height: bool = True
    verified: bool = True

    def subset(self, name: str | Subset) -> Subset:
        """One of the subsets by name; a `Subset` of your own passes through.

        Raises:
            ValueError: no subset has that name.
        """
        if isinstance(name, Subset):
            return name
        names = [subset.name for subset in self.subsets]
        if name not in names:
            raise InvalidValueError(
                f"Protocol '{self.name}' has the subsets {', '.join(names)}."
                f"{did_you_mean(name, names)} Received: {name!r}"
            )
        return self.subsets[names.index(name)]


def protocol_names() -> tuple[str, ...]:
    """Names of the miss-rate protocols.

    Example:

    >>> protocol_names()
    ('citypersons', 'kaist', 'caltech')
    """
    return tuple(_protocols())


def get_protocol(name: str | Protocol) -> Protocol:
    """A protocol by name; a `Protocol` of your own passes through.

    Args:
        name: "citypersons", "kaist" or "caltech".

    Raises:
        ValueError: no protocol has that name.

    Example:

    >>> get_protocol("citypersons").subset("reasonable").min_height_px
    50
    """
    if isinstance(name, Protocol):
        return name
    protocols = _protocols()
    if name not in protocols:
        raise InvalidValueError(
            f"`protocol` must be one of {', '.join(protocols)}.{did_you_mean(name, protocols)} "
            f"Received: {name!r}"
        )
    return protocols[name]


def _protocols() -> dict[str, Protocol]:
    from keras_hkd.metrics.caltech import CALTECH
    from keras_hkd.metrics.city_persons import CITY_PERSONS
    from keras_hkd.metrics.kaist import KAIST

    return {protocol.name: protocol for protocol in (CITY_PERSONS, KAIST, CALTECH)}
