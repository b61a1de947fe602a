"""Every preset that comes with the package: whole, described, small, and what its card says."""

import json

import numpy as np
import pytest

import keras_hkd
from keras_hkd.checked_folder import check_folder
from keras_hkd.evaluation import count_parameters
from keras_hkd.export import tflite_file
from keras_hkd.export.representative import sample_images
from keras_hkd.zoo import catalogue, load_for_detection, preset_folder, read_card, write_card
from keras_hkd.zoo.cards import headline

NAMES = keras_hkd.list_presets()
MOST_BYTES = 15_000_000


def test_all_presets_together_are_small():
    if not NAMES:
        pytest.skip("there is no preset yet: `make zoo` makes them")
    assert sum(f.stat().st_size for f in catalogue.PRESETS.rglob("*")) < MOST_BYTES
    assert catalogue.DEFAULT_PRESET in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_is_whole_and_described(name, tmp_path):
    files = check_folder(preset_folder(name))
    assert {"card.json", "card.md", "config.json", "int8.tflite", "model.weights.h5"} <= files
    assert (preset_folder(name) / "config.json").stat().st_size < 5_000  # widths, not a graph
    card = read_card(name)
    copy = tmp_path / name
    copy.mkdir()
    for file in (*files, "checksums.sha256"):
        (copy / file).write_bytes((preset_folder(name) / file).read_bytes())
    write_card(copy, card["facts"], card["measured"])  # checks it
    assert (copy / "card.md").read_text() == (preset_folder(name) / "card.md").read_text()
    assert {"AP", "AP_int8", "MR2", "latency_ms", "parameters"} <= set(headline(card))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_preset_is_what_its_card_says(name):
    detector, twin, card = keras_hkd.from_preset(name), load_for_detection(name), read_card(name)
    measured = card["measured"]
    assert count_parameters(detector) == measured["parameters"]
    assert list(twin.image_size) == measured["image_size"] == list(detector.image_size)
    assert twin.class_names == detector.class_names == ("person",)
    assert twin.antialias == detector.antialias
    for file, size in measured["bytes"].items():
        assert (preset_folder(name) / file).stat().st_size == size
    for key, value in measured["thresholds"].items():
        assert getattr(detector, key) == value
    found = twin.predict(sample_images(detector.image_size, 2))
    assert np.isfinite(found["confidence"]).all()
    floats = set(tflite_file.float_operators(tflite_file.read_model(twin.path)))
    assert not {"CONV_2D", "DEPTHWISE_CONV_2D"} & floats
    assert json.dumps(card).count("/work/") == 0
