"""Runs the demo for three seeds and keeps its figures: `make demo-figures`, about 25 minutes.

Figures: `results/demo.json`; the table of `docs/results/demo.md` comes from it. Times are left out:
the demo prints those of its machine, taken while it has just trained.
"""

import json
import pathlib
import subprocess
import sys

from figures import made_with
from proof_runs import ROOT
from tables import compare, table, write_table

from keras_hkd.json_files import write_json

SEEDS = (0, 1, 2)
SHOWN = ("AP", "AP50", "MR2")
TEST = "drawn scenes"
LABELS = {"student_alone": "student alone", "student_distilled": "student, by the default"}


def main(runs=ROOT / "runs"):
    """Runs what is not finished yet, and writes the table."""
    results = {}
    for seed in SEEDS:
        out = pathlib.Path(runs) / f"demo_{seed}"
        if not (out / "metrics.json").exists():
            words = [sys.executable, str(ROOT / "examples" / "demo.py"), "--seed", str(seed)]
            subprocess.run([*words, "--out", str(out)], check=True)
        rows = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
        results.update({f"{name}_{seed}": {"test": {TEST: row}} for name, row in rows.items()})
    groups = {name: [f"{name}_{seed}" for seed in SEEDS] for name in LABELS}
    facts = {
        "command": "make demo-figures",
        "seeds": list(SEEDS),
        "made_with": made_with(),
        "sizes": {
            name: {key: row[key] for key in ("parameters", "gflops")} for name, row in rows.items()
        },
        "teacher": {key: rows["teacher"][key] for key in SHOWN},
        "students": compare(results, groups, [TEST], SHOWN),
    }
    write_json(ROOT / "benchmarks" / "results" / "demo.json", facts)
    write_table("results/demo.md", "demo", lines_of(facts))


def lines_of(facts):
    """Lines of the table of `docs/results/demo.md`."""
    return table(facts["students"], LABELS, {TEST: facts["teacher"]})


if __name__ == "__main__":
    main()
