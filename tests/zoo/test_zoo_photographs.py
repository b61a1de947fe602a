"""`keras_hkd.detect` and `keras-hkd detect` with a preset: what they find, and what they load."""

import json
import textwrap

import numpy as np
import pytest
from PIL import Image

import keras_hkd
from keras_hkd.inference import TFLiteDetector, predict_images

LOADED = "\nimport sys, json\nprint('MODULES=' + json.dumps(list(sys.modules)))"
HEAVY = {
    *("tensorflow", "keras", "keras_cv", "h5py", "matplotlib", "scipy", "pycocotools", "jax"),
}


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (80, 240, 3)).astype(np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    return path


def test_one_photograph(little_preset, photo):
    found = keras_hkd.detect(photo, little_preset, score_threshold=0.5)
    assert set(found) == {"boxes", "classes", "confidence"}
    assert len(found["boxes"]) > 0 and found["confidence"].min() >= 0.5
    assert (found["boxes"] >= 0).all() and (found["boxes"] <= [240, 80, 240, 80]).all()
    twin = TFLiteDetector(little_preset / "int8.tflite")
    pixels = np.asarray(Image.open(photo))
    (expected,) = predict_images(twin, [pixels], score_threshold=0.5)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def test_a_folder_is_refused_with_what_to_give(little_preset, tmp_path):
    with pytest.raises(ValueError, match="find_images.*Received: the folder"):
        keras_hkd.detect(tmp_path, little_preset)


def test_several_photographs_and_pixels(little_preset, photo):
    pixels = np.asarray(Image.open(photo))
    found = keras_hkd.detect([photo, str(photo), pixels], little_preset)
    assert len(found) == 3
    for one in found[1:]:
        np.testing.assert_array_equal(one["boxes"], found[0]["boxes"])
    assert keras_hkd.detect([], little_preset) == []


def test_the_default_preset_is_asked_for_by_name(presets_of_little, photo, monkeypatch):
    with pytest.raises(FileNotFoundError, match="no preset 'person_nano'.*Presets: little"):
        keras_hkd.detect(photo)
    assert len(keras_hkd.detect(photo, "little")["boxes"])


def test_what_is_no_photograph_is_refused(little_preset, tmp_path):
    (tmp_path / "notes.jpg").write_text("no picture")
    with pytest.raises(ValueError, match="notes.jpg"):
        keras_hkd.detect(tmp_path / "notes.jpg", little_preset)
    with pytest.raises(ValueError, match="nowhere.jpg"):
        keras_hkd.detect(tmp_path / "nowhere.jpg", little_preset)
    with pytest.raises(TypeError, match="Received: int"):
        keras_hkd.detect([3], little_preset)


@pytest.mark.long
def test_a_preset_without_twin_detects_in_keras(little_preset, photo, tmp_path):
    keras_hkd.from_preset(little_preset).save_to_preset(tmp_path / "bare")
    bare = keras_hkd.detect(photo, tmp_path / "bare", score_threshold=0.6)
    twin = keras_hkd.detect(photo, little_preset, score_threshold=0.6)
    np.testing.assert_allclose(bare["confidence"], twin["confidence"], atol=0.02)


@pytest.mark.own_process
def test_detecting_loads_no_framework(little_preset, photo, fresh_python):
    code = "import sys, keras_hkd\nkeras_hkd.detect(sys.argv[1], sys.argv[2])" + LOADED
    last = fresh_python(code, photo, little_preset).splitlines()[-1]
    loaded = set(json.loads(last.removeprefix("MODULES=")))
    assert not loaded & HEAVY
    assert "ai_edge_litert" in loaded


@pytest.mark.own_process
def test_the_command_loads_no_framework_and_draws(little_preset, photo, fresh_python, tmp_path):
    code = """
        import sys
        from keras_hkd.cli.main import main
        try:
            main(["detect", *sys.argv[1:]])
        except SystemExit as left:
            assert left.code == 0, left.code
    """
    code = textwrap.dedent(code) + LOADED
    printed = fresh_python(code, little_preset, photo.name, cwd=tmp_path)
    loaded = set(json.loads(printed.splitlines()[-1].removeprefix("MODULES=")))
    assert not loaded & HEAVY
    assert "photo.png" in printed and "little" in printed
    drawn = np.asarray(Image.open(tmp_path / "detections" / "pictures" / "photo.png"))
    assert drawn.shape == (80, 240, 3)
    assert (drawn != np.asarray(Image.open(photo))).any()
    results = json.loads((tmp_path / "detections" / "detections.json").read_text())
    assert results and {one["file_name"] for one in results} == {"photo.png"}
