import json
import os

import keras
import numpy as np
import pytest

import keras_hkd
from keras_hkd.training.identity import DifferentRunError
from keras_hkd.training.run_folder import MODEL_FILES, RunFolder, RunFolderError, versions

IDENTITY = {"settings": {"seed": 1}, "data_hash": "ab", "teacher_hash": None}


def folder(path, **options):
    return RunFolder(path / "run", command=["keras-hkd", "train"], **options)


def test_records_what_a_run_was_started_with(tmp_path):
    run = folder(tmp_path, inputs={"teacher": "large"})
    run.begin(IDENTITY)
    record = run.read_json("run.json")
    assert record["command"] == ["keras-hkd", "train"]
    assert record["inputs"] == {"teacher": "large"}
    assert record["settings"] == {"seed": 1}
    assert record["data_hash"] == "ab"
    assert record["status"] == "running"
    session = record["sessions"][0]
    assert session["keras"] == keras.__version__
    assert session["numpy"] == np.__version__
    assert session["keras_hkd"] == keras_hkd.__version__
    assert not run.is_finished


def test_finishing_writes_results_and_timing(tmp_path):
    run = folder(tmp_path)
    run.begin(IDENTITY)
    run.finish({"AP": 0.25}, training_seconds=3.0)
    assert run.is_finished
    assert run.read_json("metrics.json") == {"AP": 0.25}
    assert run.read_json("run.json")["training_seconds"] == 3.0


@pytest.mark.parametrize("finished", [False, True])
def test_refuses_a_folder_that_holds_a_run(tmp_path, finished):
    folder(tmp_path).begin(IDENTITY)
    if finished:
        folder(tmp_path).finish({})
    with pytest.raises(RunFolderError, match="already holds a run.*--resume"):
        folder(tmp_path).begin(IDENTITY)
    with pytest.raises(RunFolderError, match="already holds a run"):
        folder(tmp_path).require_free()


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        *MODEL_FILES,
        *("metrics.json", "history.json", "balance.json", "curves.png", "gallery.png"),
        "checkpoints/epoch_0001.npz",
    ],
)
def test_files_of_others_that_a_run_would_replace_are_refused(tmp_path, name, resume):
    file = tmp_path / "run" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(b"months of work")
    with pytest.raises(RunFolderError, match=f"--out.*Received: {name.split('/')[0]}"):
        folder(tmp_path).require_free(resume)
    with pytest.raises(RunFolderError):
        folder(tmp_path).begin(IDENTITY, resume)
    assert file.read_bytes() == b"months of work"
    assert not (tmp_path / "run" / "run.json").exists()


def test_what_may_come_before_a_run_and_files_that_it_does_not_write_are_no_obstacle(tmp_path):
    run = tmp_path / "run"
    (run / "teacher").mkdir(parents=True)
    (run / "checkpoints").mkdir()
    for name in (".lock", "batches.png", "pseudo_labels.json", "teacher/run.json", "teacher.keras"):
        (run / name).write_text("")
    folder(tmp_path).begin(IDENTITY)


def test_a_run_that_writes_other_models_names_them(tmp_path):
    (tmp_path / "teacher.keras").write_bytes(b"months of work")
    with pytest.raises(RunFolderError, match=r"Received: teacher\.keras"):
        RunFolder(tmp_path, model_files=["teacher.keras"]).begin(IDENTITY)


def test_a_run_goes_on_beside_what_it_wrote(tmp_path):
    folder(tmp_path).begin(IDENTITY)
    for name in ("detector.keras", "metrics.json"):
        (tmp_path / "run" / name).write_text("")
    folder(tmp_path).begin(IDENTITY, resume=True)


def test_resuming_appends_a_session(tmp_path):
    folder(tmp_path).begin(IDENTITY, resume=True)
    folder(tmp_path).begin(IDENTITY, resume=True)
    assert len(folder(tmp_path).read_json("run.json")["sessions"]) == 2


@pytest.mark.parametrize(
    ("identity", "inputs", "difference"),
    [
        ({"settings": {"seed": 2}}, {"teacher": "large"}, "settings.seed was 1 and is now 2"),
        ({"data_hash": "cd"}, {"teacher": "large"}, "data_hash was 'ab' and is now 'cd'"),
        ({"teacher_hash": "x"}, {"teacher": "large"}, "teacher_hash was None"),
        ({}, {"teacher": "small"}, "inputs.teacher was 'large' and is now 'small'"),
    ],
)
def test_refuses_to_resume_another_run(tmp_path, identity, inputs, difference):
    folder(tmp_path, inputs={"teacher": "large"}).begin(IDENTITY)
    with pytest.raises(DifferentRunError, match=difference):
        folder(tmp_path, inputs=inputs).begin({**IDENTITY, **identity}, resume=True)


def test_a_run_goes_on_with_the_images_that_it_was_measured_on(tmp_path):
    folder(tmp_path).begin(IDENTITY)
    folder(tmp_path).begin(IDENTITY, resume=True, val_hash="ab")  # nothing was measured so far
    assert folder(tmp_path).read_json("run.json")["val_hash"] == "ab"
    folder(tmp_path).begin(IDENTITY, resume=True, val_hash="ab")
    for other in ("cd", None):
        with pytest.raises(DifferentRunError, match=f"val_hash was 'ab' and is now {other!r}"):
            folder(tmp_path).begin(IDENTITY, resume=True, val_hash=other)


def test_a_run_that_says_nothing_of_the_images_it_was_measured_on_goes_on(tmp_path):
    """As those do that were begun before the record did."""
    folder(tmp_path).begin(IDENTITY)
    record = folder(tmp_path).read_json("run.json")
    del record["val_hash"]
    folder(tmp_path).write_json("run.json", record)
    folder(tmp_path).begin(IDENTITY, resume=True, val_hash="ab")
    assert folder(tmp_path).read_json("run.json")["val_hash"] == "ab"


def test_a_refusal_changes_nothing(tmp_path):
    folder(tmp_path).begin(IDENTITY)
    before = (tmp_path / "run" / "run.json").read_bytes()
    with pytest.raises(DifferentRunError):
        folder(tmp_path).begin({**IDENTITY, "data_hash": "cd"}, resume=True)
    assert (tmp_path / "run" / "run.json").read_bytes() == before


def test_a_foreign_record_is_named(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{half")
    with pytest.raises(RunFolderError, match="run.json is not a record"):
        folder(tmp_path).begin(IDENTITY)


def test_begin_sweeps_up_partial_files(tmp_path):
    run = folder(tmp_path)
    run.begin(IDENTITY)
    (run.path / ".metrics.partial-1.json").write_text("{")
    folder(tmp_path).begin(IDENTITY, resume=True)
    assert os.listdir(run.path) == ["run.json"]


def test_saves_a_compiled_model_without_its_optimizer(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model.compile("adam", "mse")
    model.fit(np.ones((2, 2)), np.ones((2, 3)), verbose=0)
    path = folder(tmp_path).save_model(model, "student.keras")
    saved = keras.models.load_model(path)
    assert not saved.compiled
    np.testing.assert_array_equal(saved.layers[0].kernel, model.layers[0].kernel)
    assert os.listdir(path.parent) == ["student.keras"]
    model.fit(np.ones((2, 2)), np.ones((2, 3)), verbose=0)
    assert int(model.optimizer.iterations) == 2


def test_versions_are_json():
    assert json.loads(json.dumps(versions()))["python"].startswith("3.")
