import keras
import numpy as np
import pytest

import keras_hkd
from keras_hkd.compression import is_quantized
from keras_hkd.compression.fake_quantization import ActivationRange
from keras_hkd.export.raw_heads import keras_heads
from keras_hkd.hierarchies.alignment import misalignment


def ranges(detector):
    layers = detector._flatten_layers()
    return [float(one.maximum.value) for one in layers if isinstance(one, ActivationRange)]


def test_it_is_a_detector_of_the_same_family(student, quantized, batch):
    images, _ = batch
    assert isinstance(quantized, type(student)) and is_quantized(quantized)
    assert quantized.loss_names == student.loss_names
    assert misalignment(student, quantized) is None  # a teacher's anchors are its own
    assert (quantized.image_size, quantized.levels) == (student.image_size, student.levels)
    expected, received = keras_heads(student, images), keras_heads(quantized, images)
    for name, values in expected.items():
        assert received[name].shape == values.shape
        assert np.abs(received[name] - values).max() < 0.1


def test_the_float_weights_are_neither_trained_nor_saved(student, quantized):
    assert not {id(v) for v in student.variables} & {id(v) for v in quantized.variables}
    kernels = [v for v in quantized.trainable_variables if v.path.endswith("kernel")]
    floats = [v for v in student.trainable_variables if v.path.endswith("kernel")]
    assert len(kernels) == len(floats)  # the rescaling of pixels does not train
    assert not any("moving" in v.path for v in quantized.variables)


