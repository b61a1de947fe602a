"""Weights that set themselves: shares of the gradient, measured before the first step."""

import dataclasses
import importlib.util
import json
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_hkd import hierarchies, losses
from keras_hkd.classifiers import build
from keras_hkd.data import load_classification
from keras_hkd.detectors import build as build_detector
from keras_hkd.distillation import (
    Distiller,
    GradientShares,
    MeanTeacher,
    MutualDistiller,
    RebalanceTerms,
)
from keras_hkd.distillation.first_batches import first_batches
from keras_hkd.distillation.schedules import LinearWarmUp
from keras_hkd.hierarchies import ClassLogits, Logits, Pyramid
from keras_hkd.hierarchies.possibilities import _samples
from keras_hkd.losses import AdaptiveDistillation, FeatureImitation, LogitDistillation
from keras_hkd.training import TrainingSettings, term_watchers, train_model

SHARES = [0.3, 0.2]
LABELS = {"classes": np.array([0, 1, 2, 0, 1, 2])}


@pytest.fixture(autouse=True)
def eager(monkeypatch):
    """Run steps eagerly: to trace that of a detector takes a minute."""
    monkeypatch.setattr(tf, "function", lambda function=None, **options: function or (lambda f: f))


def raw(width, seed):
    keras.utils.set_random_seed(seed)
    images = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.Conv2D(width, 3, strides=4, padding="same", activation="relu")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dropout(0.2)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, keras.layers.Dense(3)(x), name=f"raw{width}")


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(0, 255, (6, 32, 32, 3)).astype("float32")


def of_classifiers(weights="balanced", shares=None, **options):
    terms = [Logits(LogitDistillation(temperature=2.0)), Logits(LogitDistillation(), name="sharp")]
    return Distiller(raw(8, 1), raw(4, 2), terms, weights, shares=shares, **options)


def of_detectors(pair, shares=SHARES, **options):
    terms = [Pyramid(FeatureImitation()), ClassLogits(AdaptiveDistillation())]
    return Distiller(*pair, terms, "balanced", shares=shares, **options)


def values_of(distiller):
    return [
        (v.path, np.array(keras.ops.convert_to_numpy(v))) for v in distiller.variables
    ]  # twins have equal paths


def norms_by_tape(distiller, images, labels):
    """Norms of the weighted gradients in training mode, by a tape of our own; changes state."""
    trained = [variable.value for variable in distiller.student.trainable_variables]
    before = [np.array(keras.ops.convert_to_numpy(variable)) for variable in distiller.variables]
    own = len(distiller.learner.loss_names)
    with tf.GradientTape(persistent=True) as tape:
        outputs = distiller(images, training=True)
        terms = list(distiller.compute_terms(images, labels, outputs, training=True).values())
        weighted = [w * term for w, term in zip(distiller.term_weights(), terms, strict=True)]
        parts = [sum(weighted[:own]), *weighted[own:]]
    for variable, value in zip(distiller.variables, before, strict=True):
        variable.assign(value)
    squares = [
        sum(float(tf.reduce_sum(g**2)) for g in tape.gradient(part, trained) if g is not None)
        for part in parts
    ]
    return np.sqrt(squares)


def test_detectors_get_the_shares_that_were_asked_for(pair_of, batch):
    distiller = of_detectors(pair_of("yolo_v8"))
    before = values_of(distiller)
    record = distiller.measure_balance([batch])
    changed = {
        path
        for (path, new), (_, old) in zip(values_of(distiller), before, strict=True)
        if not np.array_equal(new, old)
    }
    assert changed == {distiller.balance.scales.path, distiller.balance.num_batches.path}
    norms = norms_by_tape(distiller, *batch)
    assert norms / norms.sum() == pytest.approx([0.5, *SHARES], rel=0.02)
    assert list(record["shares_after"].values()) == pytest.approx([0.5, *SHARES])
    assert list(record["norms"]) == ["student", "pyramid", "class_logits"]


