import json
import os
import shutil
import time

import numpy as np
import pytest
from PIL import Image

from keras_hkd.cli.main import main

SIZE = 64


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Six dark pictures, each with one bright upright thing, as a COCO folder."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(6):
        pixels = rng.integers(0, 60, (SIZE, SIZE, 3)).astype(np.uint8)
        x, y = (int(v) for v in rng.integers(0, 24, 2))
        pixels[y : y + 36, x : x + 16] = 220
        Image.fromarray(pixels).save(folder / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": SIZE, "height": SIZE})
        box = {"id": number, "image_id": number, "category_id": 1, "bbox": [x, y, 16, 36]}
        annotations.append(box)
    records = {"images": images, "annotations": annotations}
    records["categories"] = [{"id": 1, "name": "person"}]
    (folder / "annotations.json").write_text(json.dumps(records))
    return folder


def train_words(data, out, *more):
    base = ["train", "--data", data, "--out", out, "--detector", "yolo_v8_micro", "--json"]
    return [*base, "--epochs", 2, "--batch-size", 3, "--image-size", SIZE, *more]


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """A finished run: its folder."""
    out = tmp_path_factory.mktemp("runs") / "one"
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in train_words(data, out, "--val", data)])
    assert end.value.code == 0
    return out


@pytest.mark.slow
def test_leaves_what_was_promised(run):
    files = {"detector.keras", "metrics.json", "curves.png", "gallery.png", "history.json"}
    assert files <= set(os.listdir(run))
    metrics = json.loads((run / "metrics.json").read_text())
    assert {"AP", "AP50", "MR2", "parameters", "gflops", "latency_ms"} <= set(metrics["detector"])
    assert metrics["measured_on"] == "val" and metrics["num_images"] == 6
    history = json.loads((run / "history.json").read_text())
    assert len(history["loss"]) == len(history["val_AP"]) == 2
    record = json.loads((run / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["settings"]["image_size"] == [SIZE, SIZE]
    assert record["inputs"] == {"command": "train", "detector": "yolo_v8_micro"}
    assert record["val_hash"] == record["data_hash"] == metrics["data_hash"]


@pytest.mark.slow
def test_the_saved_detector_detects(run, data, command):
    code, out, _ = command("evaluate", run / "detector.keras", "--data", data, "--json")
    assert code == 0
    stored = json.loads((run / "metrics.json").read_text())["detector"]
    assert json.loads(out)["AP"] == pytest.approx(stored["AP"], abs=1e-6)


@pytest.mark.slow
def test_a_finished_run_is_not_run_again(run, data, command):
    began = time.monotonic()
    code, out, err = command(*train_words(data, run, "--val", data, "--resume"))
    assert code == 0
    assert json.loads(out) == {
        **json.loads((run / "metrics.json").read_text()),
        "out": str(run),
    }
    assert "nothing to do" in err
    assert time.monotonic() - began < 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "already holds a run"),
        (["--resume", "--seed", 7], "settings.seed was 0 and is now 7"),
        (["--resume", "--detector", "retinanet_micro"], "inputs.detector was 'yolo_v8_micro'"),
    ],
)
def test_a_folder_with_another_run_is_refused(run, data, command, more, message):
    before = (run / "run.json").read_bytes()
    code, out, err = command(*train_words(data, run, *more))
    assert (code, out) == (2, "")
    assert message in err
    assert (run / "run.json").read_bytes() == before


