import json

import pytest

from keras_hkd.cli import cache, training_run
from keras_hkd.teacher_cache import TeacherCache

DATA = "synthetic:train?num_images=4&seed=1&height=64&width=64"


@pytest.fixture
def detections(tmp_path):
    """One person in every image, said by another program."""
    from keras_hkd.data import load_dataset

    found = [
        {"image_id": image.image_id, "category_id": 1, "bbox": [8, 8, 16, 40], "score": 0.8}
        for image in load_dataset(DATA)
    ]
    file = tmp_path / "found.json"
    file.write_text(json.dumps(found))
    return file


def test_a_detections_file_becomes_a_cache(command, detections, tmp_path):
    given = ("cache", "--detections", detections, "--data", DATA, "--image-size", 64)
    code, out, err = command(*given, "--out", tmp_path / "cache", "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert (facts["mode"], facts["num_images"], facts["num_shards"]) == ("replay", 4, 1)
    code, out, _ = command(*given, "--out", tmp_path / "cache")
    assert code == 0 and "on disk" in out
    detections.write_text(detections.read_text().replace("0.8", "0.7"))
    code, _, err = command(*given, "--out", tmp_path / "cache")
    assert code == 2 and "another teacher" in err


def test_categories_of_the_file_are_named(command, detections, tmp_path):
    words = detections.read_text().replace('"category_id": 1', '"category_id": 0')
    detections.write_text(words)
    given = ("cache", "--detections", detections, "--data", DATA, "--image-size", 64)
    code, _, err = command(*given, "--out", tmp_path / "cache")
    assert code == 2 and "--category" in err
    code, _, err = command(*given, "--category", "0=person", "--out", tmp_path / "cache")
    assert code == 0, err
    assert TeacherCache.load(tmp_path / "cache").report["num_images_without_detection"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--teacher, or --detections"),
        (("--detections", "FOUND"), "needs --image-size"),
        (("--detections", "absent.json"), "absent.json"),
        (("--detections", "FOUND", "--category", "person"), "must be ID=CLASS"),
        (("--detections", "FOUND", "--category", "1=person", "--teacher", "FOUND"), "Give --tea"),
        (("--teacher", "FOUND", "--category", "1=person"), "belongs to --detections"),
        (("--detections", "FOUND", "--views", 4), "--views would change nothing"),
        (
            ("--detections", "FOUND", "--store", "pyramid", "--method", "kd"),
            "--method, --store would change nothing",
        ),
        (("--teacher", "FOUND", "--method", "osakd"), "runs its teacher itself, or has none"),
        (
            ("--teacher", "FOUND", "--method", "sad"),
            "Methods that read a cache: adl, auto, hkd, kd, ld",
        ),
    ],
)
def test_what_is_missing_is_said(command, detections, tmp_path, arguments, message):
    arguments = [detections if word == "FOUND" else word for word in arguments]
    code, _, err = command("cache", "--data", DATA, "--out", tmp_path / "cache", *arguments)
    assert code == 2
    assert message in " ".join(err.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--teacher", "yolo_v8_micro"), "takes the place of --teacher"),
        (("--method", "mutual"), "runs its teacher itself"),
        (("--method", "hsakd"), "runs its teacher itself"),
        (("--person-class", 0), "give it to `keras-hkd cache`"),
    ],
)
def test_distill_refuses_a_cache_where_it_is_of_no_use(command, tmp_path, arguments, message):
    words = ("--student", "yolo_v8_micro", "--epochs", 1, "--data", DATA, *arguments)
    out = ("--teacher-cache", tmp_path, "--out", tmp_path / "run")
    code, _, err = command("distill", *words, *out)
    assert code == 2
    assert message in " ".join(err.split())


def test_images_of_another_cache_are_refused_before_a_student_is_built(
    command, detections, tmp_path, monkeypatch
):
    folder = tmp_path / "cache"
    made = ("cache", "--detections", detections, "--data", DATA, "--image-size", 64)
    assert command(*made, "--out", folder)[0] == 0
    monkeypatch.setattr(training_run, "make_model", lambda *_, **__: pytest.fail("built"))
    words = ("--student", "yolo_v8_micro", "--epochs", 1, "--teacher-cache", folder)
    other = DATA.replace("seed=1", "seed=2")
    code, _, err = command("distill", *words, "--data", other, "--out", tmp_path / "run")
    assert code == 2
    assert "the images" in err


@pytest.mark.parametrize(
    ("arguments", "views"),
    [((), 4), (("--mode", "replay"), 0), (("--views", 0), 0), (("--views", 2), 2)],
)
def test_views_serve_the_training_that_follows(command, tmp_path, monkeypatch, arguments, views):
    def build(teacher, dataset, folder, **options):
        raise ValueError(f"views: {options['views']}")

    monkeypatch.setattr(TeacherCache, "build", build)
    monkeypatch.setattr(cache, "_what", lambda *_: {"teacher": None})
    file = tmp_path / "teacher.keras"
    file.touch()
    words = ("--teacher", file, "--data", DATA, "--out", tmp_path / "cache", *arguments)
    assert f"views: {views}" in command("cache", *words)[2]


@pytest.mark.slow
def test_a_teacher_is_stored_and_a_student_learns_from_the_store(command, tmp_path):
    from keras_hkd.detectors import build

    teacher = tmp_path / "teacher.keras"
    build("yolo_v8_micro", image_size=(64, 64), seed=1).save(teacher)
    stored = ("--data", DATA, "--method", "adl", "--batch-size", 2)
    made = ("cache", "--teacher", teacher, "--views", 2, "--out", tmp_path / "cache", "--json")
    code, out, err = command(*made, *stored)
    assert code == 0, err
    facts = json.loads(out)
    assert (facts["mode"], facts["views"], facts["num_images"]) == ("exact", 2, 4)
    assert "class_logits" in " ".join(facts["stored"])
    teacher.unlink()  # nothing below reads it
    words = ("--student", "yolo_v8_micro", "--teacher-cache", tmp_path / "cache", "--epochs", 1)
    code, out, err = command("distill", *words, *stored, "--out", tmp_path / "run", "--json")
    assert code == 0, err
    assert "student" in json.loads(out) and "teacher" not in json.loads(out)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["teacher_hash"] == facts["teacher_hash"]
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert history["class_logits_loss"][0] > 0
