"""A small RTMDet, and ONNX files of small RTMDets as the published exports are built."""

import functools

import keras
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from keras_hkd.detectors.rtmdet import RTMDet, RTMDetConfig

SIZE = (64, 96)
STAGE_BLOCKS = {"nano": (1, 2, 2, 1), "tiny": (1, 1, 1, 1)}


def make_detector(seed=0, **config):
    """An eighth of the width of the paper's largest; logits and boxes vary from point to point."""
    keras.utils.set_random_seed(seed)
    config = {"width": 0.125, "depth": 0.167, "pyramid_channels": 32, "num_classes": 1, **config}
    names = ("person", "rider", "dog")[: config["num_classes"]]
    detector = RTMDet(RTMDetConfig(**config), image_size=SIZE, class_names=names)
    noise = np.random.default_rng(7).uniform(0, 255, (2, *SIZE, 3)).astype("float32")
    norms = [one for one in detector.network.layers if hasattr(one, "moving_mean")]
    for norm in norms:
        norm.momentum = 0.0
    detector(noise, training=True)
    for norm in norms:
        norm.momentum = 0.9
    return detector


@functools.cache
def _small_detector():
    return make_detector()


@pytest.fixture
def small_detector():
    """One person detector of random weights; tests leave them as they are."""
    return _small_detector()


@pytest.fixture(scope="session")
def new_detector():
    """Function that builds a small detector of its own: `seed`, and parts of an `RTMDetConfig`."""
    return make_detector


