import shutil
import threading

import numpy as np
import pytest

from keras_hkd import Distiller, TeacherCache
from keras_hkd.data import Augmentation, synthetic_dataset
from keras_hkd.hierarchies import ClassLogits, Pyramid, Region, possible
from keras_hkd.losses import AdaptiveDistillation, FeatureImitation
from keras_hkd.parts import Shard
from keras_hkd.teacher_cache import CacheError, differences, manifest
from keras_hkd.teacher_cache.detections_teacher import DetectionsTeacher
from keras_hkd.teacher_cache.shards import Shards


@pytest.fixture
def copy(cache, tmp_path):
    """A copy of the cache that a test may damage."""
    return shutil.copytree(cache.folder, tmp_path / "copy")


def batch_of(cache, images, epoch, **options):
    batches = cache.training_batches(images, batch_size=4, seed=7, first_epoch=epoch, **options)
    return next(iter(batches))


def test_every_term_equals_that_of_the_live_teacher(cache, pair, images, losses):
    teacher, student = pair
    cached, live = Distiller(cache, student, losses()), Distiller(teacher, student, losses())
    for one, other in zip(cached.projections, live.projections, strict=True):
        one.set_weights(other.get_weights())
    for epoch in (0, 3):
        pixels, labels = batch_of(cache, images, epoch)
        outputs = student(pixels)
        found = cached.compute_terms(pixels, labels, outputs)
        wanted = live.compute_terms(pixels, labels, outputs)
        assert list(found) == list(wanted)
        for name, value in wanted.items():
            assert float(found[name]) == pytest.approx(float(value), rel=1e-3, abs=1e-6), name
    assert cached.teacher_hash == live.teacher_hash
    assert cached.term_names == live.term_names
    assert cache.report["exact"] and max(cache.report["exact"].values()) < 1e-3


def test_epochs_show_the_stored_views_in_turn_whatever_the_order(cache, images):
    def sums(epoch):
        batches = cache.training_batches(images, batch_size=6, seed=7, first_epoch=epoch)
        pixels, labels = next(iter(batches))
        logits = labels["teacher"]["class_logits"]["mean_and_scale"]
        assert len(logits) == 6
        return sorted(np.asarray(pixels).mean(axis=(1, 2, 3)).tolist())

    first, second, third = sums(0), sums(1), sums(2)
    np.testing.assert_allclose(first, third, rtol=1e-5)
    assert not np.allclose(first, second, rtol=1e-3)


def test_another_teacher_or_pipeline_is_refused(cache, pair, images, recipe):
    with pytest.raises(CacheError, match="another teacher"):
        TeacherCache.build(pair[1], images, cache.folder, **recipe)
    for change in ({"views": 3}, {"image_size": (96, 64)}, {"seed": 1}):
        with pytest.raises(CacheError, match="another pipeline"):
            TeacherCache.build(pair[0], images, cache.folder, **{**recipe, **change})
    others = synthetic_dataset(6, image_size=(80, 96), seed=2)
    with pytest.raises(CacheError, match="images and their labels"):
        cache.training_batches(others, batch_size=4, seed=0)
    with pytest.raises(CacheError, match="size of the images"):
        cache.training_batches(images, batch_size=4, seed=0, image_size=(96, 96))
    with pytest.raises(CacheError, match="without augmentation"):
        cache.training_batches(images, batch_size=4, seed=0, augmentation=None)
    with pytest.raises(CacheError, match="the augmentation was"):
        batch_of(cache, images, 0, augmentation=Augmentation(flip=False))


def test_a_damaged_shard_is_refused_and_computed_again(cache, pair, images, recipe, copy):
    path = sorted(copy.glob("shard-*"))[1]
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(CacheError, match="1 of 3 shards are missing or damaged.*00001"):
        TeacherCache.load(copy)
    written = []
    with pytest.MonkeyPatch.context() as patch:
        write = Shards.write
        patch.setattr(Shards, "write", lambda *args: written.append(args[1]) or write(*args))
        again = TeacherCache.build(pair[0], images, copy, **recipe)
    assert written == [1]
    assert again.shards.missing() == []
    values = np.frombuffer(path.read_bytes()[:-32], "<u2")
    there = np.frombuffer((cache.folder / path.name).read_bytes()[:-32], "<u2")
    assert np.mean(values != there) < 0.05  # the same up to the rounding of sums


