"""Pseudo-labels: written once, read again, refused where they are another teacher's."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from keras_hkd.data import BadDataError, Dataset, ImageAnnotation, load_dataset
from keras_hkd.data.unlabelled import without_labels
from keras_hkd.parts import Shard
from keras_hkd.training import (
    DifferentRunError,
    TrainingSettings,
    label_shard,
    pseudo_label_facts,
    semi_supervised,
    train_model,
)

SIZE = (32, 32)


class Teacher(keras.Model):
    """Finds two people in every bright image and none in a dark one; counts how often it looks."""

    def __init__(self, seed=0):
        super().__init__()
        self.image_size, self.class_names, self.calls = SIZE, ("person",), 0
        self.kept = self.add_weight(shape=(3,), initializer=keras.initializers.Constant(seed))
        self.built = True

    def predict_on_batch(self, images):
        self.calls += 1
        brightness = images.mean(axis=(1, 2, 3)) / 255
        boxes = np.tile(np.array([[2, 3, 12, 30], [15, 4, 25, 31]], "float32"), (len(images), 1, 1))
        scores = np.stack([brightness, brightness / 2], axis=1)
        found = np.where(brightness > 0.1, 2, 0)
        return {
            "boxes": boxes,
            "classes": np.zeros_like(scores),
            "confidence": scores,
            "num_detections": found,
        }


@pytest.fixture
def unlabelled(tmp_path):
    """Files of brightness 0, 50, 100, 150 and 200."""
    rows = []
    for number in range(5):
        path = tmp_path / "pictures" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((64, 64, 3), 50 * number, np.uint8)).save(path)
        rows.append(ImageAnnotation(str(path), number, 64, 64, [], []))
    return Dataset(rows, ("person",), "pictures", "images")


class Drawn(Dataset):
    def load_image(self, index):
        return np.random.default_rng(index).integers(0, 255, (64, 64, 3)).astype(np.uint8)


@pytest.fixture
def labelled():
    """Four images with one person each, and an ignore region."""
    boxes = [[4, 4, 20, 60], [0, 0, 64, 30]]
    rows = [ImageAnnotation("", i, 64, 64, boxes, [0, 0], [False, True]) for i in range(4)]
    return Drawn(rows, ("person",), "by hand", "none")


def test_the_threshold_matches_the_boxes_per_image(labelled, unlabelled, tmp_path):
    file = tmp_path / "pseudo_labels.json"
    dataset = semi_supervised(Teacher(), labelled, unlabelled, file)
    # 5 images at 1 person each are 5 boxes: the best scores 200, 150, 100 (two halves too), 75.
    pseudo = dataset.pseudo_labelled
    assert [image.image_id for image in pseudo] == [2, 3, 4]
    assert [image.num_boxes for image in pseudo] == [1, 2, 2]
    np.testing.assert_array_equal(pseudo[0].boxes, [[4, 6, 24, 60]])
    assert dataset.labelled is labelled
    facts = pseudo_label_facts(file)
    assert facts["score_threshold"] == pytest.approx(75 / 255)
    counts = (facts["num_images"], facts["num_images_without_box"], facts["num_boxes"])
    assert counts == (3, 2, 5)


def test_a_given_threshold_is_kept(labelled, unlabelled, tmp_path):
    file = tmp_path / "pseudo_labels.json"
    dataset = semi_supervised(Teacher(), labelled, unlabelled, file, score_threshold=0.5)
    assert [image.num_boxes for image in dataset.pseudo_labelled] == [1, 1]
    assert pseudo_label_facts(file)["score_threshold"] == 0.5
    with pytest.raises(ValueError, match="`score_threshold` must be None or in"):
        semi_supervised(Teacher(), labelled, unlabelled, tmp_path / "b", score_threshold=50)


def test_the_file_is_written_once_and_read_again(labelled, unlabelled, tmp_path):
    file, teacher = tmp_path / "run" / "pseudo_labels.json", Teacher()
    first = semi_supervised(teacher, labelled, unlabelled, file)
    calls, written = teacher.calls, file.stat().st_mtime_ns
    again = semi_supervised(teacher, labelled, unlabelled, file)
    assert (teacher.calls, file.stat().st_mtime_ns) == (calls, written)
    assert again.content_hash == first.content_hash
    assert [path.name for path in file.parent.iterdir()] == ["pseudo_labels.json"]


def test_the_file_is_a_coco_dataset(labelled, unlabelled, tmp_path):
    file = tmp_path / "pictures" / "pseudo_labels.json"
    made = semi_supervised(Teacher(), labelled, unlabelled, file).pseudo_labelled
    read = load_dataset(file)
    assert [image.image_path for image in read] == [image.image_path for image in made]
    for left, right in zip(read, made, strict=True):
        np.testing.assert_array_equal(left.boxes, right.boxes)
    assert len(json.loads(file.read_text())["info"]["asked"]["teacher_hash"]) == 64


def test_other_teachers_images_and_thresholds_are_refused(labelled, unlabelled, tmp_path):
    file = tmp_path / "pseudo_labels.json"
    semi_supervised(Teacher(), labelled, unlabelled, file)
    with pytest.raises(DifferentRunError, match="teacher_hash was"):
        semi_supervised(Teacher(seed=1), labelled, unlabelled, file)
    with pytest.raises(DifferentRunError, match="unlabelled_hash was"):
        semi_supervised(Teacher(), labelled, unlabelled.subset(3), file)
    with pytest.raises(DifferentRunError, match="given_score_threshold was None and is now 0.5"):
        semi_supervised(Teacher(), labelled, unlabelled, file, score_threshold=0.5)
    with pytest.raises(DifferentRunError, match="boxes_per_labelled_image was 1.0 and is now 0.0"):
        semi_supervised(Teacher(), without_labels(labelled), unlabelled, file)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"info": {}, "annotations": [{"id": 1}]}'])
def test_files_of_another_kind_are_refused(labelled, unlabelled, tmp_path, text):
    file = tmp_path / "pseudo_labels.json"
    file.write_text(text)
    with pytest.raises(BadDataError, match=r"pseudo_labels.json.*expected pseudo-labels.*delete"):
        semi_supervised(Teacher(), labelled, unlabelled, file)


def test_a_teacher_that_finds_nobody_is_told(labelled, unlabelled, tmp_path):
    with pytest.raises(ValueError, match="finds nobody in 2 images: no pseudo-label"):
        semi_supervised(Teacher(), labelled, unlabelled.select([0, 0]), tmp_path / "a.json")
    with pytest.raises(ValueError, match="with a score of at least 0.9"):
        semi_supervised(Teacher(), labelled, unlabelled, tmp_path / "a.json", score_threshold=0.9)
    assert not (tmp_path / "a.json").exists()


class Student(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(4)
        self.pool = keras.layers.GlobalAveragePooling2D()
        self(np.zeros((1, *SIZE, 3), "float32"))

    def call(self, x, training=False):
        return self.dense(self.pool(x))

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        return keras.ops.mean(keras.ops.square(y_pred - y["boxes"][:, 0] / 32))


class KillAt(keras.callbacks.Callback):
    """Ends the run when an epoch begins."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.long
