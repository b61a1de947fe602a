import json
import shutil
from hashlib import sha256

import keras
import numpy as np
import pytest

import keras_hkd
from keras_hkd.classifiers import build as build_classifier
from keras_hkd.detectors import build
from keras_hkd.export.representative import sample_images
from keras_hkd.zoo import from_preset, load_for_detection


def test_an_rtmdet_comes_back_rounded_to_half_precision(little_preset):
    loaded = from_preset(little_preset)
    assert type(loaded).__name__ == "RTMDet" and loaded.name == "little"
    assert loaded.image_size == (64, 96) and loaded.antialias is False
    for weight in loaded.weights:
        assert weight.dtype == "float32"
        values = keras.ops.convert_to_numpy(weight)
        np.testing.assert_array_equal(values, values.astype("float16").astype("float32"))


def families():
    return {
        "yolo": lambda: build("yolo_v8_micro", image_size=(64, 64), class_names=("car", "person")),
        "retinanet": lambda: build("retinanet_micro", image_size=(64, 64)),
        "pruned": lambda: keras_hkd.prune_channels(
            build("yolo_v8_micro", image_size=(64, 64)), 0.25
        ),
    }


@pytest.mark.parametrize("family", families())
def test_every_family_is_saved_and_comes_back(family, tmp_path):
    detector = families()[family]()
    detector.compile(optimizer="adam")
    detector.save_to_preset(tmp_path / "mine")
    loaded = keras_hkd.from_preset(tmp_path / "mine")
    assert type(loaded) is type(detector)
    assert loaded.class_names == detector.class_names
    assert not loaded.compiled
    assert "compile_config" not in json.loads((tmp_path / "mine" / "config.json").read_text())
    images = sample_images((64, 64), 2)
    expected, received = detector(images), loaded(images)
    for head in detector.head_names:
        a, b = (keras.ops.convert_to_numpy(outputs[head]) for outputs in (expected, received))
        np.testing.assert_allclose(a, b, atol=0.02 * max(1.0, np.abs(a).max()))


def test_a_classifier_is_saved_too(tmp_path):
    classifier = build_classifier("cnn_micro", image_size=(32, 32), class_names=("a", "b"))
    classifier.save_to_preset(tmp_path / "mine")
    loaded = keras_hkd.load_classifier(tmp_path / "mine")
    assert loaded.class_names == ("a", "b")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "model.weights.h5").unlink(), "model.weights.h5 is missing"),
        (lambda f: (f / "config.json").write_text("{}"), "config.json was altered"),
        (lambda f: (f / "int8.tflite").write_bytes(b"TFL3"), "int8.tflite was altered"),
        (lambda f: (f / "card.md").write_text("AP 1.0"), "card.md was altered"),
        (lambda f: (f / "checksums.sha256").unlink(), "has no checksums"),
    ],
)
def test_altered_files_are_refused_by_whoever_reads_them(preset, damage, message):
    damage(preset)
    for read in (from_preset, load_for_detection, keras_hkd.load_detector, keras_hkd.zoo.read_card):
        with pytest.raises(ValueError, match=message):
            read(preset)


def test_files_whose_checksums_fit_and_that_hold_no_model_are_refused(preset):
    from keras_hkd.checked_folder import replacing_folder

    with replacing_folder(preset, keep=True) as partial:
        (partial / "model.weights.h5").unlink()
    with pytest.raises(ValueError, match=r"is no preset: it has no model\.weights\.h5"):
        from_preset(preset)
    with replacing_folder(preset, keep=True) as partial:
        (partial / "model.weights.h5").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="could not be read as a Keras model"):
        from_preset(preset)


def test_code_in_a_configuration_is_refused(tmp_path, preset):
    from keras_hkd.checked_folder import replacing_folder

    proof = tmp_path / "proof"
    inputs = keras.Input((4,))
    code = f"lambda x: (__import__('pathlib').Path({str(proof)!r}).touch(), x)[1]"
    outputs = keras.layers.Lambda(eval(code), output_shape=(4,))(inputs)
    proof.unlink(missing_ok=True)  # building the layer has called it
    keras.Model(inputs, outputs).save(tmp_path / "hostile.keras")
    shutil.unpack_archive(tmp_path / "hostile.keras", tmp_path / "unpacked", "zip")
    with replacing_folder(preset, keep=True) as partial:
        for file in (tmp_path / "unpacked").iterdir():
            shutil.copy(file, partial)
    with pytest.raises(ValueError, match="could not be read as a Keras model"):
        from_preset(preset)
    assert not proof.exists()


def test_photographs_with_a_list_of_checksums_are_no_preset_to_replace(tmp_path, little_preset):
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    (photographs / "1.jpg").write_bytes(b"years of work")
    (photographs / "checksums.sha256").write_text(
        f"{sha256(b'years of work').hexdigest()}  1.jpg\n"
    )
    with pytest.raises(FileExistsError, match="not written by keras_hkd"):
        from_preset(little_preset).save_to_preset(photographs)
    assert (photographs / "1.jpg").read_bytes() == b"years of work"


def test_other_classes_renew_the_head(little_preset):
    loaded = from_preset(little_preset, class_names=("dog", "person"))
    assert loaded.class_names == ("dog", "person")


def test_the_twin_agrees_with_the_float_weights_and_says_how_to_resize(little_preset):
    twin, whole = load_for_detection(little_preset), from_preset(little_preset)
    assert type(twin).__name__ == "TFLiteDetector"
    assert (twin.name, twin.image_size, twin.antialias) == ("little", (64, 96), False)
    images = sample_images((64, 96), 4)
    found, expected = twin.predict(images), whole.predict(images, verbose=0)
    assert (expected["num_detections"] > 0).all()
    assert expected["confidence"][0, 0] == pytest.approx(1 / (1 + np.exp(-1.0)), abs=1e-3)  # P5's
    np.testing.assert_allclose(found["confidence"][:, :3], expected["confidence"][:, :3], atol=0.02)


def test_without_twin_or_at_another_size_keras_detects(little_preset, tmp_path):
    assert type(load_for_detection(little_preset, (64, 96))).__name__ == "TFLiteDetector"
    assert type(load_for_detection(little_preset, (96, 96))).__name__ == "RTMDet"
    from_preset(little_preset).save_to_preset(tmp_path / "bare")
    assert type(load_for_detection(tmp_path / "bare")).__name__ == "RTMDet"