def every_term():
    """Every hierarchy of detectors, and every loss in one that reads what it compares."""

    def of_maps(name):
        return Pyramid(getattr(losses, name)(), levels=("P3", "P4"), name=name)

    def of_logits(name, **options):
        return ClassLogits(getattr(losses, name)(**options), name=name)

    maps = ("FeatureImitation", "AttentionTransfer", "PearsonCorrelation", "FocalGlobal")
    maps += ("ChannelWiseDivergence", "MaskedGenerative", "AttentionNonLocal")
    maps += ("FineGrainedImitation",)
    sigmoid = {"activation": "sigmoid"}
    several = {"num_detections": 4, "score_threshold": 0.0}
    return [
        *map(of_maps, maps),
        Pyramid(losses.HierarchicalContext(sizes=(2, 1)), levels=("P3",), name="context"),
        hierarchies.Region(losses.FeatureImitation(), **several),
        hierarchies.Region(losses.RegionRelation(), name="relation", **several),
        hierarchies.ClassTower(losses.FeatureImitation()),
        hierarchies.Review(),
        hierarchies.CrossHead(),
        of_logits("AdaptiveDistillation"),
        of_logits("QualityFocalDistillation"),
        of_logits("DecoupledDistillation"),
        of_logits("LogitDistillation", **sigmoid),
        of_logits("DIST", **sigmoid),
        hierarchies.Boxes(losses.GIoU(), name="GIoU"),
        hierarchies.Boxes(losses.LocalizationDistillation(), name="LD"),
        hierarchies.Boxes(losses.TeacherBoundedRegression(margin=100.0), decoded=True, name="TBR"),
    ]


@pytest.mark.slow
def test_every_hierarchy_and_every_loss_of_detectors_is_balanced(batch):
    names = {"class_names": ("person", "car", "dog"), "image_size": (64, 64)}
    pair = [build_detector("yolo_v8_micro", seed=seed, **names) for seed in (1, 2)]
    terms = every_term()
    shares = [0.5 / len(terms)] * len(terms)
    distiller = Distiller(*pair, terms, shares=shares)
    record = distiller.measure_balance([batch])  # a term without gradient warns: the test fails
    assert list(record["shares_after"].values()) == pytest.approx([0.5, *shares])
    balanced = {type(one).__name__ for one in terms} | {type(one.loss).__name__ for one in terms}
    every = {type(one).__name__ for one in _samples().values()} | set(losses.__all__)
    # Bases, those of classifiers, and OSAKD's terms, whose queue is empty before the first step.
    others = {"DistillationLoss", "LearnableLoss", "Logits", "SoftLabelDivergence"}
    assert every - balanced == {*others, "NeighbourCells", "NeighbourClasses"}


def test_losses_of_classifiers_are_balanced(images):
    terms = [Logits(loss(), name=loss.__name__) for loss in (losses.LogitDistillation, losses.DIST)]
    record = Distiller(raw(8, 1), raw(4, 2), terms).measure_balance([(images, LABELS)])
    assert list(record["shares_after"].values()) == pytest.approx([0.5, 0.25, 0.25])


def test_the_median_over_batches_decides(images):
    distiller = of_classifiers()
    for layer in distiller.student.model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    batches = [(images[i : i + 2], {"classes": LABELS["classes"][i : i + 2]}) for i in (0, 2, 4)]
    norms = np.array([norms_by_tape(distiller, *each) for each in batches])
    distiller.measure_balance(batches)
    own, *others = np.median(norms, axis=0)
    wanted = [0.25 / 0.5 * own / norm for norm in others]
    assert np.array(distiller.balance.scales) == pytest.approx(wanted, rel=0.02)


def test_fit_measures_once_and_says_so(images, capsys, tmp_path):
    distiller = of_classifiers(shares=SHARES)
    distiller.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    distiller.fit(images, LABELS, batch_size=3, epochs=1, verbose=2)
    told = [line for line in capsys.readouterr().out.splitlines() if "Balanced" in line]
    assert len(told) == 1 and told[0].startswith("Balanced on 2 batches, shares of the gradient:")
    assert "-> 0.3" in told[0] and "-> 0.2" in told[0]
    scales = np.array(distiller.balance.scales)
    assert not np.allclose(scales, 1.0) and int(distiller.steps_taken) == 2
    distiller.fit(images[:2], {"classes": LABELS["classes"][:2]}, verbose=0)
    assert np.array_equal(distiller.balance.scales, scales)
    distiller.save_weights(tmp_path / "run.weights.h5")
    again = of_classifiers(shares=SHARES)
    again.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    again.load_weights(tmp_path / "run.weights.h5")
    again.fit(images, LABELS, batch_size=3, verbose=0)
    assert np.array_equal(again.balance.scales, scales) and again.balance.record is None


