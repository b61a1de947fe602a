import types

import numpy as np
import pytest
from PIL import Image

from keras_hkd.report import save_dataset_gallery, save_gallery

GREEN, ORANGE, GREY = (46, 204, 64), (255, 133, 27), (150, 150, 150)
BLACK = np.zeros((120, 200, 3), np.uint8)
NOBODY = {"boxes": np.zeros((0, 4)), "confidence": np.zeros(0)}


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


def has(path, colour):
    return bool((pixels(path) == colour).all(-1).any())


def person(confidence=0.9):
    return {"boxes": np.array([[40.0, 30.0, 60.0, 90.0]]), "confidence": np.array([confidence])}


def test_one_row_per_image_and_one_column_per_detector(tmp_path):
    images = [BLACK, np.zeros((60, 60, 3), np.uint8)]
    columns = {"teacher": [person(), NOBODY], "alone": [NOBODY, NOBODY]}
    path = save_gallery(images, columns, tmp_path / "runs" / "gallery.png", tile_height_px=120)
    sheet = pixels(path)
    assert sheet.shape == (26 + 2 * 126, 2 * 200 + 3 * 6, 3)
    left, right = sheet[26:, :206], sheet[26:, 206:]
    assert (left == GREEN).all(-1).any() and not (right == ORANGE).all(-1).any()


def test_a_box_lies_where_it_was_found(tmp_path):
    path = save_gallery([BLACK], {"truth": [{"boxes": person()["boxes"]}]}, tmp_path / "g.png")
    ys, xs = np.nonzero((pixels(path) == GREEN).all(-1))
    # Tiles are 240 px high here: twice the image; 26 px of heading and 6 px of margin before them.
    assert (xs.min() - 6, ys.min() - 26, xs.max() - 6, ys.max() - 26) == (80, 60, 120, 180)


def test_unsure_boxes_are_left_out(tmp_path):
    column = {"student": [person(0.29)]}
    assert not has(save_gallery([BLACK], column, tmp_path / "a.png"), GREEN)
    assert has(save_gallery([BLACK], column, tmp_path / "b.png", min_confidence=0.2), GREEN)


def test_ignore_regions_are_grey(tmp_path):
    region = {"boxes": person()["boxes"], "ignore": np.array([True])}
    path = save_gallery([BLACK], {"truth": [region]}, tmp_path / "g.png")
    assert has(path, GREY) and not has(path, GREEN)


@pytest.mark.parametrize(
    ("images", "columns", "message"),
    [
        ([], {"a": []}, "at least one image"),
        ([BLACK], {}, "one column"),
        ([BLACK], {"a": [NOBODY, NOBODY]}, "Expected 1 entries.*'a'.*Received: 2"),
    ],
)
def test_refuses_what_does_not_fit(tmp_path, images, columns, message):
    with pytest.raises(ValueError, match=message):
        save_gallery(images, columns, tmp_path / "g.png")


def test_a_dataset_with_coco_results(tmp_path):
    annotation = types.SimpleNamespace(
        image_id="x", boxes=person()["boxes"], ignore=np.array([False])
    )
    empty = types.SimpleNamespace(image_id="y", boxes=np.zeros((0, 4)), ignore=np.zeros(0, bool))

    class Pictures:
        annotations = (annotation, empty, annotation)

        def __len__(self):
            return 3

        def load_image(self, index):
            return BLACK

    results = [{"image_id": "x", "category_id": 1, "bbox": [10, 10, 20, 40], "score": 0.8}]
    path = save_dataset_gallery(Pictures(), {"student": results}, tmp_path / "g.png", num_images=2)
    sheet = pixels(path)
    assert sheet.shape[0] == 26 + 2 * 246
    assert has(path, GREEN) and has(path, ORANGE)