def test_a_run_on_two_streams_resumes_on_the_data_it_would_have_seen(
    labelled, unlabelled, tmp_path
):
    settings = TrainingSettings(epochs=3, batch_size=2, image_size=SIZE, seed=3, ema_momentum=0.9)
    dataset = semi_supervised(Teacher(), labelled, unlabelled, tmp_path / "labels.json")

    def run(name, *callbacks):
        keras.utils.set_random_seed(1)
        student, folder = Student(), tmp_path / name
        history = train_model(student, dataset, settings, folder, resume=True, callbacks=callbacks)
        return student.get_weights(), history

    expected, _ = run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("broken", KillAt(1))
    weights, history = run("broken")
    assert len(history["loss"]) == 3
    for left, right in zip(weights, expected, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5)


def test_four_shards_are_one_run_byte_for_byte(labelled, unlabelled, tmp_path):
    """Each image is seen once; the file that stands at the end is that of one process."""
    one, teacher = tmp_path / "one" / "pseudo_labels.json", Teacher()
    semi_supervised(teacher, labelled, unlabelled, one, batch_size=1)
    shared, others = tmp_path / "shared" / "pseudo_labels.json", Teacher()
    counts = [
        label_shard(others, unlabelled, shared, Shard(number, 4), batch_size=1)
        for number in (4, 2, 3, 1)
    ]
    assert sum(counts) == others.calls == 5 and max(counts) == 2
    semi_supervised(others, labelled, unlabelled, shared, batch_size=1)
    assert others.calls == 5
    assert shared.read_bytes() == one.read_bytes()
    assert [path.name for path in shared.parent.iterdir()] == ["pseudo_labels.json"]
    assert label_shard(others, unlabelled, shared, Shard(1, 4), batch_size=1) == 0


def test_a_killed_pass_goes_on_behind_its_last_part(labelled, unlabelled, tmp_path, monkeypatch):
    file, teacher = tmp_path / "pseudo_labels.json", Teacher()
    with monkeypatch.context() as patch:
        predict = Teacher.predict_on_batch

        def until_killed(self, images):
            if self.calls == 3:
                raise KeyboardInterrupt
            return predict(self, images)

        patch.setattr(Teacher, "predict_on_batch", until_killed)
        with pytest.raises(KeyboardInterrupt):
            semi_supervised(teacher, labelled, unlabelled, file, batch_size=1)
    assert not file.exists()
    semi_supervised(teacher, labelled, unlabelled, file, batch_size=1)
    assert teacher.calls == 5
    with pytest.raises(ValueError, match="teacher_hash was"):
        label_shard(teacher, unlabelled, tmp_path / "b.json", Shard(1, 2), batch_size=1)
        label_shard(Teacher(seed=1), unlabelled, tmp_path / "b.json", Shard(2, 2), batch_size=1)


def test_a_folder_of_others_in_the_place_of_the_parts_is_refused(labelled, unlabelled, tmp_path):
    work = tmp_path / "labels.parts" / "my_work.txt"
    work.parent.mkdir()
    work.write_text("years of work")
    with pytest.raises(FileExistsError, match=r"labels\.parts .*Received: my_work\.txt"):
        semi_supervised(Teacher(), labelled, unlabelled, tmp_path / "labels.json")
    assert work.read_text() == "years of work"


def test_what_others_put_beside_the_parts_stays(labelled, unlabelled, tmp_path):
    file, teacher = tmp_path / "labels.json", Teacher()
    label_shard(teacher, unlabelled, file, Shard(1, 1))
    (tmp_path / "labels.parts" / "my_work.txt").write_text("years of work")
    semi_supervised(teacher, labelled, unlabelled, file)
    assert [path.name for path in (tmp_path / "labels.parts").iterdir()] == ["my_work.txt"]
