"""Reading ONNX exports: written here operator by operator, and the published files."""

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from keras_hkd.detectors import load_detector
from keras_hkd.detectors.rtmdet import import_rtmdet
from keras_hkd.detectors.rtmdet.batch_norm import restore_batch_norm
from keras_hkd.detectors.rtmdet.onnx_import import read_rtmdet

SIZE = (64, 96)
IMAGES = np.random.default_rng(5).uniform(0, 255, (2, *SIZE, 3)).astype("float32")
BGR_MEAN, BGR_DEVIATION = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)


def tables(path, images=IMAGES):
    """`(n, points, classes + 4)`: class logits and the distances of the edges in pixels."""
    pixels = (images[..., ::-1] - BGR_MEAN) / BGR_DEVIATION
    pixels = pixels.transpose(0, 3, 1, 2).astype("float32")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (name,) = (one.name for one in session.get_inputs())
    rows = [session.run(None, {name: pixels[i : i + 1]}) for i in range(len(images))]
    flat = [np.concatenate([t.reshape(1, -1, t.shape[-1]) for t in row], axis=1) for row in rows]
    return np.concatenate(flat)


def assert_same_detections(detector, expected, num_classes=1):
    outputs = detector(IMAGES)
    np.testing.assert_allclose(
        outputs["class_logits"], expected[..., :num_classes], rtol=1e-3, atol=1e-3
    )
    x, y = np.asarray(detector.anchor_points(SIZE)).T
    left, top, right, bottom = np.moveaxis(expected[..., num_classes:], -1, 0)
    boxes = np.stack([x - left, y - top, x + right, y + bottom], axis=-1)
    size = np.abs(expected[..., num_classes:]).max()
    found = detector.decode_boxes(outputs["box_outputs"], SIZE)
    np.testing.assert_allclose(found, boxes, atol=1e-4 * size)


@pytest.fixture(scope="module")
def imported(onnx_file):
    """The detector of a file with suppression and an open size; tests leave it as it is."""
    return import_rtmdet(onnx_file(nms=True), image_size=SIZE)


def test_suppression_is_cut_off_and_the_size_may_be_open(imported, onnx_file):
    assert (imported.class_names, imported.image_size) == (("person",), SIZE)
    assert (imported.nms_iou_threshold, imported.score_threshold) == (0.65, 0.001)
    assert_same_detections(imported, tables(onnx_file()))  # drawn from the same seed


@pytest.mark.parametrize(
    ("size", "num_classes", "exponential"),
    [("nano", 3, False), ("tiny", 1, True)],
)
def test_raw_heads_are_those_of_onnxruntime(onnx_file, size, num_classes, exponential):
    path = onnx_file(size=size, num_classes=num_classes, exponential=exponential)
    found = read_rtmdet(path)
    assert found.size == size
    assert (found.config.num_classes, found.config.exponential) == (num_classes, exponential)
    assert (found.config.width, found.config.pyramid_channels) == (0.125, 32)
    assert 0 < found.difference < 1e-4
    detector = found.detector(image_size=SIZE, score_threshold=0.2)
    assert detector.num_classes == num_classes
    assert detector.class_names[-1] == ("person" if num_classes == 1 else "class_2")
    assert (detector.exponential, detector.score_threshold) == (exponential, 0.2)
    assert_same_detections(detector, tables(path), num_classes)


