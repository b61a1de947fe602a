import dataclasses
import json
import zipfile

import pytest

from keras_hkd.cli import training_run
from keras_hkd.cli.model_kinds import kind_of


@dataclasses.dataclass
class Options:
    quantize: bool


def test_without_the_flag_the_model_stays_as_it_is():
    model = object()
    assert training_run.quantized(model, "yolo_v8_micro", Options(False), None) is model


def test_random_weights_are_refused():
    with pytest.raises(ValueError, match="give its .keras file. Received: yolo_v8_micro"):
        training_run.quantized(object(), "yolo_v8_micro", Options(True), None)


@pytest.mark.parametrize(
    ("registered", "kind"),
    [("CompressedClassifier", "classifier"), ("CompressedYOLOV8", "detector")],
)
def test_a_compressed_file_is_of_its_own_kind(registered, kind, tmp_path):
    config = {"registered_name": f"keras_hkd>{registered}", "config": {"class_names": ["a", "b"]}}
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    assert kind_of(tmp_path / "model.keras").name == kind
