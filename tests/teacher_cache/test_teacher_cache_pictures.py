"""Pictures that were changed in place, under the same names, sizes and labels."""

import json

import numpy as np
import pytest

from keras_hkd import TeacherCache
from keras_hkd.data import Dataset, ImageAnnotation
from keras_hkd.teacher_cache import CacheError, manifest


@pytest.fixture
def photos(tmp_path):
    """Pictures of as many bytes whatever they show."""
    from PIL import Image

    annotations = []
    for number in range(70):
        pixels = np.random.default_rng(number).integers(0, 255, (64, 64, 3)).astype(np.uint8)
        path = tmp_path / f"{number}.bmp"
        Image.fromarray(pixels).save(path)
        box = [[4.0, 8.0, 20.0, 60.0]]
        annotations.append(ImageAnnotation(str(path), number, 64, 64, box, [0]))
    return Dataset(annotations, ("person",), str(tmp_path), "none")


def mirror(photos):
    from PIL import Image, ImageOps

    for one in photos:
        ImageOps.mirror(Image.open(one.image_path)).save(one.image_path)


@pytest.fixture
def detections(photos):
    box = {"category_id": 1, "bbox": [4, 8, 16, 52], "score": 0.9}
    return [{"image_id": one.image_id, **box} for one in photos]


def test_mirrored_pictures_are_refused(photos, detections, tmp_path):
    build = TeacherCache.from_detections
    cache = build(detections, photos, tmp_path / "cache", image_size=(64, 64))
    build(detections, photos, tmp_path / "cache", image_size=(64, 64))
    cache.require_pipeline(photos, (64, 64), None)
    before = photos.content_hash
    mirror(photos)
    assert photos.content_hash == before
    with pytest.raises(CacheError, match=r"of 64 pictures .* 64 have changed since, such as .*bmp"):
        cache.require_pipeline(photos, (64, 64), None)
    with pytest.raises(CacheError, match="made from other pixels"):
        build(detections, photos, tmp_path / "cache", image_size=(64, 64))


def test_a_cache_is_not_completed_with_other_pictures(pair, photos, tmp_path):
    options = {"outputs": ("detections",), "batch_size": 4, "progress": False}
    some = photos.select(range(4))
    cache = TeacherCache.build(pair[0], some, tmp_path / "cache", shard_rows=2, **options)
    cache.shards.path(1).unlink()
    mirror(some)
    with pytest.raises(CacheError, match="made from other pixels"):
        TeacherCache.build(pair[0], some, tmp_path / "cache", **options)


def test_a_cache_that_does_not_say_what_its_pictures_held_is_taken(photos, detections, tmp_path):
    """As those are that were built before caches said it; they go on saying nothing."""
    build = TeacherCache.from_detections
    folder = build(detections, photos, tmp_path / "cache", image_size=(64, 64)).folder
    facts = json.loads((folder / manifest.FACTS).read_text())
    del facts["pictures"]
    (folder / manifest.FACTS).write_text(json.dumps(facts))
    mirror(photos)
    cache = build(detections, photos, folder, image_size=(64, 64))
    cache.require_pipeline(photos, (64, 64), None)
    assert manifest.read_facts(folder)["pictures"] is None