def test_the_loss_holds_the_scales_and_a_schedule_multiplies_them(images):
    distiller = of_classifiers([LinearWarmUp(1.0, steps=10), 1.0], SHARES, student_loss_weight=2.0)
    distiller.measure_balance([(images, LABELS)])
    scales = np.array(distiller.balance.scales)
    distiller.steps_taken.assign(5)
    assert [float(w) for w in distiller.term_weights()] == pytest.approx(
        [2.0, 0.5 * scales[0], scales[1]]
    )
    outputs = distiller(images)
    terms = [float(term) for term in distiller.compute_terms(images, LABELS, outputs).values()]
    loss = float(distiller.compute_loss(images, LABELS, outputs, training=False))
    assert loss == pytest.approx(np.dot([2.0, 0.5 * scales[0], scales[1]], terms), rel=1e-5)


def test_config_round_trip():
    distiller = of_classifiers([LinearWarmUp(1.0, steps=10), 1.0], SHARES)
    again = Distiller.from_config(distiller.get_config())
    assert again.shares == (0.3, 0.2) and again.balance is not None
    assert isinstance(again.distillation_loss_weights[0], LinearWarmUp)
    equal = Distiller.from_config(of_classifiers().get_config())
    assert equal.shares == (0.25, 0.25)
    plain = of_classifiers(None)
    assert plain.get_config()["shares"] is None and plain.balance is None
    assert not any("balance" in variable.path for variable in plain.variables)


def test_mutual_distillers_balance_too(images):
    peers = [raw(4, seed) for seed in (1, 2)]
    distiller = MutualDistiller(peers, Logits(LogitDistillation()), "balanced")
    distiller.measure_balance([(images, LABELS)])
    assert MutualDistiller.from_config(distiller.get_config()).shares == (0.5,)
    assert distiller.balance.record["shares_after"] == pytest.approx(
        {"student": 0.5, "logits": 0.5}
    )


@pytest.mark.parametrize(
    ("weights", "shares", "error", "message"),
    [
        ("balanced", [0.3], ValueError, "one share for each.*1 shares for 2"),
        ("balanced", [0.3, 0.7], ValueError, "sum to less than 1.*sum to 1"),
        ("balanced", [0.3, 0.0], ValueError, r"shares\[1\]. must be a finite number above 0"),
        ("balanced", [0.3, float("nan")], ValueError, "finite"),
        ("balanced", 0.3, TypeError, "list of numbers"),
        ("balance", None, ValueError, '"balanced", or a number.*balance'),
        ([20.0, 6.0], SHARES, ValueError, "but no numbers"),
    ],
)
def test_wrong_shares_are_refused(weights, shares, error, message):
    with pytest.raises(error, match=message):
        of_classifiers(weights, shares)


def test_nothing_to_balance_by_is_refused(images):
    with pytest.raises(ValueError, match="must weigh something"):
        of_classifiers(student_loss_weight=0.0)
    with pytest.raises(ValueError, match="then a copy of the student"):
        MeanTeacher(raw(4, 1), Logits(LogitDistillation()), "balanced")
    with pytest.raises(ValueError, match="Nothing is balanced"):
        of_classifiers(None).measure_balance([(images, LABELS)])
    with pytest.raises(ValueError, match="at least one batch"):
        of_classifiers().measure_balance([])
    unlabelled = {"classes": np.full(6, -1)}
    with pytest.raises(ValueError, match="student's own loss, which must be finite and above 0"):
        of_classifiers().measure_balance([(images, unlabelled)])


class Silent(Logits):
    """A term that is constant."""

    def compute(self, step):
        return 0.0 * super().compute(step) + 7.0


