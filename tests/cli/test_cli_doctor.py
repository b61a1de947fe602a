import json

import pytest

SIZE = 64
DATA = f"synthetic:train?num_images=6&height={SIZE}&width={SIZE}"
TEST = f"synthetic:train?num_images=2&height={SIZE}&width={SIZE}"
WORDS = ["doctor", "--teacher", "yolo_v8_micro", "--student", "yolo_v8_micro", "--data", DATA]


def only(*names):
    return [word for name in names for word in ("--check", name)]


@pytest.fixture
def ask(command):
    def call(*more):
        return command(*WORDS, "--image-size", SIZE, "--batch-size", 2, *more)

    return call


def test_a_fault_is_exit_code_1_and_json_has_all_findings(ask, tmp_path):
    # The test scenes are the first of the training scenes; random weights find nobody.
    checks = only("leakage", "teacher_is_better", "class_names", "teacher_cache")
    code, out, err = ask(*checks, "--test", TEST, "--json", "--out", tmp_path)
    assert code == 1, err
    found = json.loads(out)
    assert json.loads((tmp_path / "doctor.json").read_text()) == found
    assert not found["healthy"]
    assert {one["check"]: one["severity"] for one in found["findings"]} == {
        "class_names": "ok",
        "teacher_is_better": "fault",
        "leakage": "fault",
    }
    assert found["not_applied"] == ["teacher_cache"]
    assert (tmp_path / "leakage.png").exists()


def test_without_a_fault_the_exit_code_is_0_and_people_can_read_it(ask):
    code, out, err = ask(*only("class_names", "people_size", "pictures"))
    assert code == 0, err
    assert out.startswith("ok       Data, student and teacher agree on the classes: person.")
    assert out.splitlines()[-1].startswith(("3 ok", "1 warning", "2 ok"))


def test_saved_models_are_examined_at_the_size_of_the_training(command, tmp_path):
    from keras_hkd.detectors import build

    models = []
    for role, side in (("teacher", 96), ("student", 64)):
        build("yolo_v8_micro", image_size=(side, side), seed=side).save(tmp_path / f"{role}.keras")
        models += [f"--{role}", tmp_path / f"{role}.keras"]
    asked = ["doctor", *models, "--data", DATA, *only("people_size", "class_names")]
    code, out, err = command(*asked, "--image-size", 96, "--json")
    assert code == 0, err
    size = json.loads(out)["findings"][1]
    assert size["check"] == "people_size"
    assert "at 96x96" in size["text"]
    code, out, err = command(*asked, "--json")
    assert "at 64x64" in json.loads(out)["findings"][1]["text"]  # a saved student has its own


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--check", "leek"], "The doctor has no check 'leek'"),
        (["--method", "mutal"], "'mutual'"),
        (["--method", "mutual"], "which trains its teacher"),
        (["--student", "cnn_micro"], "examines detectors"),
        (["--teacher", "absent.keras"], "absent.keras"),
    ],
)
def test_bad_input_is_told_in_a_line(more, message, ask):
    code, out, err = ask(*more)
    assert (code, out) == (2, "")
    assert message in err
