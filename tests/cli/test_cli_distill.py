import contextlib
import io
import json
import os
import re
import shutil
import types

import pytest

from keras_hkd.cli.main import main
from keras_hkd.cli.method_arguments import parse_options

SIZE = 64
DATA = f"synthetic:train?num_images=6&height={SIZE}&width={SIZE}"
VAL = f"synthetic:val?num_images=4&height={SIZE}&width={SIZE}"


def distill_words(out, *more, data=DATA):
    models = ["--teacher", "yolo_v8_micro", "--student", "yolo_v8_micro"]
    base = ["distill", "--data", data, "--val", VAL, *models, "--out", out, "--epochs", 2]
    return [*base, "--batch-size", 3, "--image-size", SIZE, "--validate-every", 0, *more]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run: its folder."""
    out = tmp_path_factory.mktemp("runs") / "one"
    said = io.StringIO()
    with contextlib.redirect_stderr(said), pytest.raises(SystemExit) as end:
        main([str(word) for word in distill_words(out, "--shares-every", 1)])
    assert end.value.code == 0, said.getvalue()
    (out / "said.txt").write_text(said.getvalue())
    return out


@pytest.mark.slow
def test_a_teacher_by_name_knows_nothing_and_that_is_said(run):
    assert "knows nothing" in (run / "said.txt").read_text()


@pytest.mark.slow
def test_begins_with_the_quick_checks_of_the_doctor(run):
    said = (run / "said.txt").read_text()
    assert "Doctor: Data, student and teacher agree on the classes: person." in said
    assert "Doctor: None of 4 images to measure on is among those to train on." in said
    assert said.count("Doctor: ") == 6


@pytest.mark.slow
def test_leaves_what_was_promised(run):
    files = {"student.keras", "metrics.json", "curves.png", "gallery.png", "history.json"}
    assert files <= set(os.listdir(run))
    metrics = json.loads((run / "metrics.json").read_text())
    for name in ("teacher", "student"):
        assert {"AP", "AP50", "MR2", "parameters", "gflops", "latency_ms"} <= set(metrics[name])
    assert (metrics["measured_on"], metrics["num_images"]) == ("val", 4)
    history = json.loads((run / "history.json").read_text())
    assert {"loss", "class_loss", "box_loss"} < set(history)
    shares = [history[f"{name}_gradient_share"] for name in ("student", "boxes", "pyramid")]
    assert [sum(of_epoch) for of_epoch in zip(*shares, strict=True)] == pytest.approx([1, 1])
    assert all(len(row) == 2 for row in history.values())
    record = json.loads((run / "run.json").read_text())
    assert record["inputs"]["method"] == "auto"
    assert len(record["teacher_hash"]) == 64


@pytest.mark.slow
def test_the_student_is_saved_bare(run):
    from keras_hkd.detectors import build, load_detector

    student = load_detector(run / "student.keras")
    assert student.count_params() == build("yolo_v8_micro", image_size=(SIZE, SIZE)).count_params()
    assert student.image_size == (SIZE, SIZE)


@pytest.mark.slow
def test_prints_one_json_object_and_says_the_rest_on_the_error_stream(run, command):
    code, out, err = command(*distill_words(run, "--resume", "--json"))
    assert code == 0
    stored = json.loads((run / "metrics.json").read_text())
    assert json.loads(out) == {**stored, "out": str(run)}
    assert "nothing to do" in err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "already holds a run"),
        (["--resume", "--batch-size", 9], r"settings\.batch_size was \d+ and is now 9"),
        (["--resume", "--method-option", "a=1"], r"method_options\.a was None and is now 1"),
    ],
)
def test_a_folder_with_another_run_is_refused(run, command, more, message):
    code, out, err = command(*distill_words(run, *more))
    assert (code, out) == (2, "")
    assert re.search(message, err)


@pytest.mark.slow
def test_resuming_with_another_teacher_is_refused(run, tmp_path, command):
    from keras_hkd.detectors import build

    killed = tmp_path / "killed"
    shutil.copytree(run, killed)
    record = json.loads((killed / "run.json").read_text())
    (killed / "run.json").write_text(json.dumps({**record, "status": "running"}))
    build("yolo_v8_micro", image_size=(SIZE, SIZE), seed=99).save(tmp_path / "other.keras")
    more = ["--resume", "--teacher", tmp_path / "other.keras"]
    code, out, err = command(*distill_words(killed, *more))
    assert (code, out) == (2, "")
    assert "teacher_hash was" in err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--method", "hdk"], "'hkd'"),
        (["--method-option", "weights"], "NAME=VALUE"),
        (["--method-option", "pyramid_wait=1"], "pyramid_wait"),
        (["--teacher", "absent.keras"], "absent.keras"),
        (["--teacher", "/"], "is a folder"),
        (["--student", "yolo_v8_mikro"], "yolo_v8_micro"),
        (
            ["--unlabelled", "photos"],
            "--unlabelled goes with --method sad. Received: --method auto",
        ),
        (["--pseudo-label-score", "0.5"], "--pseudo-label-score goes with --method sad"),
        (["--method", "sad"], "'sad' needs --unlabelled"),
        (["--shard", "1/2"], "--shard shares out the images of --unlabelled (method sad)"),
        (["--method", "sad", "--unlabelled", "absent"], "absent"),
    ],
)
def test_bad_input_is_told_in_a_line_and_leaves_nothing(tmp_path, command, more, message):
    code, out, err = command(*distill_words(tmp_path / "run", *more))
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()


def test_a_method_that_needs_a_teacher_says_so(tmp_path, command):
    words = distill_words(tmp_path / "run")
    at = words.index("--teacher")
    code, _, err = command(*words[:at], *words[at + 2 :])
    assert code == 2
    assert "'auto' needs --teacher" in err


@pytest.mark.slow
def test_semi_supervised(tmp_path, command):
    out, unlabelled = tmp_path / "run", f"synthetic:more?num_images=4&height={SIZE}&width={SIZE}"
    few = DATA.replace("num_images=6", "num_images=3")
    more = ["--method", "sad", "--unlabelled", unlabelled, "--epochs", 1]
    code, printed, err = command(*distill_words(out, *more, "--shard", "1/1", data=few), "--json")
    assert code == 0, err
    assert json.loads(printed) == {"out": str(out), "shard": "1/1", "num_images": 4}
    assert [path.name for path in out.iterdir()] == ["pseudo_labels.parts"]
    code, _, err = command(*distill_words(out, *more, data=few))
    assert code == 0, err
    assert not (out / "pseudo_labels.parts").exists()
    assert "Pseudo-labels: " in err
    record = json.loads((out / "run.json").read_text())
    assert record["inputs"]["unlabelled"] == [unlabelled]
    assert record["inputs"]["pseudo_label_score"] is None
    facts = json.loads((out / "pseudo_labels.json").read_text())["info"]
    assert facts["asked"]["teacher_hash"] == record["teacher_hash"]
    assert facts["num_images"] + facts["num_images_without_box"] == 4
    assert {"class_logits_loss", "class_loss"} < set(json.loads((out / "history.json").read_text()))

    # What they were made of is part of the run.
    more[3] = unlabelled.replace("more", "other")
    code, _, err = command(*distill_words(out, *more, "--resume", data=few))
    assert code == 2
    assert "unlabelled was" in err


def test_method_options_are_yaml():
    texts = ["region-weight=1e-1", "top=3", "levels=[P3, P4]", "flag=true", "name=a=b"]
    assert parse_options(texts) == {
        "region_weight": 0.1,
        "top": 3,
        "levels": ["P3", "P4"],
        "flag": True,
        "name": "a=b",
    }
    with pytest.raises(ValueError, match="YAML"):
        parse_options(["levels=[P3"])


def test_several_teachers_go_with_methods_that_read_them(command, tmp_path):
    words = distill_words(tmp_path / "run", "--teacher", "retinanet_micro", "--method", "sad")
    code, _, said = command(*words, "--unlabelled", tmp_path)
    assert code == 2
    assert "Several teachers go with --method adl, auto, hkd, kd, ld" in said.replace("\n", " ")


def test_a_method_that_trains_a_teacher_of_its_own_does_so_in_one_process():
    from keras_hkd.cli.distill import _check_strategy

    with pytest.raises(ValueError, match="lw_kd.*--strategy mirrored.*Received"):
        _check_strategy("multi_worker", "lw_kd")
    _check_strategy("mirrored", "lw_kd")
    _check_strategy("multi_worker", "hkd")


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_a_teacher_alone_may_compute_in_half_precision(precision):
    import numpy as np

    from keras_hkd.cli import training_run
    from keras_hkd.cli.distill import _make_teacher
    from keras_hkd.cli.model_kinds import kind_of

    given = types.SimpleNamespace(strategy=None, seed=0, precision="float32")
    sources = types.SimpleNamespace(person_class=None, teacher_precision=precision)
    name, places = "yolo_v8_micro", (("person",), (SIZE, SIZE))
    teacher = _make_teacher(name, given, sources, *places, seed=1)
    student = training_run.make_model(kind_of(name), name, given, *places)
    assert {layer.compute_dtype for layer in student.network.layers} == {"float32"}
    assert precision in {layer.compute_dtype for layer in teacher.network.layers}
    assert {weight.dtype for weight in teacher.weights} == {"float32"}
    outputs = teacher(np.full((1, SIZE, SIZE, 3), 128, "float32"), training=False)
    assert np.isfinite(np.asarray(outputs["class_logits"], "float32")).all()
