"""Pascal VOC: a small file worked out by hand, and each way in which it can be wrong."""

import pytest
from PIL import Image

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.loading import load_dataset

PERSON = """<object><name>person</name><pose>Left</pose><truncated>1</truncated>
<difficult>0</difficult><bndbox><xmin>11</xmin><ymin>6</ymin><xmax>30</xmax><ymax>45</ymax></bndbox>
<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox>
</part></object>"""
HARD = """<object><name>person</name><difficult>1</difficult><bndbox><ymax>50.0</ymax>
<ymin>0</ymin><xmin>90.5</xmin><xmax>120</xmax></bndbox></object>"""
CAR = "<object><name>car</name><bndbox><xmin>x</xmin></bndbox></object>"
SIZE = "<size><width>100</width><height>50</height><depth>3</depth></size>"


def stored(folder, name="a", size=SIZE, objects=PERSON + HARD + CAR, top="Annotations"):
    (folder / top).mkdir(exist_ok=True)
    file = folder / top / f"{name}.xml"
    file.write_text(
        f"<annotation><folder>VOC</folder><filename>{name}.jpg</filename>{size}{objects}"
        "</annotation>"
    )
    return file


def load(path, **options):
    return load_dataset(path, **{"check_images": False, **options})


@pytest.mark.parametrize("top", ["Annotations", "annotations", "xml"])
def test_worked_example(tmp_path, top):
    file = stored(tmp_path, top=top)
    for path in (tmp_path, file):
        dataset = load(path)
        (one,) = dataset
        assert dataset.format == "voc" and (one.width, one.height) == (100, 50)
        # corners count from 1, both inside; the second box reaches out of the image
        assert one.boxes.tolist() == [[10, 5, 30, 45], [89.5, -1, 120, 50]]
        assert one.ignore.tolist() == [False, True]
        assert one.image_id in ("a", "xml/a")


