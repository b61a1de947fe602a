"""The zoo's detectors beside those of others, on this machine: `make benchmark-mobile`.

Average precision of people on the test lists, size, and latency with one and two threads, the
latencies all taken in turn in one run. The others are detectors of `../shared/weights`, trained on
118,000 photographs of COCO, RTMDet-nano on Objects365 too. What is timed is the file itself on one
prepared image, in LiteRT (`.tflite`) or onnxruntime (`.onnx`): ours, RTMDet-nano, DEIMv2 and the
SSD decode and suppress, the others leave that to their user.
"""

import argparse
import functools
import json
import pathlib
import tempfile

import rich.progress
from coco_detectors import (
    DeimV2,
    NanoDet,
    PicoDet,
    RTMDetNano,
    SsdMobileNet,
    YoloxNano,
    detect,
)
from matplotlib.figure import Figure
from proof_runs import ROOT, SHARED, need_photographs

from keras_hkd.atomic_write import replacing
from keras_hkd.data import load_dataset
from keras_hkd.data.batches.letterbox import Letterbox
from keras_hkd.evaluation import measure_latencies, predict_dataset, score_predictions
from keras_hkd.export import TFLiteDetector, export_tflite
from keras_hkd.inference.tflite_runner import TFLiteRunner
from keras_hkd.json_files import write_json
from keras_hkd.training.run_folder import versions
from keras_hkd.zoo import from_preset, list_presets
from keras_hkd.zoo.loading import TWIN

RESULTS = ROOT / "benchmarks" / "results" / "mobile.json"
PLOT = ROOT / "docs" / "images" / "mobile.png"
PRESETS = ROOT / "keras_hkd" / "zoo" / "presets"
RECIPES = ROOT / "benchmarks" / "recipes"
TESTS = ("coco_person", "pennfudan", "pets_s3mf1")
THREADS = (1, 2)
OTHERS = {
    "RTMDet-nano person, 416 px": (RTMDetNano, "rtmdet_nano_person.onnx"),
    "RTMDet-nano person, 320 px": (
        functools.partial(RTMDetNano, side=320),
        "rtmdet_nano_person.onnx",
    ),
    "PicoDet-S, 416 px": (PicoDet, "picodet_s_416.onnx"),
    "DEIMv2-Femto, 416 px": (DeimV2, "deimv2_femto_416.onnx"),
    "DEIMv2-Atto, 320 px": (functools.partial(DeimV2, side=320), "deimv2_atto_320.onnx"),
    "YOLOX-Nano, float16, 416 px": (YoloxNano, "yolox_nano_float16.tflite"),
    "NanoDet-m, 416 px": (NanoDet, "nanodet_m.onnx"),
    "SSD MobileNet v1, int8, 300 px": (SsdMobileNet, "ssd_mobilenet_v1_coco_quant.tflite"),
}


class Foreign:
    """A detector of others: scored through `detect`, timed through `invoke`."""

    def __init__(self, kind, file):
        self.kind, self.path = kind, file

    def predictions(self, dataset):
        """People found in every image, as COCO results."""
        detector, results = self.kind(self.path), []
        for index in rich.progress.track(range(len(dataset)), description=self.path.name):
            annotation = dataset.annotations[index]
            boxes, classes, scores = detect(detector, dataset.load_image(index), 0.01)
            kept = (classes == 0) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
            for box, score in zip(boxes[kept], scores[kept], strict=True):
                left, top, right, bottom = (float(side) for side in box)
                bbox = [left, top, right - left, bottom - top]
                one = {"image_id": annotation.image_id, "category_id": 1}
                results.append({**one, "bbox": bbox, "score": float(score)})
        return results

    def call(self, image, num_threads):
        """The network on one photograph, as a function to time."""
        detector = self.kind(self.path, num_threads)
        detector(image)
        return detector.invoke


class Ours:
    """A TFLite file of this package."""

    def __init__(self, path):
        self.path = path

    def predictions(self, dataset):
        """People found in every image, as COCO results."""
        return predict_dataset(TFLiteDetector(self.path), dataset)

    def call(self, image, num_threads):
        """The file on one photograph, as a function to time."""
        size = TFLiteDetector(self.path).image_size
        runner = TFLiteRunner(self.path.read_bytes(), num_threads)
        runner.run(Letterbox.fit(image.shape[:2], size).resize(image))
        return runner.interpreter.invoke


def main(rounds):
    """Measures everything, and writes the figures and the plot."""
    datasets = {name: load_dataset(f"{SHARED / 'data' / name}:test") for name in TESTS}
    photo = datasets["coco_person"].load_image(0)
    with tempfile.TemporaryDirectory() as folder:
        detectors = our_files(pathlib.Path(folder))
        detectors |= {
            name: Foreign(kind, SHARED / "weights" / file) for name, (kind, file) in OTHERS.items()
        }
        calls = {
            f"{name} / {threads}": detector.call(photo, threads)
            for name, detector in detectors.items()
            for threads in THREADS
        }
        latencies = measure_latencies(calls, rounds)
        rows = {}
        for name, detector in detectors.items():
            times = {f"ms_{n}": latencies.median_ms(f"{name} / {n}") for n in THREADS}
            p90 = {f"p90_ms_{n}": latencies.p90_ms(f"{name} / {n}") for n in THREADS}
            row = {"size_bytes": detector.path.stat().st_size, **times, **p90, "test": {}}
            for test, dataset in datasets.items():
                scores = score_predictions(dataset, detector.predictions(dataset))
                row["test"][test] = {key: scores[key] for key in ("AP", "AP50", "MR2")}
            rows[name] = row
    record = {"command": "make benchmark-mobile", "rounds": rounds, "versions": versions()}
    write_json(RESULTS, {**record, "detectors": rows})
    plot(rows)
    print(json.dumps(rows, indent=1))


def our_files(folder):
    """Float and int8 files of the presets."""
    files = {}
    for name in list_presets():
        detector = from_preset(name)
        recipe = json.loads((RECIPES / f"{name}.json").read_text())
        side = recipe["image_size"]
        for one in (side, *recipe.get("also_measured_at", ())):
            path = folder / f"{name}_{one}.tflite"
            export_tflite(detector, path, image_size=(one, one))
            files[f"{name}, float32, {one} px"] = Ours(path)
        files[f"{name}, int8, {side} px"] = Ours(PRESETS / name / TWIN)
    return files


def plot(rows):
    """AP on coco_person over latency with one thread; the area of a point is the file's size."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for name, row in rows.items():
        size = row["size_bytes"] / 1e6
        score = row["test"]["coco_person"]["AP"]
        axes.scatter(
            row["ms_1"],
            score,
            s=60 * size,
            alpha=0.7,
            marker="o" if name.startswith("person_") else "s",
            label=f"{name}, {size:.1f} MB",
        )
    axes.set(xlabel="latency, one thread (ms)", ylabel="AP of people on coco_person (test)")
    axes.set(xlim=(0, None), ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), markerscale=0.6)
    with replacing(PLOT) as partial:
        figure.savefig(partial, format="png", dpi=120)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    given = parser.parse_args()
    need_photographs()
    main(given.rounds)
