"""A family that lives in this file alone goes wherever the package's own families go.

It has no anchors, codes boxes by centre and size and has an objectness logit, as YOLOX does. The
package knows nothing of it but what the `Detector` contract asks for.
"""

import json

import keras
import numpy as np
import pytest
from fixtures.every_hierarchy import assert_everything_teaches, working
from keras import layers, ops

import keras_hkd
from keras_hkd.boxes.coding import CentreSize
from keras_hkd.boxes.iou import generalized_iou
from keras_hkd.cli.main import main
from keras_hkd.compression import is_quantized
from keras_hkd.detectors import Assignment, Detector, build
from keras_hkd.detectors.open_heads import level_heads
from keras_hkd.export import tflite_file
from keras_hkd.export.representative import sample_images
from keras_hkd.replicas import global_ratio

SIZE = (64, 64)
LEVELS = ("P3", "P4", "P5")
POINTS = 64 + 16 + 4
HEADS = ("class_logits", "box_outputs", "objectness")
DATA = "synthetic:{}?num_images=2&height=64&width=64"


def third_network(width, num_classes):
    """Two convolutions for each head of each level, on a backbone of one for each stride."""
    values = {"class": num_classes, "box": 4, "objectness": 1}
    heads = {key: [] for key in values}
    pyramid, towers = {}, {}
    images = keras.Input((None, None, 3), name="images")
    x = layers.Rescaling(1 / 127.5, -1.0, name="rescaling")(images)
    x = convolution(convolution(x, width, "stem1", 2), width, "stem2", 2)
    for level in LEVELS:
        x = pyramid[level] = convolution(x, width, level, 2)
        for key, number in values.items():
            name = f"{level}_{key}"
            hidden = convolution(convolution(x, width, f"{name}1"), width, f"{name}2")
            if key == "class":
                towers[level] = hidden
            predicted = layers.Conv2D(number, 1, name=f"{name}_predictor")(hidden)
            heads[key].append(layers.Reshape((-1, number), name=f"{name}_flat")(predicted))
    outputs = {
        name: layers.Concatenate(axis=1, name=name)(heads[key])
        for name, key in zip(HEADS, values, strict=True)
    }
    network = keras.Model(images, {"pyramid": pyramid, "class_tower": towers, **outputs})
    network.num_classes = num_classes
    return network


def convolution(x, width, name, strides=1):
    x = layers.Conv2D(width, 3, strides, "same", use_bias=False, name=f"{name}_conv")(x)
    return layers.ReLU(name=name)(layers.BatchNormalization(name=f"{name}_norm")(x))


@keras.saving.register_keras_serializable(package="third_family")
class Third(Detector):
    """A person is learnt by the points inside of it, at most 1.5 strides from its centre."""

    levels = LEVELS
    coding = CentreSize()
    cell_offset = 0.0
    loss_names = ("class_loss", "box_loss", "objectness_loss")

    def build_network(self, model):
        return model

    def match(self, outputs, labels, image_size):
        points, strides = self.anchor_points(image_size), self.anchor_strides(image_size)
        people = ops.cast(labels["boxes"], "float32")
        classes = ops.cast(labels["classes"], "int32")
        if people.shape[1] == 0:
            nobody = ops.zeros_like(outputs["class_logits"])
            return Assignment(
                nobody[..., 0] > 0,
                nobody[..., 0] > 0,
                ops.zeros_like(outputs["box_outputs"]),
                nobody,
            )
        lower, upper = people[:, None, :, :2], people[:, None, :, 2:]
        near = ops.abs(points[:, None] - (lower + upper) / 2) < 1.5 * strides[:, None]
        inside = (points[:, None] > lower) & (points[:, None] < upper) & near
        fits = ops.all(inside, axis=-1) & (classes[:, None] >= 0)
        areas = ops.where(fits, ops.prod(upper - lower, axis=-1), 1e9)
        person, positive = ops.argmin(areas, axis=-1), ops.any(fits, axis=-1)
        scores = ops.one_hot(
            ops.take_along_axis(classes, person, axis=1), self.num_classes, dtype="float32"
        )
        return Assignment(
            positive,
            ops.zeros_like(positive),
            ops.take_along_axis(people, person[..., None], axis=1),
            scores * ops.cast(positive, "float32")[..., None],
        )

    def losses_of(self, outputs, assignment, image_size):
        positive = ops.cast(assignment.positive, "float32")
        counted = ops.cast(ops.logical_not(assignment.ignored), "float32")
        boxes = self.decode_boxes(outputs["box_outputs"], image_size)
        apart = 1.0 - generalized_iou(boxes, assignment.target_boxes, xp=ops)
        classes = cross_entropy(outputs["conditional_logits"], assignment.target_scores)
        objectness = cross_entropy(outputs["objectness"][..., 0], positive)
        sums = (classes * positive[..., None], 5.0 * apart * positive, objectness * counted)
        return tuple(global_ratio(ops.sum(one), ops.sum(positive), minimum=1.0) for one in sums)

    def open_head(self, key):
        return level_heads(
            self,
            {level: f"{level}_{key}1_norm" for level in self.levels},
            {level: f"{level}_{key}_predictor" for level in self.levels},
        )

    def get_config(self):
        width = self.model.get_layer("stem1_conv").filters
        return {**super().get_config(), "width": width, "num_of_model": self.model.num_classes}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        return cls(third_network(config.pop("width"), config.pop("num_of_model")), **config)


