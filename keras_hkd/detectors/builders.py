"""Named detectors, each a row of one table, built with random weights and no network access."""

import math
from functools import partial

import keras
import keras_cv

from keras_hkd.batch_norm import synchronize_batch_norm
from keras_hkd.detectors.keras_cv import backbones
from keras_hkd.detectors.keras_cv.feature_pyramid import FeaturePyramid
from keras_hkd.detectors.keras_cv.prediction_head import PredictionHead
from keras_hkd.detectors.keras_cv.retinanet import RetinaNet
from keras_hkd.detectors.keras_cv.yolo_v8 import YOLOV8
from keras_hkd.errors import InvalidValueError
from keras_hkd.messages import did_you_mean

PRIOR_BIAS = math.log(0.01 / 0.99)
PEDESTRIAN_RATIOS = (0.3, 0.5, 1.0)  # width over height
ANCHOR_SCALES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))


def _yolo_v8(backbone, num_classes, fpn_depth, **options):
    model = keras_cv.models.YOLOV8Detector(
        backbone=backbone, num_classes=num_classes, bounding_box_format="xyxy", fpn_depth=fpn_depth
    )
    return YOLOV8(model, **options)


def _retinanet(backbone, num_classes, channels, num_conv_layers, separable=False, **options):
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
    return RetinaNet(model, **options)


# name: (one line about it, backbone from weights, detector from backbone and classes)
TABLE = {
    "yolo_v8_mobilenet_v2_1.0": (
        "teacher on a CPU: MobileNetV2 1.0, path aggregation pyramid of 96/192/320 channels",
        partial(backbones.mobilenet_v2, 1.0, (96, 192, 320)),
        partial(_yolo_v8, fpn_depth=2),
    ),
    "yolo_v8_mobilenet_v2_0.35": (
        "compact student: MobileNetV2 0.35, pyramid of 32/48/96 channels",
        partial(backbones.mobilenet_v2, 0.35, (32, 48, 96)),
        partial(_yolo_v8, fpn_depth=1),
    ),
    "yolo_v8_small": (
        "teacher for small images, no pretrained backbone",
        partial(backbones.micro, (32, 48, 96, 144, 192), depth=2),
        partial(_yolo_v8, fpn_depth=2),
    ),
    "yolo_v8_micro": (
        "smallest anchor-free student, no pretrained backbone",
        partial(backbones.micro, (12, 16, 24, 32, 40)),
        partial(_yolo_v8, fpn_depth=1),
    ),
    "retinanet_resnet50": (
        "the paper's teacher, one-stage: ResNet-50 and a 256-channel pyramid",
        backbones.resnet50,
        partial(_retinanet, channels=256, num_conv_layers=3),
    ),
    "retinanet_resnet18_half": (
        "the paper's student, one-stage: half-width ResNet-18 and a 128-channel pyramid",
        partial(backbones.resnet18, 0.5),
        partial(_retinanet, channels=128, num_conv_layers=3),
    ),
    "retinanet_mobilenet_v2_1.0": (
        "MobileNetV2 1.0 and a 128-channel pyramid",
        partial(backbones.mobilenet_v2, 1.0, (96, 128, 192)),
        partial(_retinanet, channels=128, num_conv_layers=3),
    ),
    "retinanet_mobilenet_v2_0.35": (
        "compact student: MobileNetV2 0.35 and a 64-channel pyramid with separable heads",
        partial(backbones.mobilenet_v2, 0.35, (32, 48, 64)),
        partial(_retinanet, channels=64, num_conv_layers=2, separable=True),
    ),
    "retinanet_micro": (
        "smallest anchor-based student, no pretrained backbone",
        partial(backbones.micro, (16, 24, 32, 48, 64)),
        partial(_retinanet, channels=40, num_conv_layers=2, separable=True),
    ),
}


def names():
    """Names that `build` knows, with a line about each.

    Example:
    >>> "yolo_v8_micro" in names()
    True
    """
    return {name: row[0] for name, row in TABLE.items()}


def build(
    name,
    *,
    image_size=(320, 320),
    class_names=("person",),
    backbone_weights=None,
    synchronized=False,
    seed=None,
    **options,
):
    """Builds a named detector with random weights.

    Args:
        name: one of `names()`.
        image_size: `(height, width)` in pixels it works at by default.
        class_names: classes to detect.
        backbone_weights: path of ImageNet weights for a MobileNetV2 backbone.
        synchronized: BatchNorm statistics over all replicas of a `tf.distribute` strategy.
        seed: of the initial weights, through `keras.utils.set_random_seed`; None leaves the global
            generators alone.
        **options: passed to the `Detector`.

    Returns:
        A `Detector`.

    Raises:
        ValueError: unknown name, or `backbone_weights` for a backbone that takes none.

    Example:
    >>> detector = build("yolo_v8_micro", image_size=(64, 64))
    >>> detector.count_params() < 300_000
    True
    """
    if name not in TABLE:
        hint = did_you_mean(name, TABLE, most=3, cutoff=0.4)
        raise InvalidValueError(
            f"No detector is called {name!r}.{hint} Names: {', '.join(TABLE)}; "
            "a saved detector is given by its .keras path."
        )
    if seed is not None:
        keras.utils.set_random_seed(seed)
    _, make_backbone, make_detector = TABLE[name]
    if (
        backbone_weights is not None
        and getattr(make_backbone, "func", None) is not backbones.mobilenet_v2
    ):
        raise InvalidValueError(
            f"'{name}' has no MobileNetV2 backbone, so it takes no `backbone_weights`. "
            f"Received: backbone_weights={backbone_weights!r}"
        )
    weights = {} if backbone_weights is None else {"weights": backbone_weights}
    detector = make_detector(
        make_backbone(**weights),
        len(tuple(class_names)),
        image_size=image_size,
        class_names=class_names,
        name=name.replace(".", "_"),
        **options,
    )
    if synchronized:
        synchronize_batch_norm(detector)
    return detector