def test_an_interrupted_build_goes_on(pair, images, recipe, tmp_path):
    write, written = Shards.write, []

    def until_killed(self, number, rows):
        if number:
            raise KeyboardInterrupt
        write(self, number, rows)

    def recorded(self, number, rows):
        written.append(number)
        write(self, number, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shards, "write", until_killed)
        with pytest.raises(KeyboardInterrupt):
            TeacherCache.build(pair[0], images, tmp_path / "new", **recipe)
    with pytest.raises(CacheError, match="not whole: 2 of 3"):
        TeacherCache.load(tmp_path / "new")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shards, "write", recorded)
        TeacherCache.build(pair[0], images, tmp_path / "new", **recipe)
    assert written == [1, 2]
    assert TeacherCache.load(tmp_path / "new").report["num_rows"] == 12


def test_two_builds_of_one_cache_take_turns(pair, images, recipe, tmp_path):
    write, written, others = Shards.write, [], []

    def build():
        return TeacherCache.build(pair[0], images, tmp_path / "new", **recipe)

    def with_another_build_beside(self, number, rows):
        if not others:
            others.append(threading.Thread(target=build))
            others[0].start()
            others[0].join(0.5)
        written.append((threading.current_thread(), number))
        write(self, number, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shards, "write", with_another_build_beside)
        build()
        others[0].join(60)
    assert written == [(threading.main_thread(), number) for number in range(3)]
    assert TeacherCache.load(tmp_path / "new").report["num_rows"] == 12


def test_a_build_that_was_killed_before_it_said_what_it_makes_goes_on(
    pair, images, recipe, tmp_path
):
    (tmp_path / manifest.TEACHER).write_text('{"half')
    (tmp_path / manifest.BASES).write_bytes(b"PK")
    TeacherCache.build(pair[0], images, tmp_path, **recipe)
    assert TeacherCache.load(tmp_path).num_images == 6


@pytest.mark.parametrize(
    "harm",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:40] + bytes([content[40] ^ 1]) + content[41:],
        lambda content: b"",
    ],
    ids=["truncated", "a wrong bit", "empty"],
)
def test_damaged_bases_are_refused(harm, tmp_path):
    mean, axes = np.arange(3.0), np.eye(3)
    bases = {"pyramid/P3": (mean, axes)}
    teacher = DetectionsTeacher(class_names=("person",), image_size=(64, 64))
    manifest.write(tmp_path, {"key": {}}, bases, teacher)
    found = manifest.read_bases(tmp_path / manifest.BASES)
    np.testing.assert_array_equal(found["pyramid/P3"][0], mean)
    file = tmp_path / manifest.BASES
    file.write_bytes(harm(file.read_bytes()))
    with pytest.raises(CacheError, match=r"is damaged: bases.npz. Build it again"):
        manifest.read(tmp_path)


