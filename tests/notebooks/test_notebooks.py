"""The notebooks run, on small settings, and show what their text says."""

import pathlib
import re

import numpy as np
import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.py"))


def run(name, tmp_path, monkeypatch, **parameters):
    """Run a notebook in an empty folder with other parameters; gives its variables."""
    import matplotlib.pyplot as plt

    code = (FOLDER / name).read_text(encoding="utf-8")
    for parameter, value in parameters.items():
        line = re.compile(rf"^{parameter} = .*$", re.MULTILINE)
        assert len(line.findall(code)) == 1, parameter
        code = line.sub(lambda _, text=f"{parameter} = {value!r}": text, code)
    monkeypatch.chdir(tmp_path)
    variables = {"__name__": "notebook"}
    try:
        exec(compile(code, name, "exec"), variables)
    finally:
        plt.close("all")
    return variables


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_a_notebook_in_jupytexts_percent_format(path):
    code = path.read_text(encoding="utf-8")
    head, *cells = re.split(r"^# %%", code, flags=re.MULTILINE)
    assert "#       format_name: percent" in head and head.startswith("# ---\n")
    assert len(cells) > 5
    markdown = [cell for cell in cells if cell.startswith(" [markdown]\n")]
    assert markdown[0].splitlines()[1].startswith(f"# # {path.stem.split('_')[0]}. ")
    for cell in markdown:
        assert all(line.startswith("#") for line in cell.splitlines()[1:] if line), cell
    assert sum(cell.startswith(' tags=["parameters"]') for cell in cells) == 1


def test_find_people(tmp_path, monkeypatch, capsys):
    shown = run("1_find_people.py", tmp_path, monkeypatch)
    assert shown["counts"] == sorted(shown["counts"], reverse=True) and shown["counts"][0] > 0
    assert 0.0 <= shown["recall"]["person_atto"] <= shown["recall"]["person_nano"] <= 1.0
    assert shown["recall"]["person_nano"] >= 0.5
    assert "person_pico" in capsys.readouterr().out


def test_find_people_in_a_picture_of_ones_own(tmp_path, monkeypatch):
    from PIL import Image

    from keras_hkd.data.drawn import draw_scene

    pixels, _ = draw_scene(104, (240, 320), 1, 0.5, crowd_chance=0)
    Image.fromarray(pixels).save(tmp_path / "mine.png")
    shown = run("1_find_people.py", tmp_path, monkeypatch, PHOTO="mine.png")
    assert shown["picture"].shape == (240, 320, 3) and shown["recall"] == {}


def test_read_the_metrics(tmp_path, monkeypatch):
    """Each row of the table does what the text under it says."""
    shown = run("5_read_the_metrics.py", tmp_path, monkeypatch, NUM_SCENES=100)
    table = shown["table"]
    base = table["as it is"]
    assert 0.4 < base["AP"] < 0.8 and 0.1 < base["MR-2"] < 0.5
    low = table["lost people at low scores"]
    assert low["AP"] > base["AP"] + 0.02 and low["MR-2"] == base["MR-2"]
    sure = table["a few sure false alarms"]
    assert sure["MR-2"] > base["MR-2"] + 0.1 and base["AP"] - 0.1 < sure["AP"] < base["AP"]
    loose = table["looser boxes"]
    assert loose["AP"] < base["AP"] / 2 and loose["AP75"] < 0.1
    assert loose["MR-2"] == pytest.approx(base["MR-2"], abs=0.02)
    small = table["small people lost"]
    assert small["AP"] < base["AP"] - 0.02
    assert small["MR-2"] == pytest.approx(base["MR-2"], abs=0.02)
    for scores in shown["presets"].values():
        assert np.isfinite(list(scores.values())).all() and scores["AP"] > 0