class PublishedGraph:
    """Writes RTMDet operator by operator as its published code runs: BGR, NCHW, BatchNorm folded.

    Args:
        size: `"nano"` (depthwise, heads apart) or `"tiny"`.
        num_classes: of the class heads.
        exponential: whether an Exp stands behind each box predictor.
        channels: of the pyramid; the backbone has an eighth of the full width.
    """

    def __init__(self, size="nano", num_classes=1, exponential=False, channels=32, seed=0):
        self.depthwise = size == "nano"
        self.blocks = STAGE_BLOCKS[size]
        self.generator = np.random.default_rng(seed)
        self.nodes, self.weights = [], []
        self.channels = {"images": 3}
        pyramid = self.neck(self.backbone("images"), channels)
        self.heads = []
        for x in pyramid:
            logits = self.conv(self.tower(x), num_classes, 1, activated=False)
            boxes = self.conv(self.tower(x), 4, 1, activated=False)
            self.heads.append(
                (logits, self.add("Exp", [boxes], channels=4) if exponential else boxes)
            )

    def add(self, kind, inputs, channels=None, **attributes):
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        self.channels[name] = channels or self.channels.get(inputs[0])
        return name

    def constant(self, values, name=None):
        name = name or f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def conv(self, x, filters, size, stride=1, groups=1, activated=True):
        inputs = self.channels[x] // groups
        kernel = self.generator.normal(
            0, 1.5 / np.sqrt(inputs * size**2), (filters, inputs, size, size)
        )
        names = [
            self.constant(v.astype("float32"))
            for v in (kernel, self.generator.normal(0, 0.3, filters))
        ]
        y = self.add(
            "Conv", [x, *names], filters, group=groups, kernel_shape=[size] * 2,
            pads=[size // 2] * 4, strides=[stride] * 2,
        )  # fmt: skip
        return self.add("Mul", [y, self.add("Sigmoid", [y])]) if activated else y

    def separable(self, x, filters, size, stride=1):
        x = self.conv(x, self.channels[x], size, stride, groups=self.channels[x])
        return self.conv(x, filters, 1)

    def conv3(self, x, filters, stride=1):
        return (self.separable if self.depthwise else self.conv)(x, filters, 3, stride)

    def join(self, *parts):
        return self.add("Concat", list(parts), sum(self.channels[part] for part in parts), axis=1)

    def csp(self, x, filters, num_blocks, residual, attention):
        short, main = self.conv(x, filters // 2, 1), self.conv(x, filters // 2, 1)
        for _ in range(num_blocks):
            y = self.separable(self.conv3(main, filters // 2), filters // 2, 5)
            main = self.add("Add", [y, main]) if residual else y
        x = self.join(main, short)
        if attention:
            gate = self.conv(self.add("GlobalAveragePool", [x]), filters, 1, activated=False)
            gate = self.add("HardSigmoid", [gate], alpha=1 / 6)
            x = self.add("Mul", [x, gate])
        return self.conv(x, filters, 1)

    def backbone(self, x):
        for filters, stride in ((4, 2), (4, 1), (8, 1)):
            x = self.conv(x, filters, 3, stride)
        maps = []
        for stage, (filters, blocks) in enumerate(zip((16, 32, 64, 128), self.blocks, strict=True)):
            x = self.conv3(x, filters, 2)
            if stage == 3:
                x = self.conv(x, filters // 2, 1)
                pools = [
                    self.add(
                        "MaxPool", [x], kernel_shape=[s] * 2, pads=[s // 2] * 4, strides=[1, 1]
                    )
                    for s in (5, 9, 13)
                ]
                x = self.conv(self.join(x, *pools), filters, 1)
            x = self.csp(x, filters, blocks, residual=stage < 3, attention=True)
            maps.append(x)
        return maps[1:]

    def neck(self, maps, channels):
        small, middle, large = maps
        scales = self.constant(np.array([1, 1, 2, 2], "float32"))

        def up(x, other, filters):
            x = self.add("Resize", [x, "", scales], mode="nearest", nearest_mode="floor",
                         coordinate_transformation_mode="asymmetric")  # fmt: skip
            return self.csp(self.join(x, other), filters, 1, residual=False, attention=False)

        large = self.conv(large, 64, 1)
        middle = self.conv(up(large, middle, 64), 32, 1)
        maps = [up(middle, small, 32)]
        for other, filters in ((middle, 64), (large, 128)):
            x = self.conv3(maps[-1], self.channels[maps[-1]], 2)
            maps.append(self.csp(self.join(x, other), filters, 1, residual=False, attention=False))
        return [self.conv3(x, channels) for x in maps]

    def tower(self, x):
        for _ in range(2):
            x = self.conv3(x, self.channels[x])
        return x

    def model(self, sides=(64, 96), nms=False):
        """The file: tables (height, width, classes + 4) of each level, or boxes of suppression."""
        if nms:
            outputs = [self.suppressed()]
        else:
            outputs = []
            for (logits, boxes), stride in zip(self.heads, (8, 16, 32), strict=True):
                boxes = self.add("Mul", [boxes, self.constant(np.float32(stride))])
                outputs.append(self.add("Transpose", [self.join(logits, boxes)], perm=[0, 2, 3, 1]))
        names = ("height", "width") if nms else sides
        graph = helper.make_graph(
            self.nodes,
            "rtmdet",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, *names])],
            [
                helper.make_tensor_value_info(
                    name, TensorProto.INT64 if nms else TensorProto.FLOAT, None
                )
                for name in outputs
            ],
            self.weights,
        )
        opset = [helper.make_opsetid("", 13)]
        return helper.make_model(graph, opset_imports=opset, ir_version=8)

    def suppressed(self):
        """Sigmoid, boxes as they are and NonMaxSuppression: what a reader has to cut off."""
        scores = [self.flat(logits) for logits, _ in self.heads]
        boxes = [self.flat(boxes) for _, boxes in self.heads]
        boxes = self.add("Transpose", [self.add("Concat", boxes, axis=2)], perm=[0, 2, 1])
        scores = self.add("Sigmoid", [self.add("Concat", scores, axis=2)])
        limit = self.constant(np.array([10], "int64"))
        return self.add("NonMaxSuppression", [boxes, scores, limit])

    def flat(self, x):
        shape = self.constant(np.array([0, self.channels[x], -1]))
        return self.add("Reshape", [x, shape])


@pytest.fixture(scope="session")
def onnx_file(tmp_path_factory):
    """Function that writes a small file of the published form; options of `PublishedGraph`."""

    @functools.cache
    def write(nms=False, **options):
        path = tmp_path_factory.mktemp("onnx") / "rtmdet.onnx"
        onnx.save(PublishedGraph(**options).model(nms=nms), path)
        return path

    return write
