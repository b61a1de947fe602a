"""Pedestrian benchmarks as they are downloaded: one image each, a person and an ignore region."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.loading import load_dataset

SIZE = (128, 64)
EURO = {
    "identity": "frame",
    "imagewidth": 128,
    "imageheight": 64,
    "children": [
        {"identity": "pedestrian", "x0": 10, "y0": 8, "x1": 22, "y1": 38, "tags": ["occluded>40"]},
        {"identity": "rider", "x0": 60, "y0": 8, "x1": 75, "y1": 40, "children": []},
        {"identity": "bicycle", "x0": 60, "y0": 8, "x1": 75, "y1": 40},
    ],
}
CROWD = {
    "ID": "27,1a",
    "gtboxes": [
        {"tag": "person", "fbox": [10, 8, 12, 30], "vbox": [10, 8, 12, 15], "extra": {"occ": 0}},
        {"tag": "mask", "fbox": [60, 8, 15, 32], "extra": {"ignore": 1}},
    ],
}
BDD = [
    {
        "name": "a.png",
        "labels": [
            {"category": "pedestrian", "box2d": {"x1": 10, "y1": 8, "x2": 22, "y2": 38}},
            {"category": "rider", "box2d": {"x1": 60, "y1": 8, "x2": 75, "y2": 40}},
            {"category": "lane", "poly2d": []},
        ],
    }
]
OPEN = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,"
    "IsDepiction,IsInside\n"
    "a,x,/m/04yx4,1,0.078125,0.171875,0.125,0.59375,-1,-1,-1,0,0\n"
    "a,x,/m/01g317,1,0.46875,0.5859375,0.125,0.625,0,0,1,0,0\n"
)
CITY = {
    "imgHeight": 64,
    "imgWidth": 128,
    "objects": [
        {"bbox": [10, 8, 12, 30], "bboxVis": [10, 8, 12, 15], "label": "pedestrian"},
        {"bbox": [60, 8, 15, 32], "bboxVis": [60, 8, 15, 32], "label": "rider"},
    ],
}
KITTI = (
    "Pedestrian 0.00 1 -0.20 10.00 8.00 22.00 38.00 1.89 0.48 1.20 1.84 1.47 8.41 0.01\n"
    "DontCare -1 -1 -10 60.00 8.00 75.00 40.00 -1 -1 -1 -1000 -1000 -1000 -10\n"
)
# format: (picture, annotation file, its text, visible share of the person, level of occlusion)
BENCHMARKS = {
    "crowdhuman": ("Images/27,1a.jpg", "annotation_val.odgt", json.dumps(CROWD), 0.5, None),
    "widerperson": ("Images/4.jpg", "Annotations/4.jpg.txt", "2\n1 10 8 22 38\n4 60 8 75 40\n")
    + (1, None),
    "kitti": ("training/image_2/01.png", "training/label_2/01.txt", KITTI, 1, 1),
    "visdrone": (
        "images/d_1.jpg",
        "annotations/d_1.txt",
        "10,8,12,30,1,2,0,1\n60,8,15,32,0,0,0,0\n",
    )
    + (1, 1),
    "mot": (
        "M-02/img1/000001.jpg",
        "M-02/gt/gt.txt",
        "1,1,10,8,12,30,1,1,0.4\n1,2,60,8,15,32,0,8,1\n",
    )
    + (0.4, None),
    "eurocity": ("img/val/roma/r_1.png", "labels/val/roma/r_1.json", json.dumps(EURO), 0.6, None),
    "bdd100k": ("images/100k/val/a.png", "det_val.json", json.dumps(BDD), 1, None),
    "openimages": ("images/a.jpg", "validation-annotations-bbox.csv", OPEN, 1, None),
    "citypersons": (
        "leftImg8bit/val/ulm/ulm_0_1_leftImg8bit.png",
        "gtBboxCityPersons/val/ulm/ulm_0_1_gtBboxCityPersons.json",
        json.dumps(CITY),
        0.5,
        None,
    ),
}
each = pytest.mark.parametrize("format", BENCHMARKS)


def written(folder, format, text=None, size=SIZE):
    picture, name, content, *_ = BENCHMARKS[format]
    for path in (picture, name):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(folder / picture)
    (folder / name).write_text(content if text is None else text)
    return folder / name


@each
def test_worked_example(tmp_path, format):
    file = written(tmp_path / "set", format)
    *_, share, occlusion = BENCHMARKS[format]
    for source in (tmp_path / "set", file):
        dataset = load_dataset(source)
        (one,) = dataset
        assert dataset.format == format and not dataset.skipped
        assert one.boxes.tolist() == [[10, 8, 22, 38], [60, 8, 75, 40]]
        assert one.ignore.tolist() == [False, True]
        assert (one.width, one.height) == SIZE
        if share != 1:
            boxes, visible = one.boxes[0], one.visible_boxes[0]
            areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (boxes, visible)]
            found = areas[1] / areas[0] if one.visibility is None else one.visibility[0]
            assert found == pytest.approx(share)
        if occlusion is not None:
            assert one.occlusion[0] == occlusion


WRONG = {
    "crowdhuman": ('{"ID": "b", "gtboxes": [{"tag": 5}]}', "tag must be text"),
    "widerperson": ("1\n1 10 8 22\n", "must be: class x1 y1 x2 y2"),
    "kitti": (KITTI + "Pedestrian 0 0 1\n", "must be a type and 14 numbers"),
    "visdrone": ("10,8,12,30,1,1,0,0\n1,2,3\n", "8 numbers"),
    "mot": ("1,1,10,8,12,30,1,1,1\n1,2\n", "must be frame,track"),
    "eurocity": (json.dumps({**EURO, "children": [{"identity": 3}]}), "identity must be text"),
    "bdd100k": (
        json.dumps([{"name": "a.png", "labels": [{"box2d": {}}]}]),
        "category must be text",
    ),
    "openimages": (OPEN + "a,x\n", "LabelName must be text"),
    "citypersons": (json.dumps({**CITY, "objects": [{}]}), "label must be text"),
}


@each
def test_bad_records_raise_or_are_skipped(tmp_path, format):
    text, message = WRONG[format]
    file = written(tmp_path, format, text)
    if format == "crowdhuman":
        Image.new("RGB", SIZE).save(tmp_path / "Images" / "b.jpg")
    with pytest.raises(BadDataError, match=message):
        load_dataset(file, format=format)
    assert len(load_dataset(file, format=format, on_bad_data="skip").skipped) == 1


def test_a_sequence_has_frames_without_people_too(tmp_path):
    file = written(tmp_path, "mot")
    (tmp_path / "M-02" / "seqinfo.ini").write_text(
        "[Sequence]\nimDir=img1\nimExt=.jpg\nseqLength=2\nimWidth=128\nimHeight=64\n"
    )
    dataset = load_dataset(file, check_images=False)
    assert [one.num_boxes for one in dataset] == [2, 0]
    assert [one.image_id for one in dataset] == ["M-02/000001", "M-02/000002"]


@each
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_content_is_read_or_refused(format, content, tmp_path_factory):
    file = written(tmp_path_factory.mktemp("set"), format)
    file.write_bytes(content)
    for on_bad_data in ("raise", "skip"):
        try:
            load_dataset(file, format=format, on_bad_data=on_bad_data, check_images=False)
        except BadDataError as error:
            assert error.problem


@each
@given(
    place=st.floats(0, 1), token=st.sampled_from(["", "nan", "-1", "x", "{", "[", '"', "9" * 400])
)
def test_damaged_text_is_read_or_refused(format, place, token, tmp_path_factory):
    text = BENCHMARKS[format][2]
    start = int(place * len(text))
    file = written(tmp_path_factory.mktemp("set"), format, text[:start] + token + text[start + 1 :])
    for on_bad_data in ("raise", "skip"):
        try:
            load_dataset(file, format=format, on_bad_data=on_bad_data, check_images=False)
        except BadDataError as error:
            assert error.problem
