import json

import pytest


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
    together = scores(command, *files, "--protocol", "coco", "--class", "person,bicycle")
    assert together["AR100"] == pytest.approx(75 / 101)


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
        (
            (truth, found, "--protocol", "coco", "--category", "persn"),
            "person (100 boxes), bicycle",
        ),
        ((truth, found, "--protocol", "kaist", "--class", "1", "--class", "2"), "scores one class"),
    ]:
        code, out, err = command("score", *arguments, "--json")
        assert code == 2
        assert out == ""
        assert word in err


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


def written(folder, names, categories=None, shift=0, **fields):
    """Files of ground truth, a person in each image, and of results that find them exactly."""
    truth = {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "bbox": [100 + 9 * i, 100, 40, 100]}
            for i in range(len(names))
        ],
        "categories": categories or [{"id": 1, "name": "person"}],
    }
    found = [
        {"image_id": i, "category_id": 1 + shift, "bbox": [100 + 9 * i, 100, 40, 100], "score": 0.9}
        for i in range(len(names))
    ]
    found = [{**one, **{k: f(i) for k, f in fields.items()}} for i, one in enumerate(found)]
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "found.json").write_text(json.dumps(found))
    return [str(folder / "truth.json"), str(folder / "found.json"), "--protocol", "citypersons"]


NAMES = ["b.jpg", "c.jpg", "a.jpg"]
FIELDS = [
    {},
    {"image_id": lambda i: NAMES[i][0]},
    {"image_id": lambda i: (i + 1) % 3, "file_name": lambda i: NAMES[i]},
    {"image_id": lambda i: f"{i}"},
    {"category_id": lambda i: "1"},
    {"category_id": lambda i: "pedestrian"},
    {"category_id": lambda i: 1.0},
]


@pytest.mark.parametrize("fields", FIELDS)
def test_results_of_other_programs_find_pictures_and_category(command, tmp_path, fields):
    assert scores(command, *written(tmp_path, NAMES, **fields))["reasonable"] == 0.0


def test_results_that_contradict_the_ground_truth_are_refused(command, tmp_path):
    fields = {"file_name": lambda i: f"{i}.jpg"}
    code, out, err = command("score", *written(tmp_path, NAMES, **fields), "--json")
    assert (code, out) == (2, "") and "image_id 0 is that of 'b.jpg'" in err


def test_results_of_a_category_that_is_not_scored_are_refused(command, tmp_path):
    words = written(tmp_path, NAMES, shift=-1)
    for protocol in ("citypersons", "coco"):
        code, out, err = command("score", *words[:-1], protocol, "--json")
        assert (code, out) == (2, "")
        assert "they are of the categories 0 (3)" in err and "--ignore-categories" in err
    assert scores(command, *words, "--ignore-categories")["reasonable"] == 0.0


def test_without_people_the_class_must_be_named(command, tmp_path):
    categories = [{"id": 1, "name": "walker"}, {"id": 2, "name": "car"}]
    words = written(tmp_path, NAMES, categories)
    code, out, err = command("score", *words, "--json")
    assert (code, out) == (2, "") and "walker (3 boxes), car" in err and "--class NAME" in err
    for name in ("walker", "Walker", "1", "person=walker"):
        assert scores(command, *words, "--class", name)["reasonable"] == 0.0


def test_one_bad_result_is_left_out_and_named(command, tmp_path):
    fields = {"bbox": lambda i: [100 + 9 * i, 100, 40, 100] if i < 3 else [1, 2, -3, 4]}
    words = written(tmp_path, [*NAMES, "d.jpg"], **fields)
    code, out, err = command("score", *words, "--json")
    assert code == 0 and json.loads(out)["reasonable"] == pytest.approx(0.25)
    assert "Skipped: detections: detection number 4: width and height" in err
    code, out, err = command("score", *words, "--json", "--on-bad-data", "raise")
    assert (code, out) == (2, "") and "detection number 4" in err


def test_results_of_other_images_stop_unless_they_are_to_be_skipped(command, tmp_path):
    words = written(tmp_path, NAMES, image_id=lambda i: i if i else 77)
    code, _, err = command("score", *words, "--json")
    assert code == 2 and "no image with id 77" in err
    found = scores(command, *words, "--on-bad-data", "skip")
    assert found["reasonable"] == pytest.approx(1 / 3)


def test_ground_truth_is_whatever_data_may_be(command, tmp_path):
    from PIL import Image

    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (tmp_path / "in" / kind / split).mkdir(parents=True)
        Image.new("RGB", (200, 200)).save(tmp_path / "in" / "images" / split / "a.png")
        (tmp_path / "in" / "labels" / split / "a.txt").write_text("0 0.5 0.5 0.2 0.5")
    (tmp_path / "in" / "classes.txt").write_text("person")
    result = {"image_id": "val/a", "category_id": 1, "bbox": [80, 50, 40, 100], "score": 0.9}
    (tmp_path / "found.json").write_text(json.dumps([result]))
    words = ("--protocol", "coco", "--json")
    code, out, err = command("score", f"{tmp_path / 'in'}:val", tmp_path / "found.json", *words)
    assert code == 0 and json.loads(out)["AP"] == pytest.approx(1.0)
    assert "Read" in err and "1 image, 1 person" in err and "Scored 1 person in 1 of 1" in err
