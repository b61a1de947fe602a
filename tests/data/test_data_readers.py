"""Properties of every reader: what was written is read; damage is read or refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.loading import load_dataset

SIZE_RANGE = st.integers(8, 40)


@st.composite
def boxes_inside(draw, width, height):
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return (left, top, draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height)))


@st.composite
def scenes(draw):
    """One to three images: (width, height, [(xyxy in whole pixels, ignore)])."""
    images = []
    for _ in range(draw(st.integers(1, 3))):
        width, height = draw(SIZE_RANGE), draw(SIZE_RANGE)
        box = st.tuples(boxes_inside(width, height), st.booleans())
        images.append((width, height, draw(st.lists(box, max_size=4))))
    return images


def xywh(box):
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def save_images(folder, images):
    folder.mkdir(parents=True, exist_ok=True)
    for index, (width, height, _) in enumerate(images):
        Image.new("RGB", (width, height)).save(folder / f"x_{index}.png")


def save_text(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def coco_content(images, name_key="file_name"):
    annotations = []
    for index, (_, _, boxes) in enumerate(images):
        for box, ignore in boxes:
            record = {"image_id": index, "category_id": 1, "bbox": xywh(box), "ignore": int(ignore)}
            annotations.append({"id": len(annotations), **record})
    records = [
        {"id": i, name_key: f"x_{i}.png", "width": width, "height": height}
        for i, (width, height, _) in enumerate(images)
    ]
    categories = [{"id": 1, "name": "person"}]
    return {"images": records, "categories": categories, "annotations": annotations}


def write_coco(folder, images):
    save_images(folder / "images", images)
    return [save_text(folder / "annotations.json", json.dumps(coco_content(images)))]


def write_evaluation_json(folder, images):
    save_images(folder / "images", images)
    return [save_text(folder / "val_gt.json", json.dumps(coco_content(images, "im_name")))]


def write_voc(folder, images):
    save_images(folder / "JPEGImages", images)
    files = []
    for index, (width, height, boxes) in enumerate(images):
        objects = "".join(
            f"<object><name>person</name><difficult>{int(ignore)}</difficult><bndbox>"
            f"<xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
            "</bndbox></object>"
            for (x1, y1, x2, y2), ignore in boxes
        )
        text = (
            f"<annotation><filename>x_{index}.png</filename><size><width>{width}</width>"
            f"<height>{height}</height><depth>3</depth></size>{objects}</annotation>"
        )
        files.append(save_text(folder / "Annotations" / f"x_{index}.xml", text))
    return files


def write_yolo(folder, images):
    save_images(folder / "images", images)
    files = [save_text(folder / "data.yaml", "names:\n  0: person\n")]
    for index, (width, height, boxes) in enumerate(images):
        lines = [
            f"0 {(x1 + x2) / 2 / width} {(y1 + y2) / 2 / height} "
            f"{(x2 - x1) / width} {(y2 - y1) / height}"
            for (x1, y1, x2, y2), _ in boxes
        ]
        files.append(save_text(folder / "labels" / f"x_{index}.txt", "\n".join(lines)))
    return files


def write_penn_fudan(folder, images):
    save_images(folder / "PNGImages", images)
    files = []
    for index, (width, height, boxes) in enumerate(images):
        lines = [
            "# Compatible with PASCAL Annotation Version 1.00",
            f'Image filename : "PennFudanPed/PNGImages/x_{index}.png"',
            f"Image size (X x Y x C) : {width} x {height} x 3",
            f"Objects with ground truth : {len(boxes)} {{ }}",
        ]
        for number, ((x1, y1, x2, y2), _) in enumerate(boxes, start=1):
            lines.append(
                f'Bounding box for object {number} "PASpersonWalking" (Xmin, Ymin) - (Xmax, Ymax)'
                f" : ({x1 + 1}, {y1 + 1}) - ({x2}, {y2})"
            )
        files.append(save_text(folder / "Annotation" / f"x_{index}.txt", "\n".join(lines)))
    return files


def write_caltech(folder, images):
    save_images(folder / "images", images)
    files = []
    for index, (_, _, boxes) in enumerate(images):
        lines = ["% bbGt version=3"]
        for box, ignore in boxes:
            x, y, w, h = xywh(box)
            lines.append(f"person {x} {y} {w} {h} 0 0 0 0 0 {int(ignore)} 0")
        files.append(save_text(folder / "annotations" / f"x_{index}.txt", "\n".join(lines)))
    return files


def write_mat(folder, images):
    from scipy.io import savemat

    save_images(folder / "images", images)
    cells = np.empty((1, len(images)), dtype=object)
    for index, (_, _, boxes) in enumerate(images):
        rows = [
            [0 if ignore else 1, *xywh(box), number, *xywh(box)]
            for number, (box, ignore) in enumerate(boxes)
        ]
        bbs = np.array(rows, np.uint16).reshape(-1, 10)
        cells[0, index] = {"cityname": "x", "im_name": f"x_{index}.png", "bbs": bbs}
    savemat(folder / "anno_val.mat", {"anno_val_aligned": cells})
    return [folder / "anno_val.mat"]


FORMATS = {
    "coco": ("coco", write_coco),
    "voc": ("voc", write_voc),
    "yolo": ("yolo", write_yolo),
    "penn_fudan": ("pennfudan", write_penn_fudan),
    "caltech": ("caltech", write_caltech),
    "evaluation_json": ("citypersons", write_evaluation_json),
    "mat": ("citypersons", write_mat),
}
KEEPS_NO_IGNORE = ("yolo", "penn_fudan")
each_format = pytest.mark.parametrize("name", FORMATS)


def fresh(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@each_format
@settings(max_examples=15)
@given(images=scenes())
def test_what_was_written_is_read(name, images, tmp_path_factory):
    format, write = FORMATS[name]
    folder = fresh(tmp_path_factory)
    write(folder, images)
    dataset = load_dataset(folder, check_images=name != "mat")  # .mat files state 2048 x 1024
    assert dataset.format == format
    assert len(dataset) == len(images)
    for annotation, (width, height, boxes) in zip(dataset, images, strict=True):
        if name != "mat":
            assert (annotation.width, annotation.height) == (width, height)
        expected = np.array([box for box, _ in boxes], np.float64).reshape(-1, 4)
        np.testing.assert_allclose(annotation.boxes, expected, atol=1e-9)
        np.testing.assert_allclose(annotation.visible_boxes, expected, atol=1e-9)
        assert annotation.classes.tolist() == [0] * len(boxes)
        if name not in KEEPS_NO_IGNORE:
            assert annotation.ignore.tolist() == [ignore for _, ignore in boxes]


TOKENS = st.sampled_from(
    ["", "nan", "NaN", "-1", "0", "1e999", "1" * 5000, "null", "true", "[", "]", "{", "}", '"', "<"]
    + ["</object>", "\x00", "\ud7ff", "1 2", "-", "x", ",", "\n", "person", "&a;", "[[[[", "1.5"]
) | st.text(max_size=5)
EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 40), TOKENS, st.booleans()), min_size=1, max_size=4
)
EXAMPLE = [(30, 20, [((2, 3, 12, 18), False), ((5, 1, 30, 20), True)]), (16, 24, [])]


def edited(text, edits):
    for place, length, token, cut in edits:
        start = int(place * len(text))
        text = text[:start] + token + ("" if cut and length > 35 else text[start + length :])
    return text


def reads_or_refuses(folder, format):
    """Load in both ways; whatever is read must be sound."""
    for on_bad_data in ("raise", "skip"):
        try:
            dataset = load_dataset(
                folder, format=format, on_bad_data=on_bad_data, check_images=False
            )
        except BadDataError as error:
            assert error.file and error.record and error.problem
            continue
        if on_bad_data == "raise":
            assert not dataset.skipped
        assert len({annotation.image_id for annotation in dataset}) == len(dataset) > 0
        for annotation in dataset:
            assert_sound(annotation, inside=format not in ("caltech", "citypersons"))


def assert_sound(annotation, inside):
    boxes, visible = annotation.boxes, annotation.visible_boxes
    assert annotation.width > 0 and annotation.height > 0
    assert np.isfinite(boxes).all() and np.isfinite(visible).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all() and (visible[:, 2:] >= visible[:, :2]).all()
    assert (annotation.classes == 0).all()
    if inside:  # as annotated, which may reach beyond the picture but not lie beside it
        assert (boxes[:, 2:] > 0).all()
        assert (boxes[:, :2] < [annotation.width, annotation.height]).all()


@each_format
@settings(max_examples=60)
@given(edits=EDITS, which=st.integers(0, 10))
def test_damaged_text_is_read_or_refused(name, edits, which, tmp_path_factory):
    format, write = FORMATS[name]
    folder = fresh(tmp_path_factory)
    files = write(folder, EXAMPLE)
    file = files[which % len(files)]
    text = edited(file.read_bytes().decode("latin-1"), edits)
    file.write_bytes(text.encode("utf-8" if name != "mat" else "latin-1", errors="replace"))
    reads_or_refuses(folder, format)


@each_format
@settings(max_examples=25)
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_content_is_read_or_refused(name, content, tmp_path_factory):
    format, write = FORMATS[name]
    folder = fresh(tmp_path_factory)
    for file in write(folder, EXAMPLE):
        file.write_bytes(content)
    reads_or_refuses(folder, format)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, 0, 1, -1, "", "person", "x_0.png", "\x00"])
    | st.floats()
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


def places(content, path=()):
    """Every place in a JSON tree, as a path of keys."""
    yield path
    if isinstance(content, dict):
        for key, value in content.items():
            yield from places(value, (*path, key))
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from places(value, (*path, index))


def changed(content, path, value, delete):
    if not path:
        return value
    target = content
    for key in path[:-1]:
        target = target[key]
    if delete:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return content


@pytest.mark.parametrize("name", ["coco", "evaluation_json"])
@settings(max_examples=200)
@given(data=st.data(), value=JSON_VALUES, delete=st.booleans())
def test_changed_json_is_read_or_refused(name, data, value, delete, tmp_path_factory):
    format, write = FORMATS[name]
    folder = fresh(tmp_path_factory)
    (file,) = write(folder, EXAMPLE)
    content = json.loads(file.read_text())
    path = data.draw(st.sampled_from(list(places(content))))
    file.write_text(json.dumps(changed(content, path, value, delete)))
    reads_or_refuses(file, format)


@settings(max_examples=60)
@given(value=JSON_VALUES)
def test_any_yaml_names_are_read_or_refused(value, tmp_path_factory):
    folder = fresh(tmp_path_factory)
    write_yolo(folder, EXAMPLE)
    (folder / "data.yaml").write_text(json.dumps({"names": value}))
    reads_or_refuses(folder, "yolo")


@pytest.mark.parametrize("text", ["2001-99-99", "? [a]", "!!python/object:a {}", "a: b: c", "*x"])
def test_damaged_yaml_is_refused(text, tmp_path):
    write_yolo(tmp_path, EXAMPLE)
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(BadDataError, match="data.yaml"):
        load_dataset(tmp_path)


def test_the_guide_lists_every_format():
    from keras_hkd.data.formats import readers

    guide = Path(__file__).resolve().parents[2] / "docs" / "guides" / "label-formats.md"
    rows = [line.split("|")[2].strip() for line in guide.read_text().splitlines() if "| `" in line]
    assert sorted(row.strip("`") for row in rows) == readers.names()
