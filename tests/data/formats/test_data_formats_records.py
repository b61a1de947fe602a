"""Names of image files, and records as messages show them."""

from keras_hkd.data.formats.records import BoxRecord, ImageRecord, without_suffix


def test_only_image_suffixes_are_taken_off():
    assert without_suffix("a/b.JPG") == "a/b"
    assert without_suffix("set06.v1") == "set06.v1"


def test_places_in_a_file():
    assert BoxRecord("line 3", 0, ()).place == "line 3"
    assert BoxRecord(4, 0, ()).place == "annotations[4]"
    assert BoxRecord(4, 0, (), id="x").place == "annotations[4] (id 'x')"


def test_an_image_may_be_in_several_splits():
    assert ImageRecord("f", "r", 1, "a.png").splits == ()
    assert ImageRecord("f", "r", 1, "a.png", split="val").splits == ("val",)
    assert ImageRecord("f", "r", 1, "a.png", split=("val", "test")).splits == ("val", "test")
