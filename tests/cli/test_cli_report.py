"""`keras-hkd report`: what it takes, what it says, and how it ends."""

import json

import pytest
from PIL import Image

import keras_hkd
from keras_hkd.cli import report
from keras_hkd.data import load_dataset, synthetic_dataset
from keras_hkd.detectors import build
from keras_hkd.distillation import weights_hash
from keras_hkd.report.run_records import read_run
from keras_hkd.training import RunFolder

SIZE = (64, 64)


def make_run(folder, seed, teacher=None, teacher_hash=None):
    words = {"detector": "yolo_v8_micro"} if teacher is None else {"student": "yolo_v8_micro"}
    command = ["keras-hkd", "train" if teacher is None else "distill"]
    command += [] if teacher is None else ["--teacher", str(teacher)]
    run = RunFolder(folder, inputs={"command": command[1], **words}, command=command)
    run.begin(
        {
            "settings": {"seed": seed, "epochs": 1, "image_size": SIZE},
            "data_hash": "d" * 64,
            "teacher_hash": teacher_hash,
            "distillation": None if teacher is None else {"student_loss_weight": 1.0},
        }
    )
    run.finish({"student": {"AP": 0.1 + 0.1 * seed}, "measured_on": "val", "num_images": 5})
    return run


def test_a_page_of_what_the_runs_recorded(command, tmp_path):
    runs = [make_run(tmp_path / f"run_{seed}", seed).path for seed in (0, 1)]
    page = tmp_path / "report.html"
    code, printed, err = command("report", *runs, "--out", page, "--title", "Ours")
    assert code == 0, err
    assert "<h1>Ours</h1>" in page.read_text("utf-8") and "report.html" in printed
    assert "Calibration: This needs labelled images" in " ".join(err.split())
    code, printed, _ = command("report", *runs, "--out", page, "--json")
    assert json.loads(printed)["sections"]["Comparison"] == "written"


def test_a_folder_without_a_run_is_bad_input(command, tmp_path):
    code, _, err = command("report", tmp_path, "--out", tmp_path / "report.html")
    assert code == 2 and "holds no run" in " ".join(err.split())
    assert not (tmp_path / "report.html").exists()


def test_the_page_takes_no_other_files_place(command, tmp_path):
    run = make_run(tmp_path / "run", 0)
    model = run.path / "detector.keras"
    model.write_bytes(b"trained")
    code, _, err = command("report", run.path, "--out", model)
    assert code == 2 and "must end in .html or .htm" in " ".join(err.split())
    assert model.read_bytes() == b"trained"
    assert command("report", run.path, "--out", tmp_path / "PAGE.HTM")[0] == 0


@pytest.fixture
def photos(tmp_path):
    """Four drawn scenes as a COCO dataset."""
    scenes = synthetic_dataset(4, SIZE, seed=0)
    folder = tmp_path / "photos"
    (folder / "images").mkdir(parents=True)
    content = {"images": [], "categories": [{"id": 1, "name": "person"}], "annotations": []}
    for number, one in enumerate(scenes):
        Image.fromarray(scenes.load_image(number)).save(folder / "images" / f"{number}.png")
        record = {"id": number, "file_name": f"{number}.png", "width": 64, "height": 64}
        content["images"].append(record)
        for left, top, right, bottom in one.boxes.tolist():
            box = {
                "image_id": number,
                "category_id": 1,
                "bbox": [left, top, right - left, bottom - top],
            }
            content["annotations"].append({"id": len(content["annotations"]) + 1, **box})
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


@pytest.mark.slow
def test_students_and_the_teacher_that_the_runs_name_are_measured_anew(command, photos, tmp_path):
    detector = build("yolo_v8_micro", image_size=SIZE, seed=1)
    detector.save(tmp_path / "teacher.keras")
    teacher = keras_hkd.load_detector(tmp_path / "teacher.keras")
    runs = [
        make_run(tmp_path / "alone", 0),
        make_run(tmp_path / "taught", 0, tmp_path / "teacher.keras", weights_hash(teacher)),
    ]
    detector.save(runs[0].path / "detector.keras")
    detector.save(runs[1].path / "student.keras")
    page = tmp_path / "report.html"
    code, printed, err = command(
        "report", *(r.path for r in runs), "--data", photos, "--out", page, "--json"
    )
    assert code == 0, err
    sections = json.loads(printed)["sections"]
    for name in ("Precision, recall, miss rate", "Calibration", "Where they look"):
        assert sections[name] == "written"
    text = page.read_text("utf-8")
    assert load_dataset(str(photos)).content_hash in text
    # Student and teacher are one model here: they look at the same places.
    assert "1.000" in text and "agreement 1.00" in text
    # Another file in the teacher's place is not taken for it.
    build("yolo_v8_micro", image_size=SIZE, seed=2).save(tmp_path / "teacher.keras")
    records = [read_run(run.path) for run in runs]
    assert report._teacher(None, records, None) is None
    assert report._teacher(str(tmp_path / "teacher.keras"), records, None) is not None