@pytest.fixture
def mended(data, tmp_path):
    """The same pictures; one box of theirs was drawn anew."""
    folder = tmp_path / "mended"
    shutil.copytree(data, folder)
    records = json.loads((folder / "annotations.json").read_text())
    records["annotations"][0]["bbox"][2] = 15
    (folder / "annotations.json").write_text(json.dumps(records))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("other", "message"),
    [
        (["--data", "mended", "--val", "data"], "data_hash was"),
        (["--data", "data", "--val", "mended"], "val_hash was"),
        (["--data", "data"], "and is now None"),
        (["--data", "data", "--val", "nowhere"], "nowhere"),
    ],
)
def test_results_are_not_given_for_other_images(run, data, mended, command, other, message):
    folders = {"data": data, "mended": mended}
    words = ["train", "--out", run, "--detector", "yolo_v8_micro", "--epochs", 2, "--batch-size", 3]
    words += ["--image-size", SIZE, "--resume", "--json", *(folders.get(w, w) for w in other)]
    code, out, err = command(*words)
    assert (code, out) == (2, ""), err
    assert message in err and "nothing to do" not in err


@pytest.mark.slow
def test_fine_tunes_a_saved_detector_at_its_own_size(run, data, tmp_path, command):
    words = ["train", "--data", data, "--out", tmp_path / "tuned", "--epochs", 1]
    words += ["--detector", run / "detector.keras", "--batch-size", 6, "--learning-rate", 1e-6]
    code, out, err = command(*words)
    assert code == 0, err
    assert "measured on the training images" in err
    assert "AP50" in out and "MR-2" in out
    record = json.loads((tmp_path / "tuned" / "run.json").read_text())
    assert record["settings"]["image_size"] == [SIZE, SIZE]
    # One tiny step from the saved weights stays beside them; from fresh ones it would not.
    from keras_hkd.detectors import load_detector

    saved, tuned = (
        load_detector(folder / "detector.keras") for folder in (run, tmp_path / "tuned")
    )
    for a, b in zip(saved.trainable_variables, tuned.trainable_variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-4)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--detector", "yolo_v8_mikro"], "yolo_v8_micro"),
        (["--detector", "absent.keras"], "absent.keras"),
        (["--detector", "/"], "is a folder"),
        (["--data", "/absent"], "/absent"),
        (["--batch-size", 100], "100"),
        (["--learning-rate", -1], "learning_rate"),
        (["--image-size", "big"], "--image-size"),
        (["--epochs", 0], "--epochs"),
        (["--strategy", "tpu"], "mirrored"),
        (["--strategy", "multi_worker"], "TF_CONFIG"),
    ],
)
def test_bad_input_is_told_in_a_line_and_leaves_nothing(data, tmp_path, command, more, message):
    code, out, err = command(*train_words(data, tmp_path / "run", *more))
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()


def test_weights_for_a_backbone_do_not_go_with_a_saved_detector(data, tmp_path, command):
    more = ["--detector", "saved.keras", "--backbone-weights", "weights.h5"]
    code, _, err = command(*train_words(data, tmp_path / "run", *more))
    assert code == 2
    assert "--backbone-weights" in err


MIXING = ("--mosaic", 0.5, "--mixup", 0.3, "--copy-paste", 0.5, "--sizes", f"{SIZE},96")


def test_batches_are_shown_before_anything_is_trained(data, tmp_path, capsys):
    words = train_words(data, tmp_path / "shown", *MIXING, "--show-batches")
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert end.value.code == 0
    written = json.loads(capsys.readouterr().out)["batches"]
    assert os.listdir(tmp_path / "shown") == ["batches.png"]
    colours = np.asarray(Image.open(written).convert("RGB")).reshape(-1, 3)
    assert (colours == (46, 204, 64)).all(axis=1).sum() > 100  # the boxes of people


@pytest.mark.long
def test_trains_on_mixed_pictures_of_several_sizes(data, tmp_path):
    words = train_words(data, tmp_path / "mixed", *MIXING, "--mosaic-off-epochs", 1)
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert end.value.code == 0
    record = json.loads((tmp_path / "mixed" / "run.json").read_text())
    assert record["settings"]["sizes"] == [[SIZE, SIZE], [96, 96]]
    history = json.loads((tmp_path / "mixed" / "history.json").read_text())
    assert len(history["loss"]) == 2 and np.isfinite(history["loss"]).all()
