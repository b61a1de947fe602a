import pytest

from keras_hkd.evaluation import average_precision_gate
from keras_hkd.evaluation.average_precision_gate import AveragePrecisionGate
from keras_hkd.export import ExportError, quantization_errors


@pytest.fixture
def dataset(white_boxes):
    return white_boxes([((64, 64), (8, 8, 24, 60)), ((128, 64), (4, 4, 40, 120))])


@pytest.fixture
def file_sees(WhiteBoxDetector, monkeypatch):
    """Function that says what the exported file sees: everything, or nothing."""

    class Blind(WhiteBoxDetector):
        def predict_on_batch(self, images):
            return super().predict_on_batch(images * 0)

    def put(everything):
        file = (WhiteBoxDetector if everything else Blind)()
        file.quantization = "int8"
        monkeypatch.setattr(average_precision_gate, "TFLiteDetector", lambda path: file)

    return put


def test_a_file_as_good_passes(WhiteBoxDetector, dataset, file_sees):
    file_sees(True)
    gate = AveragePrecisionGate(WhiteBoxDetector(), dataset, max_drop=0.0)
    gate("x.tflite")
    assert gate.results["passed"] and gate.results["drop"] == 0.0


def test_a_worse_file_is_refused_and_its_layers_named(
    WhiteBoxDetector, dataset, file_sees, monkeypatch
):
    file_sees(False)
    rows = [{"layer": "stem/mul", "operator": "MUL", "error": 0.5, "scale": 0.1}]
    monkeypatch.setattr(quantization_errors, "layer_errors", lambda *args: rows)
    gate = AveragePrecisionGate(WhiteBoxDetector(), dataset, representative_images="folder")
    with pytest.raises(ExportError, match=r"to 0\.0000 on 2 images.*stem/mul \(MUL\)"):
        gate("x.tflite")
    assert gate.results["layers"] == rows


def test_force(WhiteBoxDetector, dataset, file_sees):
    file_sees(False)
    gate = AveragePrecisionGate(WhiteBoxDetector(), dataset, force=True)
    gate("x.tflite")
    assert not gate.results["passed"] and gate.results["drop"] > 0.5


def test_where_nobody_counts_no_file_passes(WhiteBoxDetector, white_boxes, file_sees):
    file_sees(True)
    with pytest.raises(ExportError, match="nan"):
        AveragePrecisionGate(WhiteBoxDetector(), white_boxes([((64, 64), None)]))("x.tflite")


def test_bad_input(WhiteBoxDetector, dataset, white_boxes):
    with pytest.raises(ValueError, match="max_drop"):
        AveragePrecisionGate(WhiteBoxDetector(), dataset, max_drop=-0.1)
    with pytest.raises(ValueError, match="no image"):
        AveragePrecisionGate(WhiteBoxDetector(), white_boxes([]))
