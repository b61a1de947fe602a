"""What long proofs run, what they leave out, and what they do again."""

import json
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
import proof_runs  # noqa: E402


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Names of the runs that were trained; training leaves a file, measuring a figure."""
    names = []

    def keras_hkd(*words, capture=False):
        if capture:
            return json.dumps({"AP": 0.25})
        out = tmp_path / "runs" / words[-2].rpartition("/")[2]
        names.append(out.name)
        out.mkdir(parents=True, exist_ok=True)
        (out / "detector.keras").write_text("")
        (out / "run.json").write_text(json.dumps({"sessions": [{"command": "x", "keras": "3"}]}))
        return None

    monkeypatch.setattr(proof_runs, "ROOT", tmp_path)
    monkeypatch.setattr(proof_runs, "keras_hkd", keras_hkd)
    return names


def runner(tmp_path, only=None):
    (tmp_path / "records").mkdir(exist_ok=True)
    return proof_runs.Runner(tmp_path / "runs", tmp_path / "records", only)


def test_a_finished_run_is_not_run_again(tmp_path, made):
    for _ in range(2):
        file = runner(tmp_path)("alone_0", ["train"], {"photos": "photos:test"})
    assert made == ["alone_0"]
    assert file == tmp_path / "runs" / "alone_0" / "detector.keras"
    record = json.loads((tmp_path / "records" / "alone_0.json").read_text())
    assert record["test"] == {"photos": {"AP": 0.25}}
    assert record["versions"] == {"keras": "3"}
    assert not runner(tmp_path).wants("alone_0")


def test_what_others_start_from_is_trained_where_its_file_is_missing(tmp_path, made):
    runner(tmp_path)("teacher", ["train"], {})
    (tmp_path / "runs" / "teacher" / "detector.keras").unlink()
    runner(tmp_path)("teacher", ["train"], {})
    assert made == ["teacher"]
    for _ in range(2):
        assert runner(tmp_path, ["alone_0"])("teacher", ["train"], {}, needed=True).exists()
    assert made == ["teacher", "teacher"]


def test_only_leaves_out_the_others(tmp_path, made):
    run = runner(tmp_path, ["alone_1"])
    for name in ("alone_0", "alone_1"):
        run(name, ["train"], {})
    assert made == ["alone_1"]
