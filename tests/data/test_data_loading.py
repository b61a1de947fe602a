"""From a dataset argument to a dataset: formats, splits, merging, and the real data."""

import json

import numpy as np
import pytest
from PIL import Image

from keras_hkd.data.annotations import BadDataError, ImageAnnotation
from keras_hkd.data.dataset import Dataset
from keras_hkd.data.loading import load_dataset


def coco_folder(folder, names=("a.png", "b.png"), size=(20, 10)):
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for number, name in enumerate(names, start=1):
        Image.new("RGB", size).save(folder / "images" / name)
        images.append({"id": number, "file_name": name, "width": size[0], "height": size[1]})
        box = {"id": number, "image_id": number, "category_id": 1, "bbox": [1, 2, 5, 6]}
        annotations.append(box)
    content = {
        "images": images,
        "categories": [{"id": 1, "name": "person"}],
        "annotations": annotations,
    }
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


def test_folder_split_and_list(tmp_path):
    day = coco_folder(tmp_path / "day")
    night = coco_folder(tmp_path / "night", ("c.png",))
    (day / "splits").mkdir()
    (day / "splits" / "train.txt").write_text("b.png\n")
    assert len(load_dataset(day)) == 2
    dataset = load_dataset(f"{day}:train")
    assert dataset.source == f"{day}:train" and dataset[0].image_id == 2
    merged = load_dataset([f"{day}:train", night])
    assert [a.file_name for a in merged] == ["b.png", "c.png"]
    assert merged.load_image(1).shape == (10, 20, 3)
    with pytest.raises(BadDataError, match="name each source once"):
        load_dataset([day, f"{day}:train"])


def test_a_path_with_a_colon_is_a_path(tmp_path):
    folder = coco_folder(tmp_path / "street:train")
    assert len(load_dataset(str(folder))) == 2


