"""What int8 costs and what training for it wins back: `make compression`, hours, resumable.

The student of `benchmarks/weights`, as float32, float16 and int8 (calibrated on training
photographs), and fine-tuned for int8 over three seeds: quantisation-aware alone (`qat`), under the
float student itself (`qat_kd`), and under its teacher, that of `real_hkd.py` which saw
`coco_person` alone (`qat_kd_teacher`). Of each file AP and MR-2 on the test list of `coco_person`,
bytes, and latency in LiteRT with and without suppression. Every training is one
`keras-hkd` command; see `proof_runs.py`.
"""

import json
import sys

from proof_runs import ROOT, SHARED, Runner, arguments, evaluate, keras_hkd, options, summary
from real_hkd import HKD

from keras_hkd.json_files import write_json

RESULTS = ROOT / "benchmarks" / "results"
STUDENT = ROOT / "benchmarks" / "weights" / "student_coco_person.keras"
DATA = SHARED / "data" / "coco_person"
BUDGET = {
    "image_size": 192,
    "batch_size": 16,
    "epochs": 6,
    "learning_rate": 1e-4,
    "warmup_epochs": 0.5,
    "validate_every": 0,
}
TRAINED = ("qat", "qat_kd", "qat_kd_teacher")
SEEDS = (0, 1, 2)
ROUNDS = 50
SHOWN = ("AP", "AP50", "MR2")


def main(runs, only=None):
    """Runs what is not finished yet and writes the table; with `only`, those runs and no table."""
    teacher = runs / "real" / "teacher_open" / "detector.keras"
    if not teacher.exists():
        sys.exit(f"{teacher} is missing: run `make real` first, it trains the teacher.")
    run = Runner(runs / "compression", RESULTS / "compression", only)
    tests = {"coco_person": f"{DATA}:test"}
    students = {}
    how = {"qat": ["train", *options(detector=STUDENT)]}
    for kind, taught_by in (("qat_kd", STUDENT), ("qat_kd_teacher", teacher)):
        pair = options(method="hkd", teacher=taught_by, student=STUDENT, method_option=HKD)
        how[kind] = ["distill", *pair]
    for kind in TRAINED:
        for seed in SEEDS:
            name = f"{kind}_{seed}"
            students[name] = run(name, [*how[kind], "--quantize", *common(seed)], tests)
    if not only:
        write_results(measured(run, students), run.results())


def common(seed):
    """Words for data and budget."""
    return options(data=f"{DATA}:train", seed=seed, **BUDGET)


def measured(run, students):
    """Name -> scores, size and latency of every file."""
    files = {
        "float32": (STUDENT, []),
        "float16": (STUDENT, options(quantization="float16")),
        "ptq": (STUDENT, options(quantization="int8", representative=f"{DATA}:train")),
    }
    files |= {name: (file, options(quantization="int8")) for name, file in students.items()}
    found = {name: scores_of(run.runs / "files", name, *how) for name, how in files.items()}
    for nms in ("nms", "raw"):
        paths = [str(run.runs / "files" / f"{name}_{nms}.tflite") for name in files]
        words = ["benchmark", *paths, *options(rounds=ROUNDS), "--no-memory", "--json"]
        for row in json.loads(keras_hkd(*words, capture=True))["models"]:
            name = row["model"].removesuffix(f"_{nms}.tflite")
            found[name][f"ms_{nms}_{row['threads']}"] = row["median_ms"]
    return found


def scores_of(folder, name, file, precision):
    """Exports a detector twice and measures the file that detects; kept between sessions."""
    record = folder / f"{name}.json"
    if record.exists():
        return json.loads(record.read_text(encoding="utf-8"))
    for nms, word in (("nms", "--nms"), ("raw", "--no-nms")):
        keras_hkd("export", str(file), str(folder / f"{name}_{nms}.tflite"), word, *precision)
    whole = folder / f"{name}_nms.tflite"
    scores = evaluate(whole, f"{DATA}:test")
    raw_bytes = (folder / f"{name}_raw.tflite").stat().st_size
    row = {key: scores[key] for key in SHOWN}
    row |= {"size_bytes": whole.stat().st_size, "raw_size_bytes": raw_bytes}
    write_json(record, row)
    return row


def write_results(files, runs):
    """Means and standard deviations of each kind of file, and the ratios that the goals are in."""
    groups = {name: [name] for name in ("float32", "float16", "ptq")}
    groups |= {kind: [f"{kind}_{seed}" for seed in SEEDS] for kind in TRAINED}
    table = {kind: summary([files[name] for name in names]) for kind, names in groups.items()}
    whole = table["float32"]
    ratios = {
        kind: {
            "AP_lost": whole["AP"]["mean"] - row["AP"]["mean"],
            "size": row["size_bytes"]["mean"] / whole["size_bytes"]["mean"],
            **{
                key.replace("ms", "times_as_fast", 1): whole[key]["mean"] / row[key]["mean"]
                for key in row
                if key.startswith("ms_")
            },
        }
        for kind, row in table.items()
    }
    record = {"command": "make compression", "summary": table, "ratios": ratios}
    write_json(RESULTS / "compression.json", {**record, "files": files, "runs": runs})
    print(json.dumps(ratios, indent=1))


if __name__ == "__main__":
    given = arguments(__doc__)
    main(given.runs, given.only)