def test_a_constant_term_is_named_and_left_at_1(images):
    terms = [Silent(LogitDistillation(), name="silent"), Logits(LogitDistillation())]
    distiller = Distiller(raw(8, 1), raw(4, 2), terms, "balanced", shares=SHARES)
    with pytest.warns(RuntimeWarning, match="'silent' has no finite gradient above 0"):
        record = distiller.measure_balance([(images, LABELS)])
    assert float(distiller.balance.scales[0]) == 1.0
    assert record["shares_after"]["logits"] / record["shares_after"]["student"] == pytest.approx(
        0.4
    )
    alone = Distiller(raw(8, 1), raw(4, 2), Silent(LogitDistillation()), "balanced")
    with pytest.raises(ValueError, match="needs a term with a finite gradient"):
        alone.measure_balance([(images, LABELS)])


def test_the_callback_warns_of_a_share_that_drifted(images):
    distiller = of_classifiers(shares=SHARES)
    for layer in distiller.student.model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    distiller.measure_balance([(images, LABELS)])
    callback = GradientShares(images, LABELS)
    callback.set_model(distiller)
    callback.on_train_begin()
    logs = {}
    callback.on_epoch_end(0, logs)  # no warning, or the test fails
    wanted = {"student": 0.5, "logits": SHARES[0], "sharp": SHARES[1]}
    assert logs == pytest.approx({f"{name}_gradient_share": one for name, one in wanted.items()})
    scales = np.array(distiller.balance.scales)
    distiller.balance.scales.assign([scales[0], 6.0 * scales[1]])
    callback.on_epoch_end(1, logs)
    assert logs["sharp_gradient_share"] == pytest.approx(0.6)  # 1.2 of 2
    distiller.balance.scales.assign([scales[0], 11.0 * scales[1]])
    with pytest.warns(RuntimeWarning, match="epoch 2 .*'sharp'.* 11 times"):
        callback.on_epoch_end(1, logs)
    callback.on_epoch_end(2, logs)  # told once


def test_terms_are_balanced_anew_after_the_epochs_that_are_named(images, capsys):
    distiller = of_classifiers(shares=SHARES)
    distiller.compile(optimizer="sgd")
    callback = RebalanceTerms([(images, LABELS)], after_epochs=[2])
    scales = []
    seen = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: scales.append(np.array(distiller.balance.scales))
    )
    distiller.fit(images, LABELS, epochs=3, batch_size=6, verbose=0, callbacks=[callback, seen])
    assert np.array_equal(scales[1], scales[2])
    assert not np.array_equal(scales[0], scales[1])
    assert capsys.readouterr().out.startswith("After epoch 2: Balanced on 1 batch, shares")
    plain = of_classifiers(None)
    plain.compile(optimizer="sgd")
    with pytest.raises(ValueError, match="RebalanceTerms needs a Distiller whose terms"):
        plain.fit(images, LABELS, batch_size=6, verbose=0, callbacks=[callback])


@pytest.mark.parametrize("kind", ["dataset", "generator", "sequence", "list"])
def test_what_fit_is_given_is_read_and_still_whole(kind):
    class Numbers(keras.utils.PyDataset):
        def __len__(self):
            return 5

        def __getitem__(self, index):
            return index

    made = {
        "dataset": lambda: tf.data.Dataset.range(5),
        "generator": lambda: (number for number in range(5)),
        "sequence": Numbers,
        "list": lambda: list(range(5)),
    }
    read, rest = first_batches(made[kind](), count=3)
    assert [int(each) for each in read] == [0, 1, 2]
    rest = [rest[i] for i in range(5)] if kind == "sequence" else rest
    assert [int(each) for each in rest] == [0, 1, 2, 3, 4]
    assert len(first_batches(made[kind](), count=8)[0]) == 5


