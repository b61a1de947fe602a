import json

import pytest

from keras_hkd.cli.score import find_category
from keras_hkd.metrics.ground_truth import as_ground_truth


@pytest.fixture
def files(tmp_path):
    """100 images of a person each, 75 found; one bicycle, found by nobody."""
    truth = {
        "images": [{"id": i, "file_name": f"set06/V000/I{i:05d}.jpg"} for i in range(100)],
        "annotations": [
            {"id": i + 1, "image_id": i, "category_id": 1, "bbox": [100, 100, 40, 100]}
            for i in range(100)
        ],
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "bicycle"}],
    }
    truth["annotations"].append(
        {"id": 101, "image_id": 0, "category_id": 2, "bbox": [300, 100, 80, 60]}
    )
    found = [
        {"image_id": i, "category_id": 1, "bbox": [100, 100, 40, 100], "score": 0.9}
        for i in range(75)
    ]
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "found.json").write_text(json.dumps(found))
    return [str(tmp_path / "truth.json"), str(tmp_path / "found.json")]


def scores(command, *arguments):
    code, out, err = command("score", *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def test_city_persons(command, files):
    found = scores(command, *files, "--protocol", "citypersons")
    assert list(found) == ["reasonable", "reasonable_small", "heavy_occlusion", "all"]
    assert found["reasonable"] == pytest.approx(0.25)
    assert found["heavy_occlusion"] is None


def test_coco(command, files):
    found = scores(command, *files, "--protocol", "coco")
    assert {"AP", "AP50", "AP75", "AR100"} <= set(found)
    person = scores(command, *files, "--protocol", "coco", "--category", "person")
    by_id = scores(command, *files, "--protocol", "coco", "--category", "1")
    assert person == by_id
    assert person["AR100"] == pytest.approx(0.75)
    assert found["AR100"] == pytest.approx(0.375)
    assert scores(command, *files, "--protocol", "coco", "--ignore-categories")["AR100"] < 0.75


def test_kaist_and_caltech(command, files):
    kaist = scores(command, *files, "--protocol", "kaist")
    assert list(kaist) == ["all", "day", "night"]
    assert kaist["night"] is None
    code, out, err = command("score", *files, "--protocol", "caltech", "--json")
    assert code == 0
    assert json.loads(out)["reasonable"] == pytest.approx(0.25)
    assert "unverified" in err


@pytest.mark.parametrize("protocol", ["citypersons", "coco"])
def test_table(command, files, protocol):
    code, out, _ = command("score", *files, "--protocol", protocol)
    assert code == 0
    assert ("25.00" if protocol == "citypersons" else "AP50") in out


def test_few_images_are_warned_of_on_the_error_stream(command, tmp_path):
    truth = {"images": [{"id": 1}], "annotations": []}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "found.json").write_text("[]")
    paths = [str(tmp_path / "truth.json"), str(tmp_path / "found.json")]
    code, out, err = command("score", *paths, "--protocol", "citypersons", "--json")
    assert code == 0
    assert json.loads(out)["all"] is None
    assert "Warning" in err and "100 images" in " ".join(err.split())


def test_bad_input(command, files, tmp_path):
    truth, found = files
    for arguments, word in [
        ((truth, found), "--protocol"),
        ((truth, found, "--protocol", "voc"), "citypersons"),
        ((truth, str(tmp_path / "nowhere.json"), "--protocol", "coco"), "nowhere.json"),
        ((found, truth, "--protocol", "coco"), "found.json"),
        ((truth, found, "--protocol", "coco", "--category", "persn"), "bicycle (2)"),
        ((truth, found, "--protocol", "kaist", "--ignore-categories"), "coco only"),
    ]:
        code, out, err = command("score", *arguments, "--json")
        assert code == 2
        assert out == ""
        assert word in err


def test_category_ids_without_names():
    truth = as_ground_truth([{"image_id": 1, "boxes": [[0, 0, 1, 1]]}])
    assert find_category(truth, "1") == 1


def test_needs_neither_keras_nor_tensorflow(files, fresh_python):
    """In a process of its own, since others have imported them here."""
    code = (
        "import sys; from keras_hkd.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "finally:\n    assert not {'keras', 'tensorflow', 'keras_cv'} & set(sys.modules)"
    )
    for protocol in ("citypersons", "coco"):
        arguments = ["score", *files, "--protocol", protocol, "--json"]
        json.loads(fresh_python(code, *arguments))


def test_shared_references(command, shared_dir):
    folder = shared_dir / "data" / "metric_check" / "citypersons"
    if not folder.is_dir():
        pytest.skip(f"no reference scores at {folder}")
    paths = [str(folder / "val_gt.json.gz"), str(folder / "detections_acsp.json.gz")]
    found = scores(command, *paths, "--protocol", "citypersons")
    published = {
        "reasonable": 9.27,
        "reasonable_small": 13.48,
        "heavy_occlusion": 36.26,
        "all": 35.76,
    }
    assert {name: round(100 * value, 2) for name, value in found.items()} == published
