"""The benchmark of reading: what it draws is COCO's form, and it writes what its readers took."""

import json
import pathlib
import subprocess
import sys

import pytest

BENCHMARK = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "load_time.py"


@pytest.mark.own_process
def test_a_small_run(tmp_path):
    out = tmp_path / "load_time.json"
    words = [sys.executable, str(BENCHMARK), "--num-images", "50", "--rounds", "1"]
    subprocess.run([*words, "--out", str(out)], check=True, capture_output=True, timeout=300)
    found = json.loads(out.read_text())
    assert (found["num_images"], found["num_boxes"]) == (50, round(860_001 * 50 / 118_287))
    assert 0 < found["num_persons"] < found["num_boxes"]
    assert list(found["readers"]) == ["people", "every class", "pycocotools"]
    for one in found["readers"].values():
        assert one["seconds"]["median"] > 0 and one["peak_megabytes"]["median"] > 10
    assert found["readers"]["pycocotools"]["seconds_over_pycocotools"]["median"] == 1
