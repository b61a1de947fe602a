"""Protocols of the log-average miss rate: the rules in which the pedestrian benchmarks differ."""

from __future__ import annotations

import dataclasses

from keras_hkd.errors import InvalidValueError
from keras_hkd.messages import did_you_mean
from keras_hkd.metrics.kaist import NUM_TEST_IMAGES
from keras_hkd.metrics.subsets import Subset

ROUNDED_REFERENCES = (0.0100, 0.0178, 0.0316, 0.0562, 0.1000, 0.1778, 0.3162, 0.5623, 1.0000)
"""False positives per image at which the curve is sampled, rounded as in the official codes."""


@dataclasses.dataclass(frozen=True)
class Protocol:
    """The rules by which a benchmark computes its log-average miss rate.

    Args:
        name: name of the protocol, such as "citypersons".
        subsets: the subsets that it reports, the main one first.
        iou_threshold: least IoU of a match.
        references: false positives per image at which the curve is sampled.
        max_detections: number of detections per image, best first, that count; None for all.
        height_tolerance: detections whose height lies outside the subset's range widened by this
            factor are dropped; None keeps them all.
        image_bounds: `(left, top, right, bottom)` in pixels; people who extend beyond are ignored.
        skips_images_without_detections: whether people in images without detections do not count
            as missed.
        zero_id_is_no_match: whether a match with the annotation of id 0 is a false positive, as in
            the benchmark's published scores; only for its whole test part.
        num_test_images: number of images of the benchmark's test part; None if it does not matter.
        below_the_curve: miss rate at references below the whole curve: "lowest" for the lowest miss
            rate of the curve, "one" for 1.
        min_miss_rate: lower bound of each miss rate before the logarithm.
        aspect_ratio: width / height to which boxes are changed before matching, or None.
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
        """Return a subset by name.

        Args:
            name: name of one of the subsets, or a `Subset`, which is returned unchanged.

        Raises:
            ValueError: if no subset has that name.
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


CITY_PERSONS = Protocol(
    name="citypersons",
    subsets=(
        Subset("reasonable", min_height_px=50, min_visibility=0.65),
        Subset("reasonable_small", min_height_px=50, max_height_px=75, min_visibility=0.65),
        Subset("heavy_occlusion", min_height_px=50, min_visibility=0.2, max_visibility=0.65),
        Subset("all", min_height_px=20, min_visibility=0.2),
    ),
)
"""The CityPersons protocol, also the default for other photographs.

S. Zhang, R. Benenson, B. Schiele, CityPersons, CVPR 2017. Checked against the official code.
"""

KAIST = Protocol(
    name="kaist",
    subsets=tuple(
        Subset(images, min_height_px=55, occlusion_levels=(0, 1), images=images)
        for images in ("all", "day", "night")
    ),
    height_tolerance=None,
    image_bounds=(5, 5, 635, 507),
    skips_images_without_detections=True,
    zero_id_is_no_match=True,
    num_test_images=NUM_TEST_IMAGES,
)
"""The KAIST protocol, "reasonable": all, day and night images.

S. Hwang et al., Multispectral Pedestrian Detection: Benchmark Dataset and Baseline, CVPR 2015.
Checked against the evaluation code of its authors' laboratory.
"""

CALTECH = Protocol(
    name="caltech",
    subsets=(
        Subset("reasonable", min_height_px=50, min_visibility=0.65),
        Subset("heavy_occlusion", min_height_px=50, min_visibility=0.2, max_visibility=0.65),
        Subset("all", min_height_px=20, min_visibility=0.2),
    ),
    references=tuple(10.0 ** (-2 + 0.25 * step) for step in range(9)),
    max_detections=None,
    image_bounds=(5, 5, 635, 475),
    below_the_curve="one",
    min_miss_rate=1e-10,
    aspect_ratio=0.41,
    include_max_height=False,
    verified=False,
)
"""The Caltech protocol. Unverified: no reference scores were available to check it with.

P. Dollar, C. Wojek, B. Schiele, P. Perona, Pedestrian Detection: An Evaluation of the State of the
Art, TPAMI 2012. It follows the authors' MATLAB code: boxes brought to one aspect ratio, people near
the edge of the image ignored, miss rate 1 below the curve.
"""

PROTOCOLS = {protocol.name: protocol for protocol in (CITY_PERSONS, KAIST, CALTECH)}


def protocol_names() -> tuple[str, ...]:
    """Return the names of the miss-rate protocols.

    Example:

    >>> protocol_names()
    ('citypersons', 'kaist', 'caltech')
    """
    return tuple(PROTOCOLS)


def get_protocol(name: str | Protocol) -> Protocol:
    """Return a protocol by name.

    Args:
        name: "citypersons", "kaist" or "caltech", or a `Protocol`, which is returned unchanged.

    Raises:
        ValueError: if no protocol has that name.

    Example:

    >>> get_protocol("citypersons").subset("reasonable").min_height_px
    50
    """
    if isinstance(name, Protocol):
        return name
    if name not in PROTOCOLS:
        raise InvalidValueError(
            f"`protocol` must be one of {', '.join(PROTOCOLS)}.{did_you_mean(name, PROTOCOLS)} "
            f"Received: {name!r}"
        )
    return PROTOCOLS[name]
