"""Makes the presets of what `zoo_train.py` has trained, measures them and writes their cards.

    python benchmarks/zoo_build.py person_femto --runs runs/zoo

Scores are those of the test lists, read here for the first time, of the float weights and of the
int8 file; latency is LiteRT's on the machine at hand.
"""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import json
import os
import pathlib
import platform

import keras
import numpy as np
from zoo_facts import facts_of

from keras_hkd.checked_folder import replacing_folder
from keras_hkd.data import load_dataset
from keras_hkd.detectors import load_detector
from keras_hkd.evaluation import count_gflops, predict_dataset
from keras_hkd.evaluation.latency import measure_latencies
from keras_hkd.export import export_tflite
from keras_hkd.export.tflite_metadata import ModelCard
from keras_hkd.inference import TFLiteDetector
from keras_hkd.metrics import (
    as_detections,
    as_ground_truth,
    coco_average_precision,
    log_average_miss_rate,
)
from keras_hkd.zoo import from_preset, write_card
from keras_hkd.zoo.loading import TWIN

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
PRESETS = ROOT / "keras_hkd" / "zoo" / "presets"
TESTS = ("coco_person", "pennfudan", "pets_s3mf1")
THRESHOLDS = {"score_threshold": 0.001, "nms_iou_threshold": 0.65, "max_detections": 100}
KEPT = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large")
ROUNDS = 50
SHIPPED = ("config.json", "model.weights.h5", TWIN)


def main(name: str, runs: pathlib.Path) -> None:
    """Makes one preset from its finished run.

    Args:
        name: of the preset and of its recipe.
        runs: where `zoo_train.py` has left `NAME/final.keras` and `NAME/int8.keras`.
    """
    recipe = json.loads((ROOT / "benchmarks" / "recipes" / f"{name}.json").read_text())
    size = (recipe["image_size"],) * 2
    folder = PRESETS / name
    save(runs / name / "final.keras", size, folder)
    add_int8_twin(runs / name / "int8.keras", name, size, folder)
    more = [(side, side) for side in recipe.get("also_measured_at", ())]
    measured = measure(folder, [size, *more])
    write_card(folder, facts_of(name), measured)
    print((folder / "card.md").read_text())


def prepared(file, size):
    """A trained detector with the settings that presets are measured with."""
    detector = load_detector(file)
    detector.image_size, detector.antialias = size, False
    for option, value in THRESHOLDS.items():
        setattr(detector, option, value)
    return detector


def save(file, size, folder):
    """The float weights as a preset."""
    prepared(file, size).save_to_preset(folder)


def add_int8_twin(file, name, size, folder):
    """The TFLite file of the clone that was trained with rounding."""
    card = ModelCard(
        name=name,
        description="Finds people in photographs.",
        author="keras_hkd",
        license="Apache-2.0",
    )
    with replacing_folder(folder, keep=True) as partial:
        clone = prepared(file, size)
        print(export_tflite(clone, partial / TWIN, quantization="int8", card=card))


def measure(folder, sizes):
    """What `keras_hkd.zoo.write_card` wants to know."""
    detector, twin = from_preset(folder), TFLiteDetector(folder / TWIN, num_threads=2)
    scores = [
        score(model, file, test, size)
        for test in TESTS
        for model, file, wanted in (
            (detector, "float32", sizes),
            (twin, "int8", sizes[:1]),
        )
        for size in wanted
    ]
    norms = [
        layer
        for layer in detector.network.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    parameters = detector.network.count_params()
    return {
        "image_size": list(sizes[0]),
        "thresholds": THRESHOLDS,
        "parameters": parameters,
        "parameters_folded": parameters - sum(3 * norm.gamma.shape[0] for norm in norms),
        "bytes": {name: (folder / name).stat().st_size for name in SHIPPED},
        "gflops": {f"{h}x{w}": count_gflops(detector, (h, w)) for h, w in sizes},
        "scores": scores,
        **latency(folder, detector, sizes[0]),
    }


def score(model, file, test, size):
    """One row: a model on a test list."""
    dataset = load_dataset(f"{SHARED / 'data' / test}:test")
    results = predict_dataset(model, dataset, image_size=size, progress=False)
    truth = as_ground_truth(dataset)
    found = as_detections(results, truth)
    precision = coco_average_precision(truth, found)
    values = {key: precision[key] for key in KEPT}
    values["MR2"] = log_average_miss_rate(truth, found, "citypersons", "reasonable")
    rounded = {k: round(float(v), 4) if v == v else None for k, v in values.items()}
    print(test, file, size, rounded, flush=True)
    return {
        "photographs": f"{test}:test",
        "num_images": len(dataset),
        "image_size": f"{size[0]}x{size[1]}",
        "file": file,
        **rounded,
    }


def latency(folder, detector, size):
    """Milliseconds of the int8 file and of a float file of the same network, in turn."""
    scratch = folder.with_name(f".{folder.name}.float.tflite")
    try:
        export_tflite(detector, scratch)
        files = {"float32": scratch, "int8": folder / TWIN}
        models = {
            (file, threads): TFLiteDetector(path, num_threads=threads)
            for file, path in files.items()
            for threads in (1, 2)
        }
        image = np.full((1, *size, 3), 114.0, "float32")
        calls = {key: functools.partial(model.predict, image) for key, model in models.items()}
        times = measure_latencies(calls, ROUNDS).times_ms
    finally:
        scratch.unlink(missing_ok=True)
    rows = [
        {
            "file": file,
            "image_size": f"{size[0]}x{size[1]}",
            "threads": threads,
            "median_ms": round(float(np.median(times[file, threads])), 3),
            "p90_ms": round(float(np.quantile(times[file, threads], 0.9)), 3),
        }
        for file, threads in models
    ]
    versions = {name: importlib.metadata.version(name) for name in ("ai-edge-litert", "numpy")}
    machine = {"cpu": cpu(), "num_cpus": os.cpu_count(), "rounds": ROUNDS, "versions": versions}
    return {"latency": rows, "machine": machine}


def cpu():
    """Name of the processor."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", metavar="PRESET")
    parser.add_argument("--runs", type=pathlib.Path, default=ROOT / "runs" / "zoo")
    arguments = parser.parse_args()
    for preset in arguments.names:
        main(preset, arguments.runs)
