"""Small detectors of both families and their files, each converted once."""

import functools
import pickle

import keras
import pytest

IMAGE_SIZE = (64, 96)
MICRO = {"retinanet": "retinanet_micro", "yolo_v8": "yolo_v8_micro"}


@functools.cache
def make_detector(family, num_classes=1):
    """A micro detector whose outputs vary: BatchNorm statistics and head biases from noise."""
    from keras_hkd.detectors import build

    names = ("person", "bicycle", "car")[:num_classes]
    detector = build(MICRO[family], image_size=IMAGE_SIZE, class_names=names, seed=1)
    norms = [
        layer
        for layer in detector._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for layer in norms:
        layer.momentum = 0.0
    detector(make_images(2), training=True)
    for weight in detector.weights:
        if weight.shape[-1] in (36, 9 * num_classes) and len(weight.shape) == 4:
            weight.assign(weight * 20.0)  # a RetinaNet's heads start from almost nothing
    return detector


@functools.cache
def make_images(num_images=8):
    """Drawn scenes as float32 pixels."""
    from keras_hkd.export.representative import sample_images

    return sample_images(IMAGE_SIZE, num_images)


@pytest.fixture(params=["yolo_v8", "retinanet"], scope="session")
def family(request):
    return request.param


@pytest.fixture(scope="session")
def micro_detector():
    """Function from a family's name to its micro detector; its weights stay as they are."""
    return make_detector


@pytest.fixture(scope="session")
def images():
    return make_images()


@pytest.fixture(scope="session")
def tflite(tmp_path_factory, worker_id):
    """Function that gives the `ExportReport` of a micro detector's file.

    Conversion takes long, so each file is written once for all test processes of a run.
    """
    folder = tmp_path_factory.mktemp("tflite")
    shared = folder if worker_id == "master" else tmp_path_factory.getbasetemp().parent

    @functools.cache
    def write(family, quantization=None, nms=True, num_classes=1):
        from keras_hkd.export import export_tflite

        name = f"{family}_{quantization}_{'nms' if nms else 'raw'}_{num_classes}"
        report_file = shared / f"{name}.pickle"
        if report_file.exists():
            return pickle.loads(report_file.read_bytes())
        report = export_tflite(
            make_detector(family, num_classes),
            folder / f"{name}.tflite",
            quantization=quantization,
            representative_images=make_images() if quantization == "int8" else None,
            nms=nms,
        )
        (folder / "report").write_bytes(pickle.dumps(report))
        (folder / "report").rename(report_file)  # whole or not at all
        return report

    return write


@pytest.fixture
def read_interpreter():
    """Function that opens a file in the plain interpreter, as an application does."""
    from ai_edge_litert.interpreter import Interpreter

    def open_file(path):
        interpreter = Interpreter(model_path=str(path))
        interpreter.allocate_tensors()
        return interpreter

    return open_file


@pytest.fixture
def random_heads():
    """Function that draws raw heads of one image with many overlaps and no ties."""
    from keras_hkd.export import verification

    def draw(grid, num_classes=1, seed=3):
        logits, outputs = verification.random_heads(grid, num_classes, seed)
        return logits[0], outputs[0]

    return draw
