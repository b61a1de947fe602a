"""Which layers int8 makes faster on this machine: `make benchmark-int8`, about two minutes.

Chains of eight equal layers as float32 and int8 files in LiteRT with XNNPACK on one thread, timed
in turn. The ratio is float32 over int8: above 1, int8 is faster. A network's own ratio is what its
layers make of it; beside the chains stands a detector without depthwise convolutions, the demo's
teacher. See docs/results/compression.md. Figures: `results/int8_layers.json`.
"""

import pathlib
import tempfile

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from step_time import quartiles
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from keras_hkd.detectors import load_detector
from keras_hkd.evaluation.benchmark import export_precisions
from keras_hkd.evaluation.latency import measure_latencies
from keras_hkd.export.conversion import convert
from keras_hkd.inference.tflite_runner import TFLiteRunner
from keras_hkd.json_files import write_json
from keras_hkd.training.run_folder import versions

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "int8_layers.json"
DETECTOR = ROOT / "examples" / "demo_teacher.keras"
DEPTH, CHANNELS, SIDE, ROUNDS = 8, 64, 24, 100
KINDS = {
    "convolution 1x1": lambda: layers.Conv2D(CHANNELS, 1, activation="relu6"),
    "convolution 3x3": lambda: layers.Conv2D(CHANNELS, 3, padding="same", activation="relu6"),
    "convolution 3x3, silu": lambda: layers.Conv2D(CHANNELS, 3, padding="same", activation="silu"),
    "depthwise 3x3": lambda: layers.DepthwiseConv2D(3, padding="same", activation="relu6"),
    "depthwise 5x5": lambda: layers.DepthwiseConv2D(5, padding="same", activation="relu6"),
    "silu": lambda: layers.Activation("silu"),
}


def main():
    """Measures and writes the ratios."""
    calls = {}
    for kind, make in KINDS.items():
        keras.utils.set_random_seed(0)
        chain = keras.Sequential(
            [keras.Input((SIDE, SIDE, CHANNELS)), *(make() for _ in range(DEPTH))]
        )
        for precision in ("float32", "int8"):
            calls[kind, precision] = call_of(chain_file(chain, precision))
    detector = load_detector(DETECTOR)
    for kind, nms in (("demo teacher, raw heads", False), ("demo teacher, detections", True)):
        with tempfile.TemporaryDirectory() as folder:
            files = export_precisions(detector, folder, nms=nms)
            for precision in ("float32", "int8"):
                calls[kind, precision] = call_of(files[precision].read_bytes())
    measured = measure_latencies(calls, ROUNDS, warm_up=10)
    rows = {}
    for kind in dict.fromkeys(kind for kind, _ in calls):
        ratios = measured.times_ms[kind, "float32"] / measured.times_ms[kind, "int8"]
        rows[kind] = {
            "float32_ms": measured.median_ms((kind, "float32")),
            "int8_ms": measured.median_ms((kind, "int8")),
            "times_as_fast": quartiles(ratios),
        }
        print(f"{kind:24}{rows[kind]['times_as_fast']['median']:6.2f}")
    chain = f"{DEPTH} layers of {CHANNELS} channels on {SIDE} x {SIDE} cells"
    write_json(
        RESULTS,
        {"command": "make benchmark-int8", "chain": chain, "versions": versions(), "kinds": rows},
    )


def chain_file(chain, precision):
    """The bytes of a chain's TFLite file."""
    spec = tf.TensorSpec((1, SIDE, SIDE, CHANNELS), tf.float32, name="images")
    traced = tf.function(lambda x: (chain(x, training=False),), autograph=False)
    function = convert_variables_to_constants_v2(traced.get_concrete_function(spec))
    images = np.random.default_rng(0).uniform(0, 255, (8, SIDE, SIDE, CHANNELS)).astype("float32")
    return convert(function, None if precision == "float32" else precision, images)


def call_of(content):
    """A function that runs a file once, on one thread."""
    runner = TFLiteRunner(content, 1)
    return runner.prepared(*runner.example_inputs())


if __name__ == "__main__":
    main()
