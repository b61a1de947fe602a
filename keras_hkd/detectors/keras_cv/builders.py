"""Named detectors of KerasCV's two families."""

import math
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import keras_cv

from keras_hkd.detectors.keras_cv import backbones
from keras_hkd.detectors.keras_cv.feature_pyramid import FeaturePyramid
from keras_hkd.detectors.keras_cv.prediction_head import PredictionHead
from keras_hkd.detectors.keras_cv.retinanet import RetinaNet
from keras_hkd.detectors.keras_cv.yolo_v8 import YOLOV8
from keras_hkd.named_builders import builder

PRIOR_BIAS = math.log(0.01 / 0.99)
PEDESTRIAN_RATIOS = (0.3, 0.5, 1.0)  # width over height
ANCHOR_SCALES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))


@builder(
    name="yolo_v8_mobilenet_v2_1.0",
    about="teacher on a CPU: MobileNetV2 1.0, path aggregation pyramid of 96/192/320 channels",
)
def yolo_v8_mobilenet_v2(
    backbone_weights: str | os.PathLike | None = None, **options: Any
) -> YOLOV8:
    """Build YOLOV8 on MobileNetV2 1.0."""
    backbone = backbones.mobilenet_v2(1.0, (96, 192, 320), backbone_weights)
    return _yolo_v8(backbone, fpn_depth=2, **options)


@builder(
    name="yolo_v8_mobilenet_v2_0.35",
    about="compact student: MobileNetV2 0.35, pyramid of 32/48/96 channels",
)
def yolo_v8_mobilenet_v2_compact(
    backbone_weights: str | os.PathLike | None = None, **options: Any
) -> YOLOV8:
    """Build YOLOV8 on MobileNetV2 0.35."""
    backbone = backbones.mobilenet_v2(0.35, (32, 48, 96), backbone_weights)
    return _yolo_v8(backbone, fpn_depth=1, **options)


@builder(about="teacher for small images, no pretrained backbone")
def yolo_v8_small(**options: Any) -> YOLOV8:
    """Build YOLOV8 on a backbone of 192 channels."""
    return _yolo_v8(backbones.micro((32, 48, 96, 144, 192), depth=2), fpn_depth=2, **options)


@builder(about="smallest anchor-free student, no pretrained backbone")
def yolo_v8_micro(**options: Any) -> YOLOV8:
    """Build YOLOV8 on a backbone of 40 channels."""
    return _yolo_v8(backbones.micro((12, 16, 24, 32, 40)), fpn_depth=1, **options)


@builder(about="the paper's teacher, one-stage: ResNet-50 and a 256-channel pyramid")
def retinanet_resnet50(**options: Any) -> RetinaNet:
    """Build RetinaNet on ResNet-50."""
    return _retinanet(backbones.resnet50(), channels=256, num_conv_layers=3, **options)


@builder(about="the paper's student, one-stage: half-width ResNet-18 and a 128-channel pyramid")
def retinanet_resnet18_half(**options: Any) -> RetinaNet:
    """Build RetinaNet on ResNet-18 of half the width."""
    return _retinanet(backbones.resnet18(0.5), channels=128, num_conv_layers=3, **options)


@builder(
    name="retinanet_mobilenet_v2_1.0",
    about="MobileNetV2 1.0 and a 128-channel pyramid",
)
def retinanet_mobilenet_v2(
    backbone_weights: str | os.PathLike | None = None, **options: Any
) -> RetinaNet:
    """Build RetinaNet on MobileNetV2 1.0."""
    backbone = backbones.mobilenet_v2(1.0, (96, 128, 192), backbone_weights)
    return _retinanet(backbone, channels=128, num_conv_layers=3, **options)


@builder(
    name="retinanet_mobilenet_v2_0.35",
    about="compact student: MobileNetV2 0.35 and a 64-channel pyramid with separable heads",
)
def retinanet_mobilenet_v2_compact(
    backbone_weights: str | os.PathLike | None = None, **options: Any
) -> RetinaNet:
    """Build RetinaNet on MobileNetV2 0.35."""
    backbone = backbones.mobilenet_v2(0.35, (32, 48, 64), backbone_weights)
    return _retinanet(backbone, channels=64, num_conv_layers=2, separable=True, **options)


@builder(about="smallest anchor-based student, no pretrained backbone")
def retinanet_micro(**options: Any) -> RetinaNet:
    """Build RetinaNet on a backbone of 64 channels."""
    backbone = backbones.micro((16, 24, 32, 48, 64))
    return _retinanet(backbone, channels=40, num_conv_layers=2, separable=True, **options)


def _yolo_v8(backbone: Any, fpn_depth: int, class_names: Sequence[str], **options: Any) -> YOLOV8:
    model = keras_cv.models.YOLOV8Detector(
        backbone=backbone,
        num_classes=len(class_names),
        bounding_box_format="xyxy",
        fpn_depth=fpn_depth,
    )
    return YOLOV8(model, class_names=class_names, **options)


def _retinanet(
    backbone: Any,
    channels: int,
    num_conv_layers: int,
    class_names: Sequence[str],
    separable: bool = False,
    **options: Any,
) -> RetinaNet:
    generator = keras_cv.layers.AnchorGenerator(
        bounding_box_format="xyxy",
        sizes=[24.0, 48.0, 96.0, 192.0, 384.0],
        scales=list(ANCHOR_SCALES),
        aspect_ratios=list(PEDESTRIAN_RATIOS),
        strides=[8, 16, 32, 64, 128],
        clip_boxes=True,
    )
    head = partial(
        PredictionHead, channels=channels, num_conv_layers=num_conv_layers, separable=separable
    )
    num_classes = len(class_names)
    anchors_per_cell = len(ANCHOR_SCALES) * len(PEDESTRIAN_RATIOS)
    model = keras_cv.models.RetinaNet(
        backbone=backbone,
        num_classes=num_classes,
        bounding_box_format="xyxy",
        anchor_generator=generator,
        feature_pyramid=FeaturePyramid(channels),
        classification_head=head(anchors_per_cell * num_classes, bias_value=PRIOR_BIAS),
        box_head=head(anchors_per_cell * 4),
    )
    return RetinaNet(model, class_names=class_names, **options)