def test_a_folder_of_other_files_is_left_alone(pair, images, recipe, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(CacheError, match="not empty"):
        TeacherCache.build(pair[0], images, tmp_path, **recipe)
    with pytest.raises(CacheError, match="holds no teacher cache"):
        TeacherCache.load(tmp_path)


def test_what_is_not_stored_is_refused(cache, pair):
    with pytest.raises(CacheError, match="Pyramid reads pyramid/P5 of the teacher"):
        Distiller(cache, pair[1], [Pyramid(FeatureImitation())])
    with pytest.raises(ValueError, match="one stored teacher"):
        Distiller([cache, TeacherCache.load(cache.folder)], pair[1], [])
    with pytest.raises(ValueError, match=r"saw images at \(64, 64\)"):
        Distiller(cache, pair[1], [], teacher_image_size=(96, 96))
    Distiller(cache, pair[1], [], teacher_image_size=(64, 64))  # what they were seen at


def test_a_table_says_what_is_stored(cache, pair):
    table = possible(cache, pair[1])
    assert table["ClassLogits"] == (True, "direct") and table["Boxes(GIoU)"].works
    assert not table["Pyramid"].works and "does not hold" in table["Pyramid"].how
    assert not table["CrossHead"].works and "layers of the teacher" in table["CrossHead"].how


def test_a_cache_may_be_one_of_several_teachers(cache, pair):
    from keras_hkd.detectors import build

    other, student = (build("retinanet_micro", image_size=(64, 64), seed=s) for s in (3, 4))
    pyramid = Pyramid(FeatureImitation(), levels=("P3", "P4"))
    for teachers in ([other, cache], [cache, other]):
        Distiller(teachers, student, [pyramid.copy()])
    with pytest.raises(CacheError, match="reads pyramid/P5"):
        Distiller([other, cache], student, [Pyramid(FeatureImitation())])


def test_the_list_of_a_teacher_of_more_classes_holds_those_of_the_images(pair, images, tmp_path):
    from keras_hkd.detectors import build

    names = ("car", "person")
    teacher = build("yolo_v8_micro", image_size=(64, 64), class_names=names, seed=3)
    biases = [v for v in teacher.trainable_variables if v.shape == (2,) and v.name == "bias"]
    assert biases
    for bias in biases:
        bias.assign(bias + np.array([4.0, 0.0], "float32"))  # each car outscores each person
    regions = [Region(FeatureImitation(), levels=("P3",), num_detections=8, score_threshold=0.0)]
    options = {"hierarchies": regions, "views": 1, "num_detections": 16, "batch_size": 6}
    cache = TeacherCache.build(teacher, images, tmp_path / "cache", **options)
    distillers = [Distiller(one, pair[1], [regions[0].copy()]) for one in (cache, teacher)]
    for one, other in zip(*(d.projections for d in distillers), strict=True):
        one.set_weights(other.get_weights())
    pixels, labels = batch_of(cache, images, 0)
    classes = np.asarray(labels["teacher"]["detections"]["classes"])
    assert (classes == 1).any(axis=1).all() and not (classes == 0).any()
    outputs = pair[1](pixels)
    cached, live = (d.compute_terms(pixels, labels, outputs)["region_loss"] for d in distillers)
    assert float(cached) == pytest.approx(float(live), rel=1e-3)


def test_batches_without_the_teacher_are_refused(cache, pair, images):
    distiller = Distiller(cache, pair[1], [ClassLogits(AdaptiveDistillation())])
    pixels, labels = batch_of(cache, images, 0)
    del labels["teacher"]
    with pytest.raises(ValueError, match=r"cache\.training_batches"):
        distiller.compute_terms(pixels, labels, pair[1](pixels))


def test_the_configuration_names_the_folder(cache, pair):
    distiller = Distiller(cache, pair[1], [ClassLogits(AdaptiveDistillation())])
    assert distiller.get_config()["teacher"]["config"] == {"folder": str(cache.folder)}


def test_replay_moves_boxes_and_reports_how_far_it_is_off(pair, images, tmp_path, monkeypatch):
    monkeypatch.setattr(differences, "LEAST_SCORE", 0.0)  # what random weights say counts too
    replay = TeacherCache.build(pair[0], images, tmp_path, mode="replay", batch_size=4)
    figures = replay.report["replay"]
    assert figures["num_live_detections"] > 0
    assert 0 < figures["found_again"] <= 1 and 0 < figures["confirmed"] <= 1
    assert 0.5 <= figures["mean_iou"] <= 1 and 0 <= figures["mean_score_difference"] < 0.1
    distiller = Distiller(replay, pair[1], [ClassLogits(AdaptiveDistillation())])
    pixels, labels = batch_of(replay, images, 0, augmentation=Augmentation())
    found = distiller.compute_terms(pixels, labels, pair[1](pixels))
    assert np.isfinite(float(found["class_logits_loss"]))
    with pytest.raises(ValueError, match="all that is known of the teacher"):
        Distiller(replay, pair[1], [Pyramid(FeatureImitation())])


def test_detections_of_each_view_serve_predictions_alone(pair, images, tmp_path):
    small = TeacherCache.build(
        pair[0], images, tmp_path, outputs=("detections",), views=1, batch_size=4
    )
    assert small.row_format.row_bytes == 1400
    distiller = Distiller(small, pair[1], [ClassLogits(AdaptiveDistillation())])
    pixels, labels = batch_of(small, images, 0)
    found = distiller.compute_terms(pixels, labels, pair[1](pixels))
    assert np.isfinite(float(found["class_logits_loss"]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "live"}, "`mode` must be"),
        ({"mode": "replay", "views": 2}, "leave out `views`"),
        ({"mode": "replay", "outputs": ("pyramid",)}, "Replay holds detections only"),
        ({"augmentation": Augmentation()}, "views=1 or more"),
        ({"hierarchies": [], "outputs": ()}, "not both"),
        ({"batch_size": 0}, "`batch_size`"),
    ],
)
def test_options_that_do_not_go_together_are_refused(pair, images, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        TeacherCache.build(pair[0], images, tmp_path, **options)


def test_scores_of_a_larger_teacher_of_other_anchors_and_classes(pair, images, tmp_path):
    """Weighing cells needs the student's classes, the teacher's anchors, and maps resized alike."""
    from keras_hkd.detectors import build

    classes = ("rider", *images.class_names)
    teacher = build("retinanet_micro", image_size=(64, 64), seed=1, class_names=classes)
    large = {"teacher_image_size": (96, 128)}

    def terms(**options):
        return [Pyramid(FeatureImitation(), levels=("P3", "P4"), **options)]

    made = {"image_size": (64, 64), "batch_size": 4, **large}
    at_scores = terms(at="teacher_scores")
    cache = TeacherCache.build(teacher, images, tmp_path / "a", hierarchies=at_scores, **made)
    student = pair[1]
    cached = Distiller(cache, student, terms(at="teacher_scores"))
    live = Distiller(teacher, student, terms(at="teacher_scores"), **large)
    for ours, theirs in zip(live.projections, cached.projections, strict=True):
        ours.set_weights(theirs.get_weights())
    x, labels = batch_of(cache, images, 0)
    found, expected = (
        float(distiller.compute_terms(x, labels, student(x), False)["pyramid_loss"])
        for distiller in (cached, live)
    )
    assert found == pytest.approx(expected, rel=1e-3)
    without = TeacherCache.build(teacher, images, tmp_path / "b", hierarchies=terms(), **made)
    with pytest.raises(ValueError, match="class_logits"):
        Distiller(without, student, terms(at="teacher_scores"))


@pytest.mark.parametrize("mixing", [{"mosaic": 0.5}, {"copy_paste": 0.1}, {"sizes": (32, 64)}])
def test_pictures_of_several_images_are_refused_and_old_keys_hold(cache, images, mixing):
    with pytest.raises(CacheError, match="single images at one size.*Received: {"):
        cache.training_batches(images, batch_size=4, seed=0, augmentation=Augmentation(**mixing))
    assert not {"mosaic", "mixup", "copy_paste", "sizes"} & set(cache.key["augmentation"])


def test_four_shards_are_one_build_byte_for_byte(pair, images, recipe, tmp_path):
    recipe = {**recipe, "shard_rows": 3}
    TeacherCache.build(pair[0], images, tmp_path / "one", **recipe)
    for number in (3, 1, 4, 2):
        shard = Shard(number, 4)
        part = TeacherCache.build(pair[0], images, tmp_path / "four", shard=shard, **recipe)
        assert part.report is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shards, "write", None)  # all of it is there
        TeacherCache.build(pair[0], images, tmp_path / "four", **recipe)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert sum(name.startswith("shard-") for name in names) == 4
    assert names == sorted(path.name for path in (tmp_path / "four").iterdir())
    for name in names:
        assert (tmp_path / "four" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()


def test_a_killed_shard_goes_on_and_leaves_the_others_alone(pair, images, recipe, tmp_path):
    recipe = {**recipe, "shard_rows": 2, "shard": Shard(2, 2)}
    write, written = Shards.write, []

    def until_killed(self, number, rows):
        if len(written) == 1:
            raise KeyboardInterrupt
        written.append(number)
        write(self, number, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shards, "write", until_killed)
        with pytest.raises(KeyboardInterrupt):
            TeacherCache.build(pair[0], images, tmp_path / "new", **recipe)
        written.append(None)
        patch.setattr(Shards, "write", lambda s, n, rows: written.append(n) or write(s, n, rows))
        TeacherCache.build(pair[0], images, tmp_path / "new", **recipe)
    assert written == [3, None, 4, 5]
    with pytest.raises(CacheError, match="not whole: 3 of 6"):
        TeacherCache.load(tmp_path / "new")
