import json

import numpy as np
import pytest

from keras_hkd.doctor import declared
from keras_hkd.doctor.declared import CHECKS, Check, check, chosen
from keras_hkd.doctor.diagnosis import Diagnosis
from keras_hkd.doctor.examination import examine
from keras_hkd.doctor.finding import fault, note, ok, warning
from keras_hkd.errors import InvalidValueError


def test_a_check_is_added_by_adding_a_file(tmp_path, monkeypatch):
    folder = tmp_path / "checks"
    folder.mkdir()
    (folder / "hour.py").write_text(
        "@check(order=17, cheap=True)\ndef hour(case):\n    return None\n"
    )
    monkeypatch.setattr(declared, "__file__", str(tmp_path / "declared.py"))
    assert declared._declared() == {
        "hour": Check("keras_hkd.doctor.checks.hour", "hour", 17, cheap=True)
    }


def test_a_check_that_declares_something_unknown_is_refused():
    with pytest.raises(TypeError, match=r"Received: \['cheep', 'order'\]"):
        check(order=1, cheep=True)
    with pytest.raises(TypeError, match="`order` always"):
        check(cheap=True)


def test_a_check_of_no_name_is_refused():
    with pytest.raises(ValueError, match="Did you mean 'leakage'"):
        chosen(["leakages"])


def test_every_check_can_be_loaded():
    assert all(callable(one.load()) for one in CHECKS.values())


@pytest.fixture
def examined(people, case_of, monkeypatch):
    """Give the diagnosis of made-up checks."""

    def run(*functions, needs=()):
        monkeypatch.setattr(Check, "load", lambda one: functions[one.order])
        checks = {
            f"check_{n}": Check("", "", n, needs=needs if n else ()) for n in range(len(functions))
        }
        return examine(case_of(people(2)), checks, progress=False)

    return run


def test_an_error_that_the_user_can_mend_is_a_fault_and_told_once(examined):
    def refuses(case):
        raise InvalidValueError("No such pair. Received: this one")

    diagnosis = examined(refuses, refuses, lambda case: ok("Fine."))
    assert [(one.check, one.severity) for one in diagnosis.findings] == [
        ("check_0", "fault"),
        ("check_2", "ok"),
    ]
    assert diagnosis.findings[0].text == "No such pair. Received: this one"


def test_an_error_in_the_code_is_raised(examined):
    with pytest.raises(ZeroDivisionError):
        examined(lambda case: 1 / 0)


def test_checks_that_do_not_apply_are_named(examined):
    diagnosis = examined(lambda case: ok("Fine."), lambda case: ok("Test."), needs=("test",))
    assert diagnosis.not_applied == ("check_1",)
    assert "Did not apply: check_1." in str(diagnosis)
    assert examined(lambda case: None).not_applied == ("check_0",)


def test_only_a_fault_makes_a_pair_ill():
    healthy = Diagnosis((ok("a"), note("b"), warning("c", "do"), warning("d", "do")))
    assert healthy.is_healthy
    assert healthy.verdict == "2 warnings, 1 note, 1 ok."
    assert [one.text for one in healthy.alarms] == ["c", "d"]
    assert not Diagnosis((ok("a"), fault("b", "do"))).is_healthy


def test_what_is_written_says_what_was_returned(tmp_path):
    figures = {"share": np.float32(0.5), "names": ["a"], "bad": float("nan")}
    picture = tmp_path / "worst.png"
    diagnosis = Diagnosis((warning("Half.", "Label.", (picture,), **figures),), ("leakage",))
    diagnosis.save(tmp_path / "new")
    stored = json.loads((tmp_path / "new" / "doctor.json").read_text())
    assert stored == {
        "healthy": True,
        "verdict": "1 warning.",
        "findings": [
            {
                "severity": "warning",
                "text": "Half.",
                "advice": "Label.",
                "figures": {"share": 0.5, "names": ["a"], "bad": None},
                "pictures": [str(picture)],
                "check": "",
            }
        ],
        "not_applied": ["leakage"],
    }
    text = (tmp_path / "new" / "doctor.txt").read_text()
    assert text.splitlines() == [
        "WARNING  Half.",
        "         -> Label.",
        f"         see {picture}",
        "Did not apply: leakage.",
        "1 warning.",
    ]
