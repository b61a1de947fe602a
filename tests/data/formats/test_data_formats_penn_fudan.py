"""Penn-Fudan: a small file in the original form, worked out by hand, and ways to be wrong."""

import pytest
from PIL import Image

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.loading import load_dataset

TEXT = """# Compatible with PASCAL Annotation Version 1.00
Image filename : "PennFudanPed/PNGImages/FudanPed00001.png"
Image size (X x Y x C) : 559 x 536 x 3
Database : "The Penn-Fudan-Pedestrian Database"
Objects with ground truth : 2 { "PASpersonWalking" "PASpersonWalking" }
# Note there may be some objects not included in the ground truth list
# Top left pixel co-ordinates : (1, 1)
# Details for pedestrian 1 ("PASpersonWalking")
Original label for object 1 "PASpersonWalking" : "PennFudanPed"
Bounding box for object 1 "PASpersonWalking" (Xmin, Ymin) - (Xmax, Ymax) : (160, 182) - (302, 431)
Pixel mask for object 1 "PASpersonWalking" : "PennFudanPed/PedMasks/FudanPed00001_mask.png"

# Details for pedestrian 2 ("PASpersonWalking")
Original label for object 2 "PASpersonWalking" : "PennFudanPed"
Bounding box for object 2 "PASpersonWalking" (Xmin, Ymin) - (Xmax, Ymax) : (420, 171) - (535, 486)
"""


def stored(folder, text=TEXT, name="FudanPed00001"):
    (folder / "Annotation").mkdir(exist_ok=True)
    file = folder / "Annotation" / f"{name}.txt"
    file.write_text(text)
    return file


def load(path, **options):
    return load_dataset(path, **{"check_images": False, **options})


def test_worked_example(tmp_path):
    file = stored(tmp_path)
    (tmp_path / "PNGImages").mkdir()
    Image.new("RGB", (559, 536)).save(tmp_path / "PNGImages" / "FudanPed00001.png")
    for path in (tmp_path, file):
        dataset = load(path, check_images=True)
        (one,) = dataset
        assert dataset.format == "pennfudan" and one.image_id == "FudanPed00001"
        assert (one.width, one.height) == (559, 536)
        assert one.boxes.tolist() == [[159, 181, 302, 431], [419, 170, 535, 486]]
        assert not one.ignore.any() and not dataset.has_visible_boxes


def test_agrees_with_the_coco_form_of_the_same_image(tmp_path, shared_dir):
    stored(tmp_path)
    (mine,) = load(tmp_path)
    theirs = load_dataset(shared_dir / "data" / "pennfudan", check_images=False)[0]
    assert mine.boxes.tolist() == theirs.boxes.tolist()


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("(302, 431)", "(302, 100)", "line 10: .*height above 0"),
        ("(302, 431)", "(302, x)", "line 10: .*must be a number"),
        ("(302, 431)", "302", "line 10: must be as in: Bounding box"),
        ("(160, 182) - (302, 431)", "(760, 182) - (802, 431)", "line 10: .*wholly outside"),
    ],
)
def test_bad_lines_raise_or_are_skipped(tmp_path, old, new, message):
    stored(tmp_path, TEXT.replace(old, new))
    with pytest.raises(BadDataError, match=f"FudanPed00001.txt: {message}"):
        load(tmp_path)
    dataset = load(tmp_path, on_bad_data="skip")
    assert dataset.num_boxes == 1 and len(dataset.skipped) == 1


@pytest.mark.parametrize(
    "text, message",
    [
        (TEXT[: TEXT.index("# Details for pedestrian 2")], "as many bounding boxes as it says, 2"),
        (TEXT.replace("559", "many"), "Image size must be a whole number"),
        (TEXT.replace("Image size", "Size"), 'must have a line "Image size'),
        (TEXT.replace("Image filename", "File"), 'must have a line "Image filename'),
        (TEXT, "file name must be used once"),
    ],
)
def test_a_bad_file_is_a_bad_image(tmp_path, text, message):
    stored(tmp_path)
    stored(tmp_path, text, "FudanPed00002")
    with pytest.raises(BadDataError, match=f"00002.txt: the whole file: .*{message}"):
        load(tmp_path)
    assert len(load(tmp_path, on_bad_data="skip")) == 1


def test_other_files_are_refused(tmp_path):
    file = stored(tmp_path, "something else")
    with pytest.raises(BadDataError, match="must begin with"):
        load(file, format="pennfudan")
    with pytest.raises(BadDataError, match="expected text files"):
        load(tmp_path, format="penn_fudan")
