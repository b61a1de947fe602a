"""What would make a preset faster as int8: `make benchmark-int8-networks`, about three minutes.

Each variant of a preset is quantised after training, for its time alone: none is trained, and none
would find people. float32 and int8 files run in LiteRT with XNNPACK, all of them in turn. The
ratios are against the preset's own float file, so that a variant that is faster in float too shows
it. Figures: `results/int8_networks.json`, shown in docs/results/compression.md.
"""

import functools
import pathlib
import tempfile

import keras
import numpy as np
from figures import made_with
from step_time import quartiles

import keras_hkd
from keras_hkd.compression import quantize, replace_activations
from keras_hkd.compression.compressed import over_or_rewritten
from keras_hkd.data import load_dataset
from keras_hkd.evaluation.latency import measure_latencies
from keras_hkd.export import export_tflite, verification
from keras_hkd.inference import TFLiteDetector
from keras_hkd.json_files import write_json
from keras_hkd.training.run_folder import versions

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "int8_networks.json"
PRESETS = {"person_nano": 320, "person_atto": 192}
THREADS, ROUNDS = (1, 2), 60
STEM = ("stem", "stage1_down")


def main():
    """Measures and writes the ratios."""
    photos = load_dataset("synthetic:train?num_images=4&height=320&width=320")
    # The files are for the clock; what they compute agrees with nothing that was trained.
    verification.LIMITS["int8"] = np.inf
    rows = {}
    for preset, side in PRESETS.items():
        detector = keras_hkd.from_preset(preset)
        detector.image_size = (side, side)
        with tempfile.TemporaryDirectory() as folder:
            files = files_of(detector, photos, pathlib.Path(folder))
            rows[preset] = {"image_size": side, **times(files, side)}
    write_json(
        RESULTS,
        {
            "command": "make benchmark-int8-networks",
            "made_with": made_with(),
            "versions": versions(),
            "times_as_fast_as_float32": rows,
        },
    )


def variants(detector):
    """Name -> network to be quantised."""
    relu = functools.partial(replace_activations, activation="relu")

    def begins(names):
        return lambda layer: layer.startswith(names)

    stem = relu(detector, where=begins(STEM))
    return {
        "SiLU": detector,
        "ReLU in the stem (as shipped)": stem,
        "ReLU in the stem, hard-swish elsewhere": replace_activations(stem, "hard_silu"),
        "ReLU in the backbone": relu(detector, where=begins(("stem", "stage"))),
        "ReLU everywhere": relu(detector),
        "ReLU everywhere, depthwise 3x3": over_or_rewritten(relu(detector), small_kernels),
    }


def small_kernels(network):
    """The network with the centres of its 5x5 depthwise kernels."""

    def clone(layer):
        config = layer.get_config()
        if isinstance(layer, keras.layers.DepthwiseConv2D) and layer.kernel_size == (5, 5):
            config["kernel_size"] = (3, 3)
        return type(layer).from_config(config)

    new = keras.models.clone_model(network, clone_function=clone)
    for old, layer in zip(network.layers, new.layers, strict=True):
        weights = old.get_weights()
        if weights and weights[0].shape != layer.get_weights()[0].shape:
            weights[0] = weights[0][1:4, 1:4]
        layer.set_weights(weights)
    return new


def files_of(detector, photos, folder):
    """TFLite files by name: the preset in float32, and every variant in int8."""
    files = {"float32": folder / "float32.tflite"}
    export_tflite(detector, files["float32"])
    for number, (name, network) in enumerate(variants(detector).items()):
        files[name] = folder / f"{number}.tflite"
        clone = quantize(network, photos, coverage="best", range_decay=None)
        export_tflite(clone, files[name], quantization="int8")
    return files


def times(files, side):
    """How many times as fast as the float32 file each one is, by threads."""
    image = np.full((1, side, side, 3), 114.0, "float32")
    calls = {
        (name, threads): functools.partial(TFLiteDetector(path, num_threads=threads).predict, image)
        for name, path in files.items()
        for threads in THREADS
    }
    measured = measure_latencies(calls, ROUNDS).times_ms
    rows = {}
    for threads in THREADS:
        of_float = measured["float32", threads]
        rows[f"{threads} threads"] = {"float32_ms": float(np.median(of_float))} | {
            name: quartiles(of_float / measured[name, threads])
            for name in files
            if name != "float32"
        }
    for name in files:
        if name != "float32":
            print(f"{name:42}{rows['1 threads'][name]['median']:6.2f}", flush=True)
    return rows


if __name__ == "__main__":
    main()
