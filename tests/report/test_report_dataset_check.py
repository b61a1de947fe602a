"""The check of labelled images: figures worked out by hand, faults put there, the page."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from keras_hkd.data import Dataset, ImageAnnotation, load_dataset, synthetic_dataset
from keras_hkd.report import check_dataset, save_contact_sheet

NAME = "a <b>&.png"


@pytest.fixture
def street(tmp_path):
    """Three pictures, one the copy of another with other boxes; a tiny box, and a faulty one."""
    folder = tmp_path / "street"
    (folder / "images").mkdir(parents=True)
    for number, name in enumerate((NAME, "b.png")):
        pixels = synthetic_dataset(2, (100, 200), seed=5).load_image(number)
        Image.fromarray(pixels).save(folder / "images" / name)
    shutil.copy(folder / "images" / "b.png", folder / "images" / "c.png")
    boxes = {
        1: [[10, 10, 20, 40], [50, 10, 2, 5], [0, 0, 190, 40]],
        2: [[10, 10, 20, 80]],
        3: [[300, 10, 20, 80]],
    }
    rows = [(image, box) for image, of_image in boxes.items() for box in of_image]
    content = {
        "images": [
            {"id": i, "file_name": name, "width": 200, "height": 100}
            for i, name in enumerate((NAME, "b.png", "c.png"), start=1)
        ],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [
            {"id": n, "image_id": i, "category_id": 1, "bbox": box, "iscrowd": int(n == 3)}
            for n, (i, box) in enumerate(rows, start=1)
        ],
    }
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


def test_what_was_put_there_is_found(street, tmp_path):
    out = tmp_path / "out" / "check"
    found = check_dataset(load_dataset(street, on_bad_data="skip"), out)
    assert json.loads((out / "check.json").read_text()) == found
    counts = ("images", "images_without_boxes", "boxes", "classes", "ignore_regions")
    assert [found[name] for name in counts] == [3, 1, 4, {"person": 3}, 1]
    assert found["skipped"][0]["record"] == "annotations[4] (id 5)"
    (group,) = found["duplicates"]["identical"]
    assert [image["file"][-5:] for image in group["images"]] == ["b.png", "c.png"]
    assert not group["same_labels"] and not group["in_several_sources"]
    assert found["duplicates"]["near"] == []
    (tiny,) = found["odd_boxes"]["tiny"]["boxes"]
    assert tiny["annotation_id"] == 2 and tiny["box"] == [50, 10, 52, 15]
    assert {kind for kind, one in found["odd_boxes"].items() if one["count"]} == {"tiny"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *((f"{name}.png", "mine") for name in ("odd_boxes", "duplicates", "histograms")),
        ("contact_sheet.png", "mine"),
        ("index.html", "mine"),
        ("check.json", "mine"),
        ("check.json", '{"spelling": true}'),
        ("check.json", "[1]"),
    ],
)
def test_files_that_no_check_wrote_are_not_replaced(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(FileExistsError, match=f"--out.*Received: {name}"):
        check_dataset([], tmp_path)  # before anything is looked at
    assert (tmp_path / name).read_text() == content


def test_files_of_an_earlier_check_are_replaced_and_those_of_others_stay(street, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    check_dataset(load_dataset(street, on_bad_data="skip"), out)
    assert (out / "duplicates.png").is_file() and (out / "odd_boxes.png").is_file()
    (out / "index.html").write_text("old")
    check_dataset(synthetic_dataset(1, (64, 64), seed=0), out)
    assert "old" != (out / "index.html").read_text()
    assert not (out / "duplicates.png").exists()
    assert (out / "notes.txt").read_text() == "mine"


def test_figures_by_hand(street, tmp_path):
    found = check_dataset(load_dataset(street, on_bad_data="skip"), tmp_path / "out")
    heights = found["box_height_px"]  # 40, 5 and 80; the ignore region is left aside
    assert (heights["quantiles"]["0"], heights["quantiles"]["0.5"]) == (5, 40)
    assert dict(zip(heights["from"], heights["counts"], strict=True)) == {
        **dict.fromkeys((0, 8, 16, 128, 256, 512, 1024), 0),
        **{4: 1, 32: 1, 64: 1},
    }
    aspects = found["box_aspect"]  # 0.5, 0.4 and 0.25
    assert {f: c for f, c in zip(aspects["from"], aspects["counts"], strict=True) if c} == {
        **{0.2: 1, 0.4: 1, 0.5: 1}
    }
    assert found["boxes_per_image"]["counts"][:3] == [1, 1, 1]
    assert found["coco_sizes"] == {"small": 2, "medium": 1, "large": 0}
    assert found["image_sizes"] == [{"width": 200, "height": 100, "images": 3}]


def test_the_page_needs_no_other_file_and_shows_names_as_text(street, tmp_path):
    out = tmp_path / "out"
    check_dataset(load_dataset(street, on_bad_data="skip"), out)
    text = (out / "index.html").read_text()
    sources = re.findall(r"(?:src|href)=['\"]([^'\"]{0,40})", text)
    assert len(sources) == 4 and all(one.startswith("data:image/png;base64,") for one in sources)
    assert "a &lt;b&gt;&amp;.png" in text and "<b>" not in text
    for words in ("wholly outside", "different boxes", "2 x 5 px", "ignore regions"):
        assert words in text
    for name in ("histograms", "contact_sheet", "odd_boxes", "duplicates"):
        assert Image.open(out / f"{name}.png").format == "PNG"


def test_pictures_of_an_earlier_check_go(street, tmp_path):
    out = tmp_path / "out"
    check_dataset(load_dataset(street, on_bad_data="skip"), out)
    check_dataset(synthetic_dataset(2, (64, 64), seed=0), out)
    names = {path.name for path in out.iterdir()}
    assert {"check.json", "contact_sheet.png", "histograms.png", "index.html"} <= names
    assert "duplicates.png" not in names


def test_pictures_in_two_sources_are_told_apart(street, tmp_path):
    other = tmp_path / "val"
    shutil.copytree(street, other)
    datasets = [load_dataset(one, on_bad_data="skip") for one in (street, other)]
    found = check_dataset(datasets, tmp_path / "out")
    groups = found["duplicates"]["identical"]
    assert [len(group["images"]) for group in groups] == [2, 4]
    assert all(group["in_several_sources"] for group in groups)
    assert {image["source"] for image in groups[0]["images"]} == {str(street), str(other)}
    with pytest.raises(ValueError, match="name each source once"):
        check_dataset([datasets[0], datasets[0]], tmp_path / "out")


def test_one_file_in_two_splits_is_found(street, tmp_path):
    """The leak that `merge` refuses in a training is what a check is asked for."""
    whole = load_dataset(street, on_bad_data="skip")
    splits = [
        dataclasses.replace(whole, annotations=whole.annotations[part], source=name)
        for name, part in (("train", slice(0, 2)), ("val", slice(0, None, 2)))
    ]
    with pytest.raises(ValueError, match="take the image out of one of the two"):
        Dataset.merge(splits)
    found = check_dataset(splits, tmp_path / "out")
    leaked = whole[0].image_path
    (group,) = [
        one
        for one in found["duplicates"]["identical"]
        if [image["file"] for image in one["images"]].count(leaked) == 2
    ]
    assert group["in_several_sources"]


def test_pictures_without_any_box(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (30, 20)).save(folder / "a.png")
    empty = ImageAnnotation(str(folder / "a.png"), 1, 30, 20, [], [])
    found = check_dataset(Dataset((empty,), ("person",), "here", "none"), tmp_path / "out")
    assert found["box_height_px"]["quantiles"] == {} and found["images_without_boxes"] == 1
    assert (tmp_path / "out" / "index.html").is_file()


def test_a_contact_sheet_breaks_its_rows(tmp_path):
    wide, high = np.zeros((50, 100, 3), np.uint8), np.zeros((100, 50, 3), np.uint8)
    entry = {"boxes": np.array([[10.0, 10, 20, 30]])}
    images = [wide, wide, high, wide]
    path = save_contact_sheet(
        images,
        [entry] * 4,
        ["a", "a name that is much too long for the picture", "c", ""],
        tmp_path / "sheet.png",
        tile_height_px=50,
        sheet_width_px=240,
    )
    sheet = np.asarray(Image.open(path).convert("RGB"))
    # two wide ones and their three gaps of 6 fill 218 px; the others make a second row
    assert sheet.shape == (6 + 2 * (50 + 18 + 6), 240, 3)
    green = (sheet == (46, 204, 64)).all(-1)
    ys, xs = np.nonzero(green[:60])
    assert (xs.min(), ys.min()) == (6 + 10, 6 + 10)
    assert green[80:].any()
    with pytest.raises(ValueError, match="at least one image"):
        save_contact_sheet([], [], [], tmp_path / "none.png")
