import numpy as np
import pytest
from PIL import Image

from keras_hkd.report import save_batch_sheet

LABEL, IGNORED = (46, 204, 64), (150, 150, 150)


def batch(classes, **more):
    labels = {"boxes": np.array([[[8.0, 8, 40, 56], [-1, -1, -1, -1]]]), **more}
    return np.zeros((1, 64, 64, 3), np.float32), {**labels, "classes": np.array([classes])}


def colours(path):
    pixels = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3)
    return {colour: int((pixels == colour).all(axis=1).sum()) for colour in (LABEL, IGNORED)}


def test_labels_are_drawn_and_what_is_ignored_is_grey(tmp_path):
    sheet = tmp_path / "new" / "sheet.png"
    save_batch_sheet([batch([0.0, -1.0])], sheet, tile_height_px=64)
    only_label = colours(sheet)
    # A rectangle of 32 by 48 pixels, two pixels wide.
    assert only_label[LABEL] == pytest.approx(2 * 2 * (33 + 49) - 16, abs=8)
    assert only_label[IGNORED] < 50
    regions = {"ignore_boxes": np.array([[[2.0, 2, 20, 20], [-1, -1, -1, -1]]])}
    save_batch_sheet([batch([0.0, -1.0], **regions)], sheet, tile_height_px=64)
    assert colours(sheet)[IGNORED] > only_label[IGNORED] + 50


def test_only_the_first_batches_are_drawn(tmp_path):
    def endless():
        while True:
            yield batch([0.0, -1.0])

    one = save_batch_sheet(endless(), tmp_path / "1.png", num_batches=1, tile_height_px=64)
    three = save_batch_sheet(endless(), tmp_path / "3.png", num_batches=3, tile_height_px=64)
    assert colours(three)[LABEL] == 3 * colours(one)[LABEL]


def test_a_classifiers_batch_has_no_box(tmp_path):
    images, labels = np.zeros((2, 64, 64, 3), np.float32), {"classes": np.array([0, 1])}
    assert colours(save_batch_sheet([(images, labels)], tmp_path / "c.png"))[LABEL] == 0


def test_no_batch_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one image"):
        save_batch_sheet([], tmp_path / "none.png")