def test_batch_norm_takes_the_statistics_of_images(imported, onnx_file, tmp_path):
    photos = np.random.default_rng(6).uniform(0, 255, (9, 64, 64, 3)).astype("float32")
    detector = import_rtmdet(onnx_file(), image_size=SIZE, images=photos)
    assert_same_detections(detector, tables(onnx_file()))

    def far(one):
        """How far logits of training mode are from those of inference, over these photos."""
        expected = np.asarray(one(photos)["class_logits"])
        return np.abs(np.asarray(one(photos, training=True)["class_logits"]) - expected).mean()

    assert far(detector) < 0.05 * far(imported)
    norm = detector.network.get_layer("stem1_norm")
    before = keras.Model(detector.network.input, norm.input)(photos).numpy().reshape(-1, 4)
    np.testing.assert_allclose(norm.moving_mean, before.mean(axis=0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, before.var(axis=0), rtol=1e-3)
    detector.save(tmp_path / "imported.keras")
    loaded = load_detector(tmp_path / "imported.keras")
    np.testing.assert_array_equal(loaded(IMAGES)["class_logits"], detector(IMAGES)["class_logits"])


@pytest.mark.long
def test_statistics_of_few_images_at_a_time_are_those_of_all(small_detector, new_detector):
    one, other = (new_detector(seed=0) for _ in range(2))
    photos = np.random.default_rng(6).uniform(0, 255, (5, 64, 64, 3)).astype("float32")
    restore_batch_norm(one.network, photos, batch_size=2)
    restore_batch_norm(other.network, photos, batch_size=5)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * np.abs(b).max())
    expected = np.asarray(small_detector(IMAGES)["class_logits"])
    found = np.asarray(one(IMAGES)["class_logits"])
    assert np.abs(found - expected).max() < 1e-3 * np.abs(expected).max()
    with pytest.raises(ValueError, match="at least one image"):
        restore_batch_norm(one.network, photos[:0])


def test_no_file():
    with pytest.raises(FileNotFoundError, match=r"No ONNX file at 'nowhere\.onnx'"):
        import_rtmdet("nowhere.onnx")


def test_a_damaged_file(onnx_file, tmp_path):
    content = onnx_file().read_bytes()
    for name, damaged in (
        ("half", content[: len(content) // 2]),
        ("text", b"no onnx"),
        ("empty", b""),
    ):
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(damaged)
        with pytest.raises(
            ValueError, match=rf"{name}\.onnx' is damaged or no ONNX file of images"
        ):
            import_rtmdet(path)


def changed(path, target, change):
    model = onnx.load(str(path))
    change(model.graph)
    onnx.save(model, str(target))
    return target


def test_another_architecture(onnx_file, tmp_path):
    def without_a_convolution(graph):
        del graph.node[-1:], graph.output[:]
        last = [node for node in graph.node if node.op_type == "Conv"][-1]
        graph.node.remove(last)
        del graph.node[-2:]
        graph.output.append(helper.make_tensor_value_info(graph.node[-1].output[0], 1, None))

    path = changed(onnx_file(), tmp_path / "short.onnx", without_a_convolution)
    with pytest.raises(
        ValueError, match=r"another architecture: expected RTMDet.*122 convolutions"
    ):
        import_rtmdet(path)

    weight = numpy_helper.from_array(np.ones((4, 3, 3, 3), "float32"), "kernel")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["images", "kernel"], ["y"], pads=[1] * 4)],
        "other",
        [helper.make_tensor_value_info("images", 1, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("y", 1, None)],
        [weight],
    )
    onnx.save(helper.make_model(graph, ir_version=8), str(tmp_path / "other.onnx"))
    with pytest.raises(
        ValueError, match=r"other\.onnx' holds another architecture.*1 convolutions"
    ):
        import_rtmdet(tmp_path / "other.onnx")


def test_the_same_shapes_computing_something_else(onnx_file, tmp_path):
    def relu(graph):
        """ReLU where the third sigmoid gate was."""
        gate = [node for node in graph.node if node.op_type == "Mul"][2]
        gate.CopyFrom(helper.make_node("Relu", gate.input[:1], gate.output))

    path = changed(onnx_file(), tmp_path / "relu.onnx", relu)
    with pytest.raises(ValueError, match="computes something else: its raw class_logits differ"):
        import_rtmdet(path)

    def poisoned(graph):
        weight = numpy_helper.to_array(graph.initializer[0]).copy()
        weight[0] = np.nan
        graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, graph.initializer[0].name))

    path = changed(onnx_file(), tmp_path / "nan.onnx", poisoned)
    with pytest.raises(ValueError, match="computes something else"):
        import_rtmdet(path)


def test_a_dynamically_quantised_file(onnx_file, tmp_path):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = tmp_path / "int8.onnx"
    quantize_dynamic(str(onnx_file()), str(path), weight_type=QuantType.QUInt8)
    with pytest.raises(ValueError, match=r"int8\.onnx' is quantised.*ConvInteger"):
        import_rtmdet(path)
