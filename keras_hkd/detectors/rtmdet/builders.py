"""The sizes of RTMDet by name, with random weights."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from keras_hkd.detectors.rtmdet.config import SIZES
from keras_hkd.detectors.rtmdet.detector import RTMDet
from keras_hkd.named_builders import builder


@builder(about="RTMDet as published for people on phones: depthwise convolutions, 1.0 M parameters")
def rtmdet_nano(**options: Any) -> RTMDet:
    """Build RTMDet-nano."""
    return _of_size("nano", **options)


@builder(about="RTMDet with full convolutions and heads that levels share, 4.9 M parameters")
def rtmdet_tiny(**options: Any) -> RTMDet:
    """Build RTMDet-tiny."""
    return _of_size("tiny", **options)


@builder(about="RTMDet of half the width, 8.9 M parameters")
def rtmdet_s(**options: Any) -> RTMDet:
    """Build RTMDet-s."""
    return _of_size("s", **options)


@builder(about="RTMDet of two thirds of the depth, 24.7 M parameters")
def rtmdet_m(**options: Any) -> RTMDet:
    """Build RTMDet-m."""
    return _of_size("m", **options)


@builder(about="RTMDet of full depth and width, 52.3 M parameters: a teacher")
def rtmdet_l(**options: Any) -> RTMDet:
    """Build RTMDet-l."""
    return _of_size("l", **options)


@builder(about="the largest RTMDet, 94.9 M parameters: a teacher")
def rtmdet_x(**options: Any) -> RTMDet:
    """Build RTMDet-x."""
    return _of_size("x", **options)


def _of_size(size: Any, class_names: Sequence[str], **options: Any) -> RTMDet:
    config = dataclasses.replace(SIZES[size], num_classes=len(class_names))
    return RTMDet(config, class_names=class_names, **options)