def cross_entropy(logits, targets):
    return ops.relu(logits) - logits * targets + ops.softplus(-ops.abs(logits))


def new_third(seed, width=8, class_names=("person",)):
    """One of random weights, whose BatchNorm knows the statistics of drawn scenes."""
    keras.utils.set_random_seed(seed)
    network = third_network(width, len(class_names))
    detector = Third(network, image_size=SIZE, class_names=class_names)
    norms = [one for one in network.layers if isinstance(one, layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    detector(sample_images(SIZE, 4), training=True)
    for norm in norms:
        norm.momentum = 0.9
    return detector


@pytest.fixture(scope="module")
def teacher():
    return new_third(1, width=12)


@pytest.fixture
def student():
    return new_third(2)


@pytest.fixture(scope="module")
def images():
    return sample_images(SIZE, 2)


@pytest.fixture(scope="module")
def labels():
    boxes = [[[10, 6, 30, 54], [40, 20, 56, 58]], [[30, 8, 58, 56], [-1, -1, -1, -1]]]
    return {
        "boxes": np.array(boxes, "float32"),
        "classes": np.array([[0, 0], [0, -1]], "float32"),
    }


def test_scores_and_boxes_by_hand(student):
    sizes = zip(HEADS, (1, 4, 1), strict=True)
    heads = {name: np.zeros((1, POINTS, number), "float32") for name, number in sizes}
    heads["class_logits"][:] = heads["objectness"][:] = -9.0
    at = 10  # column 2, row 1 of P3: the point (16, 8)
    heads["class_logits"][0, at], heads["objectness"][0, at] = 1.0, 2.0
    heads["box_outputs"][0, at] = 0.5, 0.25, np.log(2), np.log(3)
    found = student.predictions(student.joined(heads), SIZE)
    assert int(found["num_detections"][0]) == 1
    np.testing.assert_allclose(found["boxes"][0, 0], [12, 0, 28, 22], atol=1e-4)  # cut at the edge
    score = 1 / (1 + np.exp(-1.0)) / (1 + np.exp(-2.0))
    assert float(found["confidence"][0, 0]) == pytest.approx(score, rel=1e-5)


def test_it_learns_alone_and_is_saved(student, images, labels, eagerly, tmp_path):
    student.compile(keras.optimizers.Adam(1e-2))
    taught = [student.train_on_batch(images, labels, return_dict=True) for _ in range(4)]
    assert set(taught[0]) == {"loss", *Third.loss_names}
    assert taught[-1]["loss"] < 0.9 * taught[0]["loss"]
    student.save(tmp_path / "third.keras")
    loaded = keras_hkd.load_detector(tmp_path / "third.keras")
    assert type(loaded) is Third
    for name in HEADS:
        np.testing.assert_allclose(loaded(images)[name], student(images)[name], atol=1e-4)


@pytest.mark.usefixtures("eagerly", "every_detection_counts")
class TestEveryHierarchy:
    def test_within_the_family(self, teacher, student, images, labels):
        table, distiller, names = working(teacher, student)
        direct = {"Pyramid", "Region", "ClassTower", "ClassLogits", "Boxes(GIoU)", "CrossHead"}
        assert {name for name, row in table.items() if row.works} >= {*direct, "Review"}
        assert table["ClassLogits"].how == table["Boxes(GIoU)"].how == "direct"
        assert_everything_teaches(distiller, names, images, labels)

    def test_under_another_family_and_size(self, student, images, labels):
        other = build("retinanet_micro", image_size=(96, 96), seed=3)
        table, distiller, names = working(other, student, teacher_image_size=(96, 96))
        assert table["ClassLogits"].how == "matched through decoded boxes"
        assert_everything_teaches(distiller, names, images, labels)

    def test_over_another_family(self, teacher, images, labels):
        other = build("retinanet_micro", image_size=SIZE, seed=3)
        _, distiller, names = working(teacher, other)
        assert_everything_teaches(distiller, names, images, labels)

    def test_over_its_own_pruned_and_rounded_copies(self, teacher, images, labels):
        pruned = keras_hkd.prune_channels(teacher, 0.4)
        assert type(pruned) is Third and pruned.count_params() < 0.7 * teacher.count_params()
        table, distiller, names = working(teacher, pruned)
        assert table["CrossHead"].works
        assert_everything_teaches(distiller, names, images, labels)
        table, distiller, names = working(teacher, keras_hkd.quantize(teacher, images))
        assert "can be cut" in table["CrossHead"].how  # its norms are folded
        assert_everything_teaches(distiller, names, images, labels)


def test_what_it_says_is_stored_and_teaches_without_it(teacher, student, eagerly, tmp_path):
    dataset = keras_hkd.data.synthetic_dataset(num_images=2, image_size=SIZE, seed=1)
    terms = [
        keras_hkd.hierarchies.Pyramid(keras_hkd.losses.PearsonCorrelation()),
        keras_hkd.hierarchies.ClassLogits(keras_hkd.losses.QualityFocalDistillation()),
        keras_hkd.hierarchies.Boxes(keras_hkd.losses.GIoU(), at="all"),
    ]
    cache = keras_hkd.TeacherCache.build(
        teacher, dataset, tmp_path / "cache", image_size=SIZE, hierarchies=terms
    )
    batch = next(iter(cache.training_batches(dataset, batch_size=2, seed=0)))
    taught = []
    for source, learner in ((cache, student), (teacher, new_third(2))):
        again = [type(term).from_config(term.get_config()) for term in terms]
        keras.utils.set_random_seed(5)  # of the projections
        distiller = keras_hkd.Distiller(source, learner, again)
        distiller.compile(keras.optimizers.SGD(1e-4))
        taught.append(distiller.train_on_batch(*batch, return_dict=True))
    for name in ("pyramid_loss", "class_logits_loss", "boxes_loss"):
        assert taught[0][name] == pytest.approx(taught[1][name], rel=1e-2) and taught[0][name] > 0


def test_a_rounded_one_is_trained_saved_and_exported(teacher, images, labels, eagerly, tmp_path):
    clone = keras_hkd.quantize(teacher, images)
    assert type(clone) is Third and is_quantized(clone) and not is_quantized(teacher)
    clone.compile("sgd")
    assert np.isfinite(clone.train_on_batch(images, labels, return_dict=True)["loss"])
    clone.save(tmp_path / "clone.keras")
    loaded = keras_hkd.load_detector(tmp_path / "clone.keras")
    assert is_quantized(loaded)
    report = keras_hkd.export_tflite(
        loaded, tmp_path / "clone.tflite", quantization="int8", nms=False
    )
    assert set(report.head_errors) == set(HEADS)
    assert max(report.head_errors.values()) < 0.2
    assert tflite_file.float_operators(tflite_file.read_model(report.path)) == []


def test_some_classes_of_a_pruned_one_keep_what_it_has_learned(images, tmp_path):
    pruned = keras_hkd.prune_channels(new_third(3, class_names=("car", "person")), 0.3)
    for weight in pruned.trainable_weights:
        weight.assign(weight * 1.1)
    keras_hkd.as_detector(pruned, class_names=("person",)).save(tmp_path / "person.keras")
    person = keras_hkd.load_detector(tmp_path / "person.keras")
    assert person.class_names == ("person",)
    np.testing.assert_allclose(
        person(images)["class_logits"], pruned(images)["class_logits"][..., 1:], atol=1e-5
    )


@pytest.mark.slow
def test_commands_take_its_files(teacher, student, eagerly, capsys, tmp_path):
    def command(*words):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([*map(str, words), "--json"])
        said = capsys.readouterr()
        assert end.value.code == 0, said.err
        return json.loads(said.out)

    files = {"teacher": teacher, "student": student}
    for name, detector in files.items():
        files[name] = tmp_path / f"{name}.keras"
        detector.save(files[name])
    models = ("--teacher", files["teacher"], "--student", files["student"])
    data = ("--data", DATA.format("train"), "--val", DATA.format("val"))
    options = ("--epochs", 1, "--batch-size", 2, "--image-size", 64, "--validate-every", 0)
    command("distill", *models, *data, *options, "--out", tmp_path / "run")
    distilled = tmp_path / "run" / "student.keras"
    assert type(keras_hkd.load_detector(distilled)) is Third
    exported = tmp_path / "student.tflite"
    said = command("export", distilled, exported)
    assert max(said["head_errors"].values()) < 1e-3
    scores = [
        command("evaluate", file, "--data", DATA.format("val"), "--image-size", 64)
        for file in (distilled, exported)
    ]
    assert scores[0]["AP"] == pytest.approx(scores[1]["AP"], abs=1e-3)