def test_batches_of_arrays_lie_over_all_of_them_and_an_iterator_is_refused():
    x, labels = np.arange(100), {"classes": np.arange(100) + 1000}
    read, rest = first_batches(x, labels, batch_size=4, count=3)
    assert rest is x and [len(each[0]) for each in read] == [4, 4, 4]
    assert all(np.array_equal(a + 1000, b["classes"]) for a, b in read)
    seen = np.sort(np.concatenate([each[0] for each in read]))
    assert seen[0] == 0 and seen[-1] == 99 and np.diff(seen).max() <= 10
    assert [len(each[0]) for each in first_batches(x[:3], labels, 2)[0]] == [1, 1]
    with pytest.raises(TypeError, match="measure_balance"):
        first_batches(iter([1, 2]))


def of_run(**options):
    """Settings, images, and a function that makes a Distiller for them."""
    settings = TrainingSettings(
        **{"epochs": 1, "batch_size": 2, "image_size": (32, 32), "augment": False, **options}
    )
    train = load_classification("synthetic:train?num_images=4&num_classes=3&height=32&width=32")

    def made(weights="balanced", shares=(0.3,)):
        names = train.class_names
        return Distiller(
            *(build("cnn_micro", class_names=names, image_size=(32, 32), seed=s) for s in (1, 2)),
            Logits(LogitDistillation()),
            weights,
            shares=None if shares is None else list(shares),
        )

    return settings, train, made


