"""Reads an ONNX export of RTMDet into Keras, convolution by convolution, and checks the result."""

from __future__ import annotations

import dataclasses
import pathlib

import keras
import numpy as np
from keras import layers

from keras_hkd.detectors.rtmdet.detector import RTMDet
from keras_hkd.detectors.rtmdet.network import (
    PIXEL_DEVIATION,
    PIXEL_MEAN,
    SIZES,
    RTMDetConfig,
    convolution_names,
    rtmdet_network,
)

TOLERANCE = 1e-4
"""Largest difference of raw outputs from onnxruntime's, relative to their largest value."""

PUBLISHED_OPTIONS = {"antialias": False, "nms_iou_threshold": 0.65, "score_threshold": 0.001}
"""How the published code prepares photographs and suppresses detections."""

_QUANTIZED = ("ConvInteger", "QLinearConv", "DynamicQuantizeLinear", "DequantizeLinear")


def import_rtmdet(
    path: str | pathlib.Path,
    *,
    class_names: tuple[str, ...] | None = None,
    image_size: tuple[int, int] = (320, 320),
    images: np.ndarray | None = None,
    **options,
) -> RTMDet:
    """Builds an `RTMDet` with the weights of an ONNX file.

    The file may end in raw heads or in suppression, which is cut off; its images may have a fixed
    or an open size. Its convolutions, into which BatchNorm has been folded, go into the network in
    the order in which they run; BatchNorm is put back so that the network computes the same: with
    `images` each takes the mean and variance that its convolution has over them, which training
    needs, else 0 and 1.

    Args:
        path: the `.onnx` file.
        class_names: names of its classes; by default `person` of one class, else `class_0`, ....
        image_size: `(height, width)` in pixels, the detector's default.
        images: `(n, height, width, 3)` RGB in [0, 255], letterboxed photographs, both sides
            multiples of 32; a few hundred.
        **options: of the `Detector`; thresholds and resizing are those of the published code unless
            given here.

    Returns:
        The detector, whose raw outputs agree with onnxruntime's to 1e-4 of their largest value.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a damaged file, a quantised one, another architecture, or outputs that differ.
        ImportError: onnx or onnxruntime is not installed (`pip install "keras-hkd[onnx]"`).

    Reference: Lyu et al., https://arxiv.org/abs/2212.07784.
    """
    path = pathlib.Path(path)
    graph = _read(path)
    convolutions = _convolutions(graph, path)
    config, names = _config_of(graph, convolutions, path)
    network = rtmdet_network(config)
    for name, (kernel, bias) in zip(names, convolutions, strict=True):
        _put(network, network.get_layer(name), kernel, bias)
    _turn_to_rgb(network)
    _check_outputs(network, names, path)
    if images is not None:
        restore_batch_norm(network, images)
    if class_names is None:
        number = config.num_classes
        class_names = ("person",) if number == 1 else tuple(f"class_{i}" for i in range(number))
    return RTMDet(
        network,
        exponential=config.exponential,
        class_names=class_names,
        image_size=image_size,
        **{**PUBLISHED_OPTIONS, **options},
    )


def restore_batch_norm(network: keras.Model, images: np.ndarray, batch_size: int = 8) -> None:
    """Gives BatchNorm the statistics of images without changing what the network computes.

    With mean m and variance v of a convolution's output, BatchNorm's scale and shift become those
    that undo them: `gamma' = gamma * sqrt((v + e) / (v0 + e))`,
    `beta' = beta + gamma' * (m - m0) / sqrt(v + e)`, with the old m0, v0, gamma, beta.

    Args:
        network: a functional model in which each BatchNorm follows a convolution.
        images: `(n, height, width, 3)` RGB in [0, 255].
        batch_size: images at a time.
    """
    norms = [layer for layer in network.layers if isinstance(layer, layers.BatchNormalization)]
    probe = keras.Model(network.inputs, [norm.input for norm in norms])
    sums = [0.0] * len(norms)
    squares = [0.0] * len(norms)
    counts = [0] * len(norms)
    for start in range(0, len(images), batch_size):
        for i, x in enumerate(probe(np.asarray(images[start : start + batch_size], "float32"))):
            x = np.asarray(x, "float64").reshape(-1, x.shape[-1])
            sums[i] = sums[i] + x.sum(axis=0)
            squares[i] = squares[i] + np.square(x).sum(axis=0)
            counts[i] += len(x)
    for norm, total, square, count in zip(norms, sums, squares, counts, strict=True):
        mean = total / count
        _rewrite_norm(norm, mean, np.maximum(square / count - np.square(mean), 1e-8))


def _rewrite_norm(norm, mean, variance):
    old_mean, old_variance, gamma, beta = (
        np.asarray(keras.ops.convert_to_numpy(value), "float64")
        for value in (norm.moving_mean, norm.moving_variance, norm.gamma, norm.beta)
    )
    new_gamma = gamma * np.sqrt((variance + norm.epsilon) / (old_variance + norm.epsilon))
    slope = gamma / np.sqrt(old_variance + norm.epsilon)
    norm.gamma.assign(new_gamma)
    norm.beta.assign(beta + slope * (mean - old_mean))
    norm.moving_mean.assign(mean)
    norm.moving_variance.assign(variance)


def _read(path):
    try:
        import onnx
        import onnxruntime  # noqa: F401 (fails here rather than after the work)
    except ImportError as error:
        raise ImportError(
            'Reading ONNX needs onnx and onnxruntime: pip install "keras-hkd[onnx]".'
        ) from error
    if not path.is_file():
        raise FileNotFoundError(f"No ONNX file at '{path}'.")
    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf and onnx raise many kinds for a damaged file
        raise ValueError(
            f"'{path}' is damaged or no ONNX file. {type(error).__name__}: {str(error)[:200]}"
        ) from error
    quantized = sorted({node.op_type for node in model.graph.node} & set(_QUANTIZED))
    if quantized:
        raise ValueError(
            f"'{path}' is quantised; give the float export. Received: operators {quantized}"
        )
    return model.graph


