import gzip
import json

import numpy as np
import pytest

from keras_hkd import Distiller, TeacherCache
from keras_hkd.hierarchies import Boxes, ClassLogits
from keras_hkd.losses import AdaptiveDistillation, GIoU
from keras_hkd.teacher_cache import CacheError

SIZE = {"image_size": (64, 64)}


@pytest.fixture
def found(images):
    """The labels of all images but the first, as another program would report them."""
    return [
        {
            "image_id": image.image_id,
            "category_id": 1,
            "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
            "score": 0.9 - 0.01 * number,
        }
        for image in list(images)[1:]
        for number, box in enumerate(image.boxes.tolist())
    ]


def test_a_file_of_another_program_is_a_teacher(found, images, pair, tmp_path):
    file = tmp_path / "found.json.gz"
    file.write_bytes(gzip.compress(json.dumps(found).encode()))
    cache = TeacherCache.from_detections(file, images, tmp_path / "cache", **SIZE)
    assert cache.report["num_images_without_detection"] == 1
    batches = cache.training_batches(images, batch_size=6, seed=0, augmentation=None)
    pixels, labels = next(iter(batches))
    people, there = labels["boxes"].numpy(), labels["teacher"]["detections"]
    for one, classes, boxes in zip(people, there["classes"], there["boxes"], strict=True):
        boxes = boxes.numpy()[classes.numpy() >= 0]
        if len(boxes):
            distance = np.abs(one[one[:, 0] >= 0][:, None] - boxes[None]).max(-1)
            assert distance.min(axis=1).max() < 0.05
    distiller = Distiller(cache, pair[1], [ClassLogits(AdaptiveDistillation()), Boxes(GIoU())])
    terms = distiller.compute_terms(pixels, labels, pair[1](pixels))
    assert float(terms["class_logits_loss"]) > 0 and float(terms["boxes_loss"]) > 0
    assert distiller.teacher_hash == TeacherCache.load(cache.folder).teacher_hash


def test_other_detections_are_refused_in_the_same_folder(found, images, tmp_path):
    TeacherCache.from_detections(found, images, tmp_path, **SIZE)
    TeacherCache.from_detections(found, images, tmp_path, **SIZE)
    with pytest.raises(CacheError, match="another teacher"):
        TeacherCache.from_detections(found[1:], images, tmp_path, **SIZE)


def test_categories_go_by_what_the_user_says(found, images, tmp_path):
    others = [{**record, "category_id": 17} for record in found]
    with pytest.raises(ValueError, match="none of .* is of an image and a class"):
        TeacherCache.from_detections(others, images, tmp_path / "a", **SIZE)
    names = {17: images.class_names[0]}
    cache = TeacherCache.from_detections(others, images, tmp_path / "b", category_ids=names, **SIZE)
    assert cache.report["num_results_of_other_images_or_classes"] == 0
    with pytest.raises(ValueError, match="must name classes of the dataset"):
        TeacherCache.from_detections(
            others, images, tmp_path / "c", category_ids={1: "zebra"}, **SIZE
        )


@pytest.mark.parametrize(
    "change",
    [
        {"score": 3.5},
        {"score": None},
        {"bbox": [1, 2, 3]},
        {"bbox": [1, 2, -3, 4]},
        {"bbox": [1, 2, float("nan"), 4]},
        {"image_id": [1]},
    ],
)
def test_faulty_records_are_named(found, images, tmp_path, change):
    found[1] = {**found[1], **change}
    with pytest.raises(ValueError, match="detection 1 must be a dict"):
        TeacherCache.from_detections(found, images, tmp_path, **SIZE)


def test_files_of_another_form_are_named(images, tmp_path):
    file = tmp_path / "found.json"
    with pytest.raises(FileNotFoundError, match=r"found\.json"):
        TeacherCache.from_detections(file, images, tmp_path / "cache", **SIZE)
    for content in ("{", '{"images": []}'):
        file.write_text(content)
        with pytest.raises(ValueError, match=r"found\.json: expected a JSON list"):
            TeacherCache.from_detections(file, images, tmp_path / "cache", **SIZE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda image, x, y, w, h: (x / image.width, y / image.height, w / image.width, 0.5), 0),
        (lambda image, x, y, w, h: (x + 500, y, w, h), 0),
        (lambda image, x, y, w, h: (x, y, w, h), None),
    ],
)
def test_how_many_detections_overlap_a_label_is_said(found, images, tmp_path, change, words):
    by_id = {image.image_id: image for image in images}
    changed = [{**one, "bbox": change(by_id[one["image_id"]], *one["bbox"])} for one in found]
    num_labels = sum(len(image.boxes) for image in images)
    if words is None:
        cache = TeacherCache.from_detections(changed, images, tmp_path, **SIZE)
        assert cache.report["num_labels_found"] == cache.report["num_results_on_a_label"]
        assert cache.report["num_labels_found"] == len(found)
    else:
        with pytest.warns(UserWarning, match=f"Only 0 of {num_labels} labelled boxes are overlap"):
            cache = TeacherCache.from_detections(changed, images, tmp_path, **SIZE)
        assert cache.report["num_results_on_a_label"] == 0
    assert cache.report["num_labels"] == num_labels


def test_results_that_are_left_out_are_told(found, images, tmp_path):
    other = [{**one, "image_id": one["image_id"] + 10_000} for one in found[:2]]
    with pytest.warns(UserWarning, match=f"2 of {len(found) + 2} detections are of images that"):
        cache = TeacherCache.from_detections(found + other, images, tmp_path / "a", **SIZE)
    assert cache.report["num_results_of_other_images"] == 2
    other = [{**one, "category_id": 77} for one in found[:1]]
    with pytest.warns(UserWarning, match="1 of .* detections are of categories that"):
        TeacherCache.from_detections(found + other, images, tmp_path / "b", **SIZE)
    chosen = {1: images.class_names[0]}
    TeacherCache.from_detections(found + other, images, tmp_path / "c", category_ids=chosen, **SIZE)