def test_an_image_folder_without_annotations_is_named(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(BadDataError, match="name the annotation file .* Received: none"):
        load_dataset(tmp_path)
    for source in (tmp_path / "none", f"{tmp_path / 'none'}:train"):
        with pytest.raises(BadDataError, match="expected a folder or file that exists"):
            load_dataset(source)


@pytest.mark.parametrize(
    "options, error, message",
    [
        (
            {"format": "cocoo"},
            ValueError,
            "must be one of .* Did you mean 'coco'.* Received: 'cocoo'",
        ),
        ({"class_names": ()}, ValueError, "one or more different classes"),
        ({"class_names": ("person", "pedestrian")}, ValueError, "one or more different classes"),
        ({"on_bad_data": "stop"}, ValueError, "one of"),
        ({"format": "voc"}, BadDataError, "expected XML files"),
    ],
)
def test_wrong_options_are_refused(tmp_path, options, error, message):
    folder = coco_folder(tmp_path / "day")
    with pytest.raises(error, match=message):
        load_dataset(folder, **options)


def test_wrong_sources_are_refused():
    with pytest.raises(ValueError, match="at least one dataset"):
        load_dataset([])
    with pytest.raises(TypeError, match="a path or a list of paths"):
        load_dataset(None)


def test_bad_images_raise_or_are_skipped(tmp_path):
    folder = coco_folder(tmp_path / "day", ("a.png", "b.png", "c.png", "d.png"))
    (folder / "images" / "b.png").unlink()
    (folder / "images" / "c.png").write_bytes(b"x")
    Image.new("RGB", (10, 20)).save(folder / "images" / "d.png")
    with pytest.raises(BadDataError, match=r"images\[1\] \(b.png\)"):
        load_dataset(folder)
    dataset = load_dataset(folder, on_bad_data="skip")
    assert [a.file_name for a in dataset] == ["a.png"] and len(dataset.skipped) == 3
    unchecked = load_dataset(folder, check_images=False)
    assert len(unchecked) == 4 and unchecked[1].image_path == ""
    (folder / "images" / "a.png").unlink()
    with pytest.raises(BadDataError, match="4 bad records were skipped, the first"):
        load_dataset(folder, on_bad_data="skip")


def test_a_class_name_alone_and_a_synonym(tmp_path):
    folder = coco_folder(tmp_path / "day")
    dataset = load_dataset(folder, class_names="pedestrian")
    assert dataset.class_names == ("pedestrian",) and dataset.num_boxes == 2


@pytest.fixture
def drawn(monkeypatch):
    """Stand in for the drawing of scenes; gives the calls."""
    calls = []

    def synthetic_dataset(num_images, image_size, seed, **scene):
        calls.append((num_images, image_size, scene, seed))
        height, width = image_size
        images = [ImageAnnotation("", i, width, height, [], []) for i in range(num_images)]
        return Dataset(images, ("person",), "drawn", "synthetic")

    monkeypatch.setattr("keras_hkd.data.drawn.scenes.synthetic_dataset", synthetic_dataset)
    return calls


def test_synthetic_sources(drawn):
    source = "synthetic:train?num_images=3&seed=1&height=64&width=96"
    dataset = load_dataset(source)
    assert len(dataset) == 3 and dataset.source == source
    load_dataset(source)
    load_dataset("synthetic:val?num_images=3&seed=1&height=64&width=96")
    load_dataset("synthetic:train?num_images=3&seed=2&height=64&width=96")
    load_dataset("synthetic:train")
    assert drawn[0][:2] == (3, (64, 96)) and drawn[4][:2] == (200, (256, 256))
    assert drawn[0][2] == {"person_height": 0.27, "crowd_chance": 0.3, "mean_things": 3.5}
    load_dataset("synthetic:train?person_height_percent=40&crowd_percent=0&things_percent=40")
    nearer = {"person_height": 0.4, "crowd_chance": 0.0, "mean_things": 1.4}
    assert drawn.pop()[2] == pytest.approx(nearer)
    seeds = [seed for *_, seed in drawn]
    assert seeds[0] == seeds[1] and len(set(seeds)) == 4
    assert all(0 <= seed < 2**31 for seed in seeds)


@pytest.mark.parametrize("query", ["num_image=3", "num_images=x", "seed=-1", "width=0", "height="])
def test_wrong_synthetic_options_are_refused(drawn, query):
    with pytest.raises(BadDataError, match="expected whole numbers for"):
        load_dataset(f"synthetic:train?{query}")
    with pytest.raises(ValueError, match="class person only"):
        load_dataset("synthetic:train", class_names=("car",))
    assert not drawn


@pytest.mark.own_process
def test_readers_load_neither_tensorflow_nor_keras(fresh_python, tmp_path):
    folder = coco_folder(tmp_path / "day")
    code = (
        "import sys; from keras_hkd.data import load_dataset; load_dataset(sys.argv[1]);"
        "print(sorted({'tensorflow', 'keras', 'keras_cv', 'matplotlib'} & set(sys.modules)))"
    )
    assert fresh_python(code, folder) == "[]\n"


@pytest.mark.parametrize(
    "name, num_images, num_boxes, num_ignored",
    [
        ("coco_person", 742, 2676, 49),
        ("coco_person:train", 519, None, None),
        ("coco_person:val", 75, None, None),
        ("coco_person:test", 148, None, None),
        ("coco_person_nc", 609, 2059, 61),
        ("pennfudan", 170, 423, 0),
        ("pennfudan:train", 118, None, None),
        ("pets_s3mf1:test", 107, 620, 0),
    ],
)
def test_real_data_has_the_stated_counts(shared_dir, name, num_images, num_boxes, num_ignored):
    dataset = load_dataset(f"{shared_dir}/data/{name}", check_images=False)
    assert dataset.format == "coco" and len(dataset) == num_images and not dataset.skipped
    assert all(annotation.image_path for annotation in dataset)
    if num_boxes is not None:
        assert dataset.num_boxes == num_boxes
        assert sum(int(annotation.ignore.sum()) for annotation in dataset) == num_ignored


def test_splits_of_real_data_do_not_overlap(shared_dir):
    splits = [f"{shared_dir}/data/coco_person:{name}" for name in ("train", "val", "test")]
    assert len(load_dataset(splits, check_images=False)) == 742


def test_real_images_are_whole(shared_dir):
    dataset = load_dataset(f"{shared_dir}/data/pets_s3mf1")
    pixels = dataset.load_image(3)
    assert pixels.shape == (576, 768, 3) and pixels.dtype == np.uint8


def test_eighty_categories_give_the_person_class_alone(shared_dir):
    file = shared_dir / "data" / "metric_check" / "coco_fake100" / "ground_truth.json.gz"
    dataset = load_dataset(file, check_images=False)
    assert len(dataset) == 100 and {c for a in dataset for c in a.classes.tolist()} == {0}
    everything = load_dataset(file, class_names=("person", "car"), check_images=False)
    assert everything.num_boxes > dataset.num_boxes
