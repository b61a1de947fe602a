"""Every example runs, from its own command line: `--smoke` does in a minute what it is about."""

import json
import os
import pathlib
import re
import runpy
import subprocess
import sys

import pytest

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
# Script -> rows of its metrics.json that only it has.
SCRIPTS = {
    "adl": {"student_adl"},
    "demo": {"teacher", "student_alone", "student_distilled"},
    "hsakd": {"teacher", "student_alone", "student_kd", "student_hsakd"},
    "hssakd": {"student_alone", "student_hssakd", "peer"},
    "lw_kd": {"student_alone", "student_lw_kd"},
    "mean_teacher": {"student_mean_teacher", "moving_average"},
    "mutual": {"student_mutual", "peer"},
    "osakd": {"student_alone", "student_osakd"},
    "sad": {"student_sad"},
}


# The one that the README names with every `make test`, all with `make test-long`.
QUICK = ("demo",)


@pytest.mark.slow
@pytest.mark.own_process
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.long]) for n in SCRIPTS],
)
def test_smoke(name, tmp_path):
    result = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py"), "--smoke", "--out", str(tmp_path / "out")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    rows = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert SCRIPTS[name] <= set(rows)
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_is_headed_by_its_command_time_and_figure(name):
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    assert f"    python examples/{name}.py" in text
    assert re.search(r"^Time: .*\d", text, re.MULTILINE)
    assert re.search(r"^Figure.*: ", text, re.MULTILINE)


def test_only_what_an_example_wrote_is_removed(tmp_path):
    emptied = runpy.run_path(str(EXAMPLES / "output_folder.py"))["emptied"]
    runs, example = tmp_path / "runs", tmp_path / "example"
    kept = runs / "teacher" / "run.json"  # as every run of keras-hkd leaves one
    kept.parent.mkdir(parents=True)
    kept.touch()
    with pytest.raises(SystemExit, match="Choose another folder with --out"):
        emptied(runs)
    assert kept.exists()
    emptied(example)  # nothing there yet
    (example / "student").mkdir()
    emptied(example)
    assert example.is_dir() and not (example / "student").exists()
