"""Rebuilds the teacher that the demo loads: `make demo-teacher`, about half an hour on two cores.

Runs the command below (it can be interrupted and run again) and writes
`examples/demo_teacher.keras`, half precision, and its scores beside it.
"""

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
RUN = pathlib.Path("runs/demo_teacher")
SCENES = "synthetic:{name}?num_images={count}&seed=1&height=256&width=256"
COMMAND = [
    *("keras-hkd", "train", "--detector", "yolo_v8_small"),
    *("--data", SCENES.format(name="demo-train", count=1200)),
    *("--val", SCENES.format(name="demo-test", count=200)),
    *("--image-size", "160", "--batch-size", "16", "--epochs", "24", "--learning-rate", "0.002"),
    *("--validate-every", "6", "--seed", "0", "--out", str(RUN), "--resume"),
]


def main():
    """Trains, or goes on training, and writes the file."""
    subprocess.run(
        [str(pathlib.Path(sys.executable).parent / COMMAND[0]), *COMMAND[1:]], check=True
    )
    from keras_hkd.detectors import load_detector, save_half_precision
    from keras_hkd.json_files import write_json

    target = ROOT / "examples" / "demo_teacher.keras"
    save_half_precision(load_detector(RUN / "detector.keras"), target)
    scores = json.loads((RUN / "metrics.json").read_text(encoding="utf-8"))
    record = {"command": " ".join(COMMAND), "scores": scores}
    results = ROOT / "benchmarks" / "results" / "demo_teacher.json"
    write_json(results, record)
    print(f"{target}: {target.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
