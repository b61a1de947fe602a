"""The notebooks run, on small settings, and show what their text says."""

import pathlib
import re

import numpy as np
import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "notebooks"
STUDENT = str(FOLDER.parent / "benchmarks" / "weights" / "student_coco_person.keras")
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


@pytest.mark.long
@pytest.mark.parametrize("detector", ["person_atto", STUDENT], ids=["preset", "own"])
def test_to_the_phone(detector, tmp_path, monkeypatch):
    shown = run(
        "4_to_the_phone.py", tmp_path, monkeypatch, PRESET=detector, NUM_SCENES=16, ROUNDS=2
    )
    sizes = {name: file.size_bytes for name, file in shown["files"].items()}
    assert sizes["int8"] < 0.7 * sizes["float32"]
    assert shown["about"]["quantization"] == "int8" and shown["about"]["nms"]
    differences = shown["differences"]
    assert 0 <= differences["num_missing"] <= differences["num_compared"] > 0
    assert differences["score_mean"] < 0.2
    assert all(shown["latencies"].median_ms(name) > 0 for name in sizes)


@pytest.fixture
def eagerly(monkeypatch):
    """Steps run without graphs, and one batch balances: both take longer than a few small steps."""
    import tensorflow as tf

    from keras_hkd.distillation import balance

    monkeypatch.setattr(balance, "NUM_BATCHES", 1)
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.slow
def test_distil_your_own(tmp_path, monkeypatch, capsys, eagerly):
    import keras_hkd

    shown = run(
        "2_distil_your_own.py",
        tmp_path,
        monkeypatch,
        TEACHER="person_atto",
        SIZE=(64, 64),
        EPOCHS=1,
        BATCH_SIZE=2,
        NUM_SCENES=4,
    )
    assert set(shown["losses"]) == {"distilled", "alone"}
    for losses in shown["losses"].values():
        assert len(losses) == 1 and np.isfinite(losses).all() and losses[0] > 0
    assert set(shown["scores"]) == {"teacher", "alone", "distilled"}
    first = [one.get_weights()[0] for one in (shown["alone"], shown["student"])]
    assert not np.array_equal(*first)  # the teacher made a difference
    assert "Boxes" in str(shown["distiller"].chosen)
    kept = keras_hkd.load_detector(tmp_path / "runs" / "ten_minutes" / "student.keras")
    images = np.zeros((1, 64, 64, 3), np.float32)
    ours, theirs = (one.predict(images, verbose=0) for one in (shown["student"], kept))
    np.testing.assert_allclose(ours["confidence"], theirs["confidence"], atol=1e-5)


@pytest.mark.slow
def test_what_hierarchies_see(tmp_path, monkeypatch, eagerly):
    shown = run(
        "3_what_hierarchies_see.py",
        tmp_path,
        monkeypatch,
        TEACHER="person_atto",
        SIZE=(64, 64),
        NUM_SCENES=4,
        STEPS=2,
        BATCH_SIZE=2,
    )
    agreements = shown["agreements"]
    assert set(agreements) == {"pyramid", "class_logits", "boxes"}
    assert all(-1.0 <= one <= 1.0 for pair in agreements.values() for one in pair)
    assert any(first != last for first, last in agreements.values())
