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


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--check", "leek"], "The doctor has no check 'leek'"),
        (["--method", "mutal"], "'mutual'"),
        (["--student", "cnn_micro"], "examines detectors"),
        (["--teacher", "absent.keras"], "absent.keras"),
    ],
)
def test_bad_input_is_told_in_a_line(more, message, ask):
    code, out, err = ask(*more)
    assert (code, out) == (2, "")
    assert message in err