@pytest.mark.slow
def test_distillation_trains_weights_and_ranges_and_leaves_the_teacher(student, batch, tmp_path):
    clone = keras_hkd.quantize(student)
    distiller = keras_hkd.Distiller(
        teacher=student,
        student=clone,
        distillation_losses=keras_hkd.hierarchies.ClassLogits(
            keras_hkd.losses.LogitDistillation(activation="sigmoid")
        ),
    )
    distiller.compile(optimizer=keras.optimizers.Adam(1e-3), run_eagerly=True)
    before, teacher, old = ranges(clone), student.get_weights(), clone.get_weights()
    losses = distiller.train_on_batch(*batch, return_dict=True)
    assert np.isfinite(losses["loss"])
    assert ranges(clone) != before
    moved = [
        not np.array_equal(was, keras.ops.convert_to_numpy(weight))
        for was, weight in zip(old, clone.weights, strict=True)
        if weight.trainable and weight.path.endswith("kernel")
    ]
    assert np.mean(moved) > 0.7  # the boxes of a level without people teach nothing
    for was, now in zip(teacher, student.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
    distiller.save_weights(tmp_path / "run.weights.h5")
    expected = clone.get_weights()
    distiller.train_on_batch(*batch)
    distiller.load_weights(tmp_path / "run.weights.h5")
    for was, now in zip(expected, clone.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


@pytest.mark.slow
def test_a_saved_one_is_read_back_and_exported_with_its_own_ranges(quantized, batch, tmp_path):
    images, _ = batch
    quantized.save(tmp_path / "quantized.keras")
    loaded = keras_hkd.load_detector(tmp_path / "quantized.keras")
    assert is_quantized(loaded)
    expected = keras_heads(quantized, images)
    for name, values in keras_heads(loaded, images).items():
        np.testing.assert_array_equal(values, expected[name])
    # Black images would ruin the ranges if they were taken for representative ones.
    report = keras_hkd.export_tflite(
        loaded,
        tmp_path / "quantized.tflite",
        quantization="int8",
        representative_images=np.full((2, 64, 64, 3), 2, "uint8"),
        nms=False,
    )
    assert max(report.head_errors.values()) < 0.1
    with pytest.raises(ValueError, match='quantization="int8"'):
        keras_hkd.export_tflite(loaded, tmp_path / "half.tflite", quantization="float16")


@pytest.mark.slow
def test_layers_kept_in_float_are_kept_in_the_saved_file(student, batch, tmp_path):
    clone = keras_hkd.quantize(student, batch[0], keep_float=("stem",))
    clone.save(tmp_path / "clone.keras")
    loaded = keras_hkd.load_detector(tmp_path / "clone.keras")
    for model in (clone, loaded):
        assert not model.network.get_layer("stem_conv").rounded
        assert model.network.get_layer("stage2_down_conv").rounded
    expected = keras_heads(clone, batch[0])
    for name, values in keras_heads(loaded, batch[0]).items():
        np.testing.assert_array_equal(values, expected[name])


def test_refuses_what_is_quantised_already(quantized):
    with pytest.raises(ValueError, match="quantised already"):
        keras_hkd.quantize(quantized)


def test_refuses_what_is_no_learner():
    with pytest.raises(TypeError, match="Expected"):
        keras_hkd.quantize(keras.layers.Dense(3))


def test_ranges_hold_the_wanted_share_of_values_and_stand_in_training():
    from keras_hkd.compression.quantization import activation_ranges

    student = keras_hkd.detectors.build("yolo_v8_micro", image_size=(64, 64), seed=0)
    images = np.random.default_rng(0).uniform(0, 255, (8, 64, 64, 3)).astype("float32")
    whole = keras_hkd.quantize(student, images)
    clone = keras_hkd.quantize(student, images, coverage=0.99, range_decay=None)
    widths = [
        [
            float(layer.maximum - layer.minimum)
            for layer in activation_ranges(one)
            if layer._outbound_nodes  # outputs of the network keep all their values
        ]
        for one in (clone, whole)
    ]
    assert all(narrow <= wide * 1.001 for narrow, wide in zip(*widths, strict=True))
    assert np.median(np.array(widths[0]) / np.array(widths[1])) < 0.9
    # The first range of an activation, checked against the float network's own values.
    layer = activation_ranges(clone)[-1]
    probe = keras.Model(clone.network.inputs, layer.input)
    for one in activation_ranges(clone):
        one.observer = lambda values: None
    values = np.asarray(probe(images))
    for one in activation_ranges(clone):
        one.observer = None
    assert float(layer.maximum) == pytest.approx(max(np.quantile(values, 0.99), 0.0), rel=1e-5)
    before = [float(one.maximum) for one in activation_ranges(clone)]
    clone.network(images, training=True)
    assert [float(one.maximum) for one in activation_ranges(clone)] == before
    again = type(clone).from_config(clone.get_config())
    assert all(one.decay is None for one in activation_ranges(again))


def test_the_best_range_has_the_least_error_of_rounding():
    from keras_hkd.compression.quantization import SHARES, activation_ranges, rounding_error

    student = keras_hkd.detectors.build("yolo_v8_micro", image_size=(64, 64), seed=0)
    images = np.random.default_rng(0).uniform(0, 255, (4, 64, 64, 3)).astype("float32")
    clone = keras_hkd.quantize(student, images, coverage="best", range_decay=None)
    ranges = activation_ranges(clone)
    values = {}
    for layer in ranges:
        layer.observer = lambda x, name=layer.name: values.setdefault(name, np.asarray(x).ravel())
    clone.network(images)
    outputs = {layer.name for layer in ranges if not layer._outbound_nodes}
    assert len(outputs) == 2
    for layer in ranges:
        layer.observer = None
        found = values[layer.name]
        if layer.name in outputs:  # the largest scores are the detections: none is cut
            assert float(layer.maximum) == pytest.approx(max(found.max(), 0.0), rel=1e-5)
            continue
        chosen = rounding_error(found, float(layer.minimum), float(layer.maximum))
        for share in SHARES:
            least, largest = np.quantile(found, [1 - share, share])
            assert chosen <= 1.001 * rounding_error(found, min(least, 0), max(largest, 0)) + 1e-12


@pytest.mark.parametrize("coverage", [0.2, 1.5, "most"])
def test_a_coverage_out_of_range_is_refused(coverage):
    student = keras_hkd.detectors.build("yolo_v8_micro", image_size=(64, 64))
    with pytest.raises(ValueError, match="`coverage`"):
        keras_hkd.quantize(student, coverage=coverage)