@pytest.mark.long
def test_a_run_records_shares_through_training_and_balances_anew(tmp_path):
    settings, train, made = of_run(epochs=3, shares_every=1, rebalance_after=(2,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of what drifts, which it may
        first = made()
        train_model(first, train, dataclasses.replace(settings, epochs=3), tmp_path)
    history = json.loads((tmp_path / "history.json").read_text())
    shares = np.array([history[f"{name}_gradient_share"] for name in ("student", "logits")])
    assert shares.shape == (2, 3) and shares.sum(axis=0) == pytest.approx(np.ones(3))
    record = json.loads((tmp_path / "balance.json").read_text())
    (anew,) = record["rebalanced"]
    assert anew["after_epoch"] == 2 and anew["shares_after"]["logits"] == pytest.approx(0.3)
    assert anew["scales"]["logits"] == pytest.approx(float(first.balance.scales[0]))
    assert anew["scales"] != record["scales"]


def test_what_a_model_has_not_is_not_measured(tmp_path):
    settings, train, made = of_run(epochs=2, rebalance_after=(1,))
    with pytest.raises(ValueError, match="asks for terms that are balanced"):
        train_model(made(None, None), train, settings, tmp_path / "numbers")
    alone = build("cnn_micro", class_names=train.class_names, image_size=(32, 32), seed=1)
    settings = dataclasses.replace(settings, rebalance_after=None, shares_every=1)
    with pytest.raises(ValueError, match="shares of the terms of a distillation"):
        train_model(alone, train, settings, tmp_path / "alone")


@pytest.mark.parametrize(
    ("given", "balanced", "every"),
    [
        ({}, True, 100),  # two steps an epoch: 200 steps are 100 epochs
        ({"epochs": 3000}, True, 300),
        ({}, False, 0),
        ({"shares_every": 3}, False, 3),
        ({"shares_every": 0}, True, 0),
    ],
)
def test_how_often_shares_are_measured(given, balanced, every):
    settings, train, _ = of_run(**given)
    assert term_watchers._every(settings, train, balanced) == every


@pytest.mark.slow
def test_a_run_records_it_and_a_resumed_one_keeps_it(tmp_path, monkeypatch, capsys):
    monkeypatch.undo()  # as it is for users, traced
    settings, train, made = of_run()
    first = made()
    train_model(first, train, settings, tmp_path)
    record = json.loads((tmp_path / "balance.json").read_text())
    assert record["num_batches"] == 8
    assert record["shares_after"] == pytest.approx({"student": 0.7, "logits": 0.3})
    assert capsys.readouterr().err.count("Balanced on 8 batches") == 1
    scales = np.array(first.balance.scales)
    assert list(record["scales"].values()) == pytest.approx(scales, rel=1e-6)
    again = made()
    train_model(again, train, settings, tmp_path, resume=True)
    assert np.array_equal(again.balance.scales, scales) and again.balance.record is None


SCRIPT = """
import keras
import numpy as np

from keras_hkd import hierarchies, losses
from keras_hkd.classifiers import build
from keras_hkd.distillation import Distiller, GradientShares, gradient_shares
from keras_hkd.hierarchies import Logits
from keras_hkd.losses import LogitDistillation

assert keras.backend.backend() == "jax"
images = np.random.default_rng(0).uniform(0, 255, (6, 32, 32, 3)).astype("float32")
labels = {"classes": np.array([0, 1, 0, 1, 1, 0])}
names = ("cat", "dog")
models = [build("cnn_micro", class_names=names, image_size=(32, 32), seed=s) for s in (1, 2)]
distiller = Distiller(*models, Logits(LogitDistillation()), "balanced", shares=[0.4])
before = [np.array(v) for v in distiller.variables]
distiller.measure_balance([(images, labels)])
pairs = zip(distiller.variables, before, strict=True)
changed = {v.path for v, old in pairs if not np.array_equal(old, v)}
assert changed == {distiller.balance.scales.path, distiller.balance.num_batches.path}, changed
assert abs(sum(gradient_shares(distiller, images, labels).values()) - 1) < 1e-5
callback, logs = GradientShares(images, labels), {}
callback.set_model(distiller)
callback.on_train_begin()
callback.on_epoch_end(0, logs)
assert abs(logs["logits_gradient_share"] - 0.4) < 0.01, logs

# A step of SGD moves the weights along the gradient: its length is the gradient's norm.
def moved(own, term):
    distiller.student_loss_weight = own
    scale = np.array(distiller.balance.scales)
    distiller.balance.scales.assign(scale * term)
    distiller.compile(keras.optimizers.SGD(1.0))
    start = distiller.get_weights()
    weights = [np.array(v) for v in distiller.student.trainable_variables]
    distiller.train_on_batch(images, labels)
    steps = [np.array(v) - w for v, w in zip(distiller.student.trainable_variables, weights)]
    distiller.set_weights(start)
    distiller.balance.scales.assign(scale)
    return np.sqrt(sum(np.square(step).sum() for step in steps))

own, term = moved(1.0, 0.0), moved(0.0, 1.0)
share = term / (own + term)
assert abs(share - 0.4) < 0.01, share
print("BALANCED ON JAX")
"""


@pytest.mark.long
@pytest.mark.own_process
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_on_jax_a_step_has_the_share_that_was_asked_for(fresh_python):
    told = fresh_python(SCRIPT, KERAS_BACKEND="jax", JAX_PLATFORMS="cpu")
    assert told.endswith("BALANCED ON JAX\n")


REPLICAS = """
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

import keras
import numpy as np

from keras_hkd import hierarchies, losses
from keras_hkd.classifiers import build
from keras_hkd.distillation import Distiller
from keras_hkd.hierarchies import Logits
from keras_hkd.losses import LogitDistillation

images = np.random.default_rng(0).uniform(0, 255, (8, 32, 32, 3)).astype("float32")
labels = {"classes": np.array([0, 1, 0, 1, 1, 0, 0, 1])}
names = ("cat", "dog")


def fitted():
    pair = [
        build("cnn_micro", class_names=names, image_size=(32, 32), seed=seed, synchronized=True)
        for seed in (1, 2)
    ]
    distiller = Distiller(*pair, Logits(LogitDistillation()), "balanced", shares=[0.4])
    distiller.compile(keras.optimizers.SGD(1e-3))
    return distiller


alone = fitted()
alone.fit(images, labels, batch_size=4, verbose=0)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    mirrored = fitted()
mirrored.fit(images, labels, batch_size=4, verbose=0)
scales = strategy.experimental_local_results(mirrored.balance.scales.value)
copies = [value.numpy() for value in scales]
assert len(copies) == 2 and np.array_equal(*copies), copies
wanted = alone.balance.scales.numpy()
assert np.allclose(copies[0], wanted, rtol=1e-3) and abs(wanted[0] - 1) > 1e-3, (copies, wanted)
print("EQUAL ON REPLICAS")
"""


@pytest.mark.long
@pytest.mark.own_process
def test_replicas_have_the_scales_of_one_device(fresh_python):
    assert fresh_python(REPLICAS).endswith("EQUAL ON REPLICAS\n")
