"""Runs the demo for three seeds and keeps its figures: `make demo-figures`, about 25 minutes.

Figures: `results/demo.json`, which `docs/results/demo.md` shows.
"""

import json
import pathlib
import subprocess
import sys

from figures import made_with
from proof_runs import ROOT, summary

from keras_hkd.json_files import write_json

SEEDS = (0, 1, 2)
SHOWN = ("AP", "AP50", "MR2", "parameters", "gflops", "latency_ms")


def main(runs=ROOT / "runs"):
    """Runs what is not finished yet, and writes the table."""
    rows = []
    for seed in SEEDS:
        out = pathlib.Path(runs) / f"demo_{seed}"
        if not (out / "metrics.json").exists():
            words = [sys.executable, str(ROOT / "examples" / "demo.py"), "--seed", str(seed)]
            subprocess.run([*words, "--out", str(out)], check=True)
        rows.append(json.loads((out / "metrics.json").read_text(encoding="utf-8")))
    result = {"command": "make demo-figures", "seeds": list(SEEDS), "made_with": made_with()}
    for name in rows[0]:
        found = [row[name] for row in rows]
        result[name] = {**found[0], "over_seeds": summary(found, SHOWN)}
    result["gain_in_AP"] = [
        round(row["student_distilled"]["AP"] - row["student_alone"]["AP"], 4) for row in rows
    ]
    write_json(ROOT / "benchmarks" / "results" / "demo.json", result)


if __name__ == "__main__":
    main()
