"""What the folders of runs say, and which runs belong together."""

import pytest

from keras_hkd.report.run_records import group_runs, partner_of, read_run
from keras_hkd.report.run_sections import provenance
from keras_hkd.training import RunFolder


def make_run(folder, seed=0, *, method=None, epochs=3, student="yolo_v8_micro", **results):
    """The folder of a run as `keras-hkd train` and `distill` write it, without a model."""
    inputs = {"command": "train", "detector": student}
    words = ["/somewhere/bin/keras-hkd", "train", "--detector", student]
    if method is not None:
        inputs = {"command": "distill", "student": student, "method": method}
        words = ["keras-hkd", "distill", "--teacher", "my teacher.keras", "--student", student]
    run = RunFolder(folder, inputs=inputs, command=words)
    run.begin(
        {
            "settings": {"seed": seed, "epochs": epochs, "image_size": (64, 96)},
            "data_hash": "d" * 64,
            "teacher_hash": None if method is None else "7" * 64,
            "distillation": None if method is None else {"student_loss_weight": 1.0},
        }
    )
    if results:
        teacher = {} if method is None else {"teacher": {"AP": 0.5}}
        run.finish({**teacher, "student": results, "measured_on": "val", "num_images": 9})
    return folder


def test_a_run_says_what_it_was(tmp_path):
    run = read_run(make_run(tmp_path / "a", seed=4, method="hkd", AP=0.25))
    assert (run.name, run.seed, run.image_size, run.is_distilled) == ("a", 4, (64, 96), True)
    assert run.student_results == {"AP": 0.25} and run.teacher_results == {"AP": 0.5}
    assert run.command == ("keras-hkd distill --teacher 'my teacher.keras' --student yolo_v8_micro")
    assert run.teacher_name == "my teacher.keras" and run.model_file is None
    alone = read_run(make_run(tmp_path / "b"))
    assert alone.command.startswith("keras-hkd train") and not alone.is_distilled
    assert alone.student_results == {} and alone.history == {}


def test_runs_that_differ_by_the_seed_alone_are_one_group(tmp_path):
    folders = [
        make_run(tmp_path / "hkd_1", 1, method="hkd", AP=0.3),
        make_run(tmp_path / "hkd_0", 0, method="hkd", AP=0.2),
        make_run(tmp_path / "alone_0", 0, AP=0.1),
        make_run(tmp_path / "long", 0, epochs=9, AP=0.1),
        make_run(tmp_path / "ld_0", 0, method="ld"),
    ]
    groups = group_runs([read_run(folder) for folder in folders])
    names = [(group.name, [run.name for run in group.runs]) for group in groups]
    assert names == [
        ("student alone (alone_0)", ["alone_0"]),
        ("student alone (long)", ["long"]),
        ("distilled: hkd", ["hkd_0", "hkd_1"]),
        ("distilled: ld", ["ld_0"]),
    ]
    assert groups[2].by_seed("AP") == {0: 0.2, 1: 0.3}
    # The student trained for as long is the one to compare with, whatever the order.
    assert partner_of(groups[2], groups[::-1]) is groups[0]


def test_the_same_seed_twice_is_not_one_group(tmp_path):
    folders = [make_run(tmp_path / name, seed=0, AP=0.1) for name in ("a", "b")]
    groups = group_runs([read_run(folder) for folder in folders])
    assert [len(group.runs) for group in groups] == [1, 1]


def test_groups_whose_folders_have_one_name_are_told_apart(tmp_path):
    folders = [make_run(tmp_path / name / "run", seed=0, AP=0.1) for name in ("a", "b")]
    groups = group_runs([read_run(folder) for folder in folders])
    assert [group.name for group in groups] == [f"student alone ({folder})" for folder in folders]
    _, rows, *_ = provenance(groups, []).blocks
    assert [row[0] for row in rows.rows] == [str(folder) for folder in folders]


def test_a_run_that_is_made_longer_has_no_figures_until_it_ends(tmp_path):
    folder = make_run(tmp_path / "a", AP=0.2)
    (folder / "detector.keras").touch()
    assert read_run(folder).student_results and read_run(folder).model_file is not None
    run = RunFolder(folder, inputs=read_run(folder).inputs)
    settings = {**read_run(folder).settings, "epochs": 9}
    run.begin({"settings": settings}, resume=True)
    longer = read_run(folder)
    assert longer.student_results == {} and longer.model_file is None and not longer.is_finished
    run.finish({"student": {"AP": 0.3}})
    assert read_run(folder).student_results == {"AP": 0.3}
    assert read_run(folder).model_file == folder / "detector.keras"


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no run"):
        read_run(tmp_path)
    run = read_run(make_run(tmp_path / "a"))
    with pytest.raises(ValueError, match="twice"):
        group_runs([run, run])
    with pytest.raises(ValueError, match="at least one"):
        group_runs([])
    (tmp_path / "a" / "history.json").write_text("[1")
    with pytest.raises(ValueError, match=r"history\.json"):
        read_run(tmp_path / "a")
