"""`keras-hkd convert`: any format in, COCO JSON out."""

import json

import pytest
from PIL import Image

from keras_hkd.data import load_boxes, load_dataset

VOC = """<annotation><filename>{name}</filename><size><width>64</width><height>48</height></size>
<object><name>person</name><difficult>0</difficult><bndbox><xmin>2</xmin><ymin>3</ymin>
<xmax>11</xmax><ymax>22</ymax></bndbox></object>
<object><name>car</name><difficult>1</difficult><bndbox><xmin>21</xmin><ymin>3</ymin>
<xmax>40</xmax><ymax>22</ymax></bndbox></object></annotation>"""


@pytest.fixture
def voc(tmp_path):
    for folder in ("Annotations", "JPEGImages"):
        (tmp_path / "voc" / folder).mkdir(parents=True)
    for name in ("a", "b"):
        text = VOC.format(name=f"{name}.png")
        (tmp_path / "voc" / "Annotations" / f"{name}.xml").write_text(text)
        Image.new("RGB", (64, 48)).save(tmp_path / "voc" / "JPEGImages" / f"{name}.png")
    return tmp_path / "voc"


def test_voc_to_coco(command, voc, tmp_path):
    out = tmp_path / "people.json"
    code, printed, err = command("convert", voc, "--to", "coco", "--out", out, "--json")
    assert code == 0, err
    assert "(voc): 2 images, 2 person, 0 car, 2 ignore regions; nothing skipped" in err
    found = json.loads(printed)
    assert found["classes"] == {"person": 2, "car": 0} and found["ignore_regions"] == 2
    assert found["images_folder"] == str(voc / "JPEGImages")
    assert found["notes"] == ["images numbered from 1"]
    content = json.loads(out.read_text())
    assert [one["bbox"] for one in content["annotations"][:2]] == [[1, 2, 10, 20], [20, 2, 20, 20]]
    assert [one["ignore"] for one in content["annotations"]] == [0, 1, 0, 1]
    assert not (tmp_path / "images").exists()


def test_one_class_of_it_with_pictures(command, voc, tmp_path):
    out = tmp_path / "copy" / "people.json"
    words = ("convert", voc, "--out", out, "--class", "person", "--copy-images", "--check-images")
    code, printed, err = command(*words)
    assert code == 0, err
    assert "left out car 2" in err and "copy" in printed
    dataset = load_dataset(out)
    assert dataset.class_names == ("person",) and dataset.num_boxes == 2


def test_files_are_not_replaced_unless_asked(command, voc, tmp_path):
    out = tmp_path / "people.json"
    out.write_text("mine")
    code, _, err = command("convert", voc, "--out", out)
    assert code == 2 and "--overwrite" in err and out.read_text() == "mine"
    assert "Read" not in err  # refused before the work
    code, _, err = command("convert", voc, "--out", out, "--overwrite")
    assert code == 0, err
    assert len(load_boxes(out)) == 2


def test_faulty_records_and_missing_pictures(command, voc, tmp_path):
    (voc / "JPEGImages" / "b.png").unlink()
    (voc / "Annotations" / "c.xml").write_text("<annotation>")
    out = tmp_path / "people.json"
    code, _, err = command("convert", voc, "--out", out)
    assert code == 2 and "c.xml" in err and not out.exists()
    code, printed, err = command("convert", voc, "--out", out, "--on-bad-data", "skip", "--json")
    assert code == 0, err
    assert "1 of 2 pictures were not found" in err
    found = json.loads(printed)
    assert found["skipped"] == 1 and found["images_without_picture"] == 1
    words = ("convert", voc, "--out", out, "--on-bad-data", "skip", "--check-images", "--overwrite")
    code, printed, err = command(*words, "--json")
    assert code == 0 and json.loads(printed)["images"] == 1


def test_another_format_is_refused(command, voc, tmp_path):
    code, _, err = command("convert", voc, "--to", "yolo", "--out", tmp_path / "x.json")
    assert code == 2 and "coco" in err
    code, _, err = command("convert", voc, "--out", tmp_path / "x.txt")
    assert code == 2 and ".json" in err