def _convolutions(graph, path):
    """`[(kernel, bias)]` in the order in which they run, kernels as Keras has them."""
    from onnx import numpy_helper

    weights = {tensor.name: tensor for tensor in graph.initializer}
    found = []
    for node in graph.node:
        if node.op_type != "Conv":
            continue
        if node.input[1] not in weights:
            raise _another_architecture(path, "a convolution whose kernel is computed")
        kernel = numpy_helper.to_array(weights[node.input[1]]).astype("float32")
        groups = next((a.i for a in node.attribute if a.name == "group"), 1)
        bias = np.zeros(kernel.shape[0], "float32")
        if len(node.input) > 2:
            bias = numpy_helper.to_array(weights[node.input[2]]).astype("float32")
        # ONNX: (out, in / groups, h, w). Keras: (h, w, in, out), depthwise (h, w, channels, 1).
        kernel = kernel.transpose((2, 3, 1, 0) if groups == 1 else (2, 3, 0, 1))
        found.append((kernel, bias))
    return found


def _config_of(graph, convolutions, path) -> tuple[RTMDetConfig, list[str]]:
    """The config whose convolutions have the file's shapes, and their names in order."""
    shapes = [kernel.shape for kernel, _ in convolutions]
    operators = {node.op_type for node in graph.node}
    for size in SIZES.values():
        # BatchNorm, folded, has made a set of each level's of the heads that levels share.
        config = dataclasses.replace(size, shared_heads=False, exponential="Exp" in operators)
        names = convolution_names(config)
        if len(names) != len(shapes):
            continue
        config = dataclasses.replace(
            config,
            width=shapes[names.index("stem3_conv")][3] / 64,
            pyramid_channels=shapes[-1][2],
            num_classes=shapes[names.index("head_P3_class_predictor")][3],
        )
        network = rtmdet_network(config)
        if [tuple(network.get_layer(name).kernel.shape) for name in names] == shapes:
            return config, names
    received = f"{len(shapes)} convolutions, whose shapes are those of none"
    raise _another_architecture(path, received)


def _another_architecture(path, received):
    return ValueError(
        f"'{path}' holds another architecture: expected RTMDet in one of the sizes "
        f"{', '.join(SIZES)}, of any width. Received: {received}"
    )


def _put(network, layer, kernel, bias):
    """Gives a convolution its kernel, and its bias to it or to the BatchNorm behind it."""
    layer.kernel.assign(kernel)
    if layer.use_bias:
        layer.bias.assign(bias)
        return
    norm = network.get_layer(layer.name.removesuffix("_conv") + "_norm")
    norm.moving_mean.assign(np.zeros_like(bias))
    norm.moving_variance.assign(np.ones_like(bias))
    norm.gamma.assign(np.full_like(bias, np.sqrt(1.0 + norm.epsilon)))
    norm.beta.assign(bias)


def _turn_to_rgb(network):
    """The published networks read BGR; ours read RGB."""
    kernel = network.get_layer("stem1_conv").kernel
    kernel.assign(keras.ops.convert_to_numpy(kernel)[:, :, ::-1, :])


def _check_outputs(network, names, path):
    """Raises a ValueError unless raw outputs agree with onnxruntime's on two images."""
    height, width = _input_size(path)
    images = np.random.default_rng(0).uniform(0, 255, (2, height, width, 3)).astype("float32")
    images[1] = np.linspace(0, 255, width, dtype="float32")[None, :, None]
    outputs = network(images, training=False)
    pixels = ((images - PIXEL_MEAN) / PIXEL_DEVIATION)[..., ::-1].transpose(0, 3, 1, 2)
    for part in ("class_logits", "box_outputs"):
        predictor = {"class_logits": "_class_predictor", "box_outputs": "_box_predictor"}[part]
        places = [index for index, name in enumerate(names) if name.endswith(predictor)]
        theirs = _outputs_of_convolutions(path, places, pixels.astype("float32"))
        ours = keras.ops.convert_to_numpy(outputs[part])
        error = float(np.max(np.abs(ours - theirs)) / np.max(np.abs(theirs)))
        if not error <= TOLERANCE:
            raise ValueError(
                f"'{path}' has the shapes of RTMDet and computes something else: its raw {part} "
                f"differ from the network's by {error:.1e} of their largest value; at most "
                f"{TOLERANCE:.0e} is allowed."
            )


def _input_size(path):
    import onnx

    images = onnx.load(str(path)).graph.input[0]
    sides = [dimension.dim_value for dimension in images.type.tensor_type.shape.dim[2:]]
    return tuple(side or 320 for side in sides)


def _outputs_of_convolutions(path, places, pixels):
    """`(n, points, channels)`: outputs of some convolutions of the file, by onnxruntime."""
    import onnx
    import onnxruntime

    model = onnx.load(str(path))
    made = [node.output[0] for node in model.graph.node if node.op_type == "Conv"]
    wanted = [made[place] for place in places]
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in wanted)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    rows = [session.run(wanted, {name: pixels[i : i + 1]}) for i in range(len(pixels))]
    flat = [[x.transpose(0, 2, 3, 1).reshape(1, -1, x.shape[1]) for x in row] for row in rows]
    return np.concatenate([np.concatenate(row, axis=1) for row in flat])