def test_images_and_voc_split_lists(tmp_path):
    for name in ("a", "b"):
        stored(tmp_path, name)
    for folder in ("JPEGImages", "ImageSets/Main"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("a", "b"):
        Image.new("RGB", (100, 50)).save(tmp_path / "JPEGImages" / f"{name}.jpg")
    (tmp_path / "ImageSets/Main/val.txt").write_text("b\n")
    assert len(load(tmp_path, check_images=True)) == 2
    (one,) = load(f"{tmp_path}:val", check_images=True)
    assert one.image_path == str(tmp_path / "JPEGImages" / "b.jpg")


@pytest.mark.parametrize("size", ["", SIZE.replace("100", "0")])
def test_a_size_not_stated_comes_from_the_image(tmp_path, size):
    stored(tmp_path, size=size)
    with pytest.raises(BadDataError, match="a.xml: .*do not state its size"):
        load(tmp_path)
    Image.new("RGB", (60, 50)).save(tmp_path / "a.jpg")
    (one,) = load(tmp_path, on_bad_data="skip")
    assert one.width == 60 and len(one.boxes) == 1  # the other box is outside this image


@pytest.mark.parametrize(
    "objects, message",
    [
        (PERSON.replace("<xmin>11", "<xmin>41"), "object 1: .*width above 0: .* Received: -10"),
        (PERSON.replace("<xmin>11", "<xmin>nan"), "object 1: .*finite number"),
        (PERSON.replace("<xmin>11</xmin>", ""), "object 1: .*must be a number. Received: None"),
        (PERSON.replace("bndbox", "box"), "object 1: must have a <bndbox>"),
        (PERSON.replace("<name>person</name>", ""), "object 1: an object's name must be text"),
        (PERSON.replace("<difficult>0", "<difficult>yes"), "object 1: difficult must be 0 or 1"),
        (
            PERSON.replace("<xmax>30", "<xmax>300").replace("<xmin>11", "<xmin>200"),
            "wholly outside",
        ),
    ],
)
def test_bad_objects_raise_or_are_skipped(tmp_path, objects, message):
    stored(tmp_path, objects=objects + HARD)
    with pytest.raises(BadDataError, match=f"a.xml: {message}|a.xml: .*{message}"):
        load(tmp_path)
    dataset = load(tmp_path, on_bad_data="skip")
    assert dataset.num_boxes == 1 and len(dataset.skipped) == 1


@pytest.mark.parametrize(
    "content, message",
    [
        ("<annotation><object>", "expected valid XML"),
        ("", "expected valid XML"),
        ("<html></html>", "expected the VOC element <annotation>. Received: <'html'>"),
        (f"<annotation>{SIZE.replace('100', '-4')}</annotation>", "width must be a whole number"),
        ("<annotation><filename>a.jpg</filename></annotation>", "'a.jpg' again"),
    ],
)
def test_a_bad_file_is_a_bad_image(tmp_path, content, message):
    stored(tmp_path)
    (tmp_path / "Annotations" / "b.xml").write_text(content)
    with pytest.raises(BadDataError, match=f"b.xml: the whole file: .*{message}"):
        load(tmp_path)
    dataset = load(tmp_path, on_bad_data="skip")
    assert len(dataset) == 1 and len(dataset.skipped) == 1


def test_without_the_wanted_class_the_classes_there_are_named(tmp_path):
    stored(tmp_path, objects=CAR)
    with pytest.raises(BadDataError, match="categories: .*Received: only car"):
        load(tmp_path)


@pytest.mark.parametrize(
    "encoding, word",
    [("gb2312", "街道"), ("GBK", "街道"), ("shift_jis", "歩行者"), ("big5", "街道")]
    + [
        ("euc-kr", "보행자"),
        ("windows-1251", "улица"),
        ("ISO-8859-1", "Straße"),
        ("utf-16", "街道"),
    ],
)
def test_a_file_is_decoded_as_it_declares(tmp_path, encoding, word):
    file = stored(tmp_path)
    text = file.read_text().replace("<folder>VOC", f"<folder>{word}")
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n' + text.replace("a.jpg", f"{word}.jpg")
    file.write_bytes(text.encode(encoding))
    (one,) = load(tmp_path)
    assert one.num_boxes == 2 and one.name == f"{word}.jpg"


@pytest.mark.parametrize("declared, written", [("klingon", "utf-8"), ("gb2312", "utf-16")])
def test_a_file_of_another_encoding_is_bad(tmp_path, declared, written):
    file = stored(tmp_path)
    text = f'<?xml version="1.0" encoding="{declared}"?>' + file.read_text()
    file.write_bytes(text.encode(written))
    with pytest.raises(BadDataError, match="expected valid XML"):
        load(tmp_path)


def test_pictures_beside_their_files_in_a_folder_for_each_split(tmp_path):
    for split in ("train", "valid"):
        stored(tmp_path, top=split)
        Image.new("RGB", (100, 50)).save(tmp_path / split / "a.jpg")
    assert [one.image_id for one in load(tmp_path, check_images=True)] == ["train/a", "valid/a"]
    (one,) = load(f"{tmp_path}:val", check_images=True)
    assert one.image_path == str(tmp_path / "valid" / "a.jpg")


@pytest.mark.parametrize("written", ["a", "a.jpg", "A.JPEG", "C:\\\\photos\\\\a.jpg", ""])
def test_pictures_under_other_forms_of_the_name(tmp_path, written):
    file = stored(tmp_path)
    file.write_text(file.read_text().replace("a.jpg", written.replace("\\\\", "\\")))
    (tmp_path / "images").mkdir()
    Image.new("RGB", (100, 50)).save(tmp_path / "images" / "a.JPG")
    (one,) = load(tmp_path, check_images=True)
    assert one.image_path == str(tmp_path / "images" / "a.JPG")


def test_a_name_longer_than_a_file_system_takes_is_a_picture_that_is_not_there(tmp_path):
    stored(tmp_path)
    file = tmp_path / "Annotations" / "a.xml"
    file.write_text(file.read_text().replace("a.jpg", "x" * 5000 + ".jpg"))
    with pytest.raises(BadDataError, match="image"):
        load(tmp_path, check_images=True)
    assert len(load(tmp_path)) == 1
