import json

import pytest

from keras_hkd.cli.main import main

DATA = "synthetic:train?num_images=4&seed=1&height=64&width=64"


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    streams = capsys.readouterr()
    return stop.value.code, streams.out, streams.err


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


def test_a_detections_file_becomes_a_cache(capsys, detections, tmp_path):
    given = ("cache", "--detections", detections, "--data", DATA, "--image-size", 64)
    code, out, err = run(capsys, *given, "--out", tmp_path / "cache", "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert (facts["mode"], facts["num_images"], facts["num_shards"]) == ("replay", 4, 1)
    code, out, _ = run(capsys, *given, "--out", tmp_path / "cache")
    assert code == 0 and "on disk" in out
    detections.write_text(detections.read_text().replace("0.8", "0.7"))
    code, _, err = run(capsys, *given, "--out", tmp_path / "cache")
    assert code == 2 and "another teacher" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--teacher, or --detections"),
        (("--detections", "FOUND"), "needs --image-size"),
        (("--detections", "absent.json"), "absent.json"),
    ],
)
def test_what_is_missing_is_said(capsys, detections, tmp_path, arguments, message):
    arguments = [detections if word == "FOUND" else word for word in arguments]
    code, _, err = run(capsys, "cache", "--data", DATA, "--out", tmp_path / "cache", *arguments)
    assert code == 2
    assert message in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--teacher", "yolo_v8_micro"), "takes the place of --teacher"),
        (("--method", "mutual"), "runs its teacher itself"),
        (("--method", "hsakd"), "runs its teacher itself"),
    ],
)
def test_distill_refuses_a_cache_where_it_is_of_no_use(capsys, tmp_path, arguments, message):
    words = ("--student", "yolo_v8_micro", "--epochs", 1, "--data", DATA, *arguments)
    out = ("--teacher-cache", tmp_path, "--out", tmp_path / "run")
    code, _, err = run(capsys, "distill", *words, *out)
    assert code == 2
    assert message in " ".join(err.split())
