"""The published person detector, where the shared weights lie beside the clone."""

import json

import keras
import numpy as np
import onnxruntime
import pytest

from keras_hkd.cli.main import main
from keras_hkd.detectors.rtmdet import import_rtmdet

BGR_MEAN, BGR_DEVIATION = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)


@pytest.fixture
def published(shared_dir):
    """Function from a file's name to its place among the shared weights."""

    def find(name):
        path = shared_dir / "weights" / name
        if not path.is_file():
            pytest.skip(f"the published file {name} is not among the shared weights")
        return path

    return find


@pytest.mark.slow
def test_both_files_are_one_detector_and_compute_what_onnxruntime_computes(published):
    raw = published("rtmdet_nano_person_raw_320.onnx")
    photos = np.random.default_rng(0).uniform(0, 255, (1, 320, 320, 3)).astype("float32")
    session = onnxruntime.InferenceSession(str(raw), providers=["CPUExecutionProvider"])
    pixels = ((photos[..., ::-1] - BGR_MEAN) / BGR_DEVIATION).transpose(0, 3, 1, 2)
    tables = session.run(None, {session.get_inputs()[0].name: pixels.astype("float32")})
    expected = np.concatenate([table.reshape(1, -1, 5) for table in tables], axis=1)
    scale = np.abs(expected[..., 1:]).max()
    strides = np.repeat([8.0, 16.0, 32.0], [1600, 400, 100])[:, None]
    for path in (raw, published("rtmdet_nano_person.onnx")):
        detector = import_rtmdet(path)
        assert detector.class_names == ("person",)
        norms = [
            layer
            for layer in detector.network.layers
            if isinstance(layer, keras.layers.BatchNormalization)
        ]
        folded = detector.count_params() - 3 * sum(norm.gamma.shape[0] for norm in norms)
        assert folded == 985_927
        outputs = detector(photos)
        np.testing.assert_allclose(outputs["class_logits"], expected[..., :1], atol=2e-3)
        distances = np.asarray(outputs["box_outputs"]) * strides
        np.testing.assert_allclose(distances, expected[..., 1:], atol=1e-4 * scale)


@pytest.mark.long
def test_its_average_precision_is_the_published_one(published, shared_dir, tmp_path, capsys):
    source, target = published("rtmdet_nano_person.onnx"), tmp_path / "nano.keras"
    data = f"{shared_dir / 'data' / 'coco_person'}:test"
    for words in (
        ["import-rtmdet", source, "--out", target],
        ["evaluate", target, "--data", data, "--image-size", "416", "--no-cost", "--json"],
    ):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        assert end.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert found["AP"] == pytest.approx(0.50, abs=0.005)
