"""Every loss in a Distiller on a real pair: finite, felt by the student, and a step that trains."""

import keras
import numpy as np
import pytest

import keras_hkd
from keras_hkd import losses
from keras_hkd.hierarchies import Boxes, ClassLogits, ClassTower, CrossHead, Pyramid, Region, Review

SIZE = (64, 64)
LEVELS = {"levels": ("P3", "P4")}
TERMS = {
    "feature_imitation": lambda: Pyramid(losses.FeatureImitation(), **LEVELS),
    "attention_transfer": lambda: Pyramid(losses.AttentionTransfer(), **LEVELS),
    "pearson_correlation": lambda: Pyramid(losses.PearsonCorrelation(), **LEVELS),
    "standardised_divergence": lambda: Pyramid(
        losses.ChannelWiseDivergence(), standardize=True, **LEVELS
    ),
    "channel_wise_divergence": lambda: Pyramid(losses.ChannelWiseDivergence(), **LEVELS),
    "focal_global": lambda: Pyramid(losses.FocalGlobal(), **LEVELS),
    "masked_generative": lambda: Pyramid(losses.MaskedGenerative(), **LEVELS),
    "attention_non_local": lambda: Pyramid(losses.AttentionNonLocal(), **LEVELS),
    "feature_richness": lambda: Pyramid(losses.FeatureImitation(), at="teacher_scores", **LEVELS),
    "fine_grained_imitation": lambda: Pyramid(losses.FineGrainedImitation(), **LEVELS),
    "review": lambda: Review(**LEVELS),
    "region": lambda: Region(losses.FeatureImitation(), num_detections=2, score_threshold=0.0),
    "region_relation": lambda: Region(losses.RegionRelation(), score_threshold=0.0, levels=("P3",)),
    "class_tower": lambda: ClassTower(losses.FeatureImitation()),
    "logit_distillation": lambda: ClassLogits(losses.LogitDistillation()),
    "sigmoid_distillation": lambda: ClassLogits(losses.LogitDistillation(activation="sigmoid")),
    "decoupled_distillation": lambda: ClassLogits(losses.DecoupledDistillation(), at="positives"),
    "dist": lambda: ClassLogits(losses.DIST()),
    "adaptive_distillation": lambda: ClassLogits(losses.AdaptiveDistillation()),
    "quality_focal": lambda: ClassLogits(losses.QualityFocalDistillation()),
    "localization": lambda: Boxes(losses.LocalizationDistillation()),
    "giou": lambda: Boxes(losses.GIoU()),
    "teacher_bounded": lambda: Boxes(losses.TeacherBoundedRegression(margin=1e6), decoded=True),
    "cross_head": lambda: CrossHead(),
}


@pytest.fixture(scope="module")
def pair():
    from keras_hkd.detectors import build

    options = {"image_size": SIZE, "class_names": ("person", "cyclist")}
    return tuple(build("yolo_v8_micro", seed=seed, **options) for seed in (1, 2))


@pytest.fixture(scope="module")
def data():
    images = np.random.default_rng(0).uniform(0, 255, (2, *SIZE, 3)).astype("float32")
    boxes = np.array(
        [[(10, 8, 40, 56), (-1, -1, -1, -1)], [(4, 4, 20, 40), (30, 10, 50, 60)]], "float32"
    )
    return images, {"boxes": boxes, "classes": np.array([[0.0, -1.0], [1.0, 0.0]], "float32")}


@pytest.fixture(scope="module")
def distiller(pair):
    terms = []
    for name, make in TERMS.items():
        term = make()
        config = {**term.get_config(), "name": name}
        terms.append(type(term).from_config(config))
    return keras_hkd.Distiller(*pair, terms)


@pytest.fixture(scope="module")
def step(distiller, data):
    """Value of each term, and its gradient at the student's and the term's own weights."""
    tf = pytest.importorskip("tensorflow")
    images, labels = data
    variables = [v.value for v in distiller.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        values = distiller.compute_terms(images, labels, distiller(images, training=True), True)
    return values, lambda name: tape.gradient(values[f"{name}_loss"], variables)


@pytest.mark.parametrize("name", TERMS)
def test_a_term_is_finite_and_reaches_the_student(step, distiller, name):
    values, gradient = step
    assert np.isfinite(float(values[f"{name}_loss"]))
    assert float(values[f"{name}_loss"]) > 0
    student = {id(v) for v in distiller.student.trainable_variables}
    slopes = {
        id(v): np.asarray(slope)
        for v, slope in zip(distiller.trainable_variables, gradient(name), strict=True)
        if slope is not None
    }
    assert all(np.isfinite(slope).all() for slope in slopes.values())
    assert max(np.abs(slope).max() for key, slope in slopes.items() if key in student) > 0
    hierarchy = distiller.distillation_losses[list(TERMS).index(name)]
    own = {id(v) for v in hierarchy.trainable_variables}
    assert own <= set(slopes)  # what a term learns is learnt


def test_one_step_of_all_terms_trains_them_and_leaves_the_teacher(distiller, data):
    frozen = keras_hkd.distillation.weights_hash(distiller.teacher)
    before = [np.array(keras.ops.convert_to_numpy(v)) for v in distiller.trainable_variables]
    distiller.compile(keras.optimizers.SGD(1e-4), run_eagerly=True)
    logs = distiller.train_on_batch(*data, return_dict=True)
    assert {f"{name}_loss" for name in TERMS} <= set(logs)
    assert np.isfinite(list(logs.values())).all()
    moved = [
        (a != np.array(b)).any() for a, b in zip(before, distiller.trainable_variables, strict=True)
    ]
    assert np.mean(moved) > 0.8  # some slopes are below what float32 adds to a weight
    assert keras_hkd.distillation.weights_hash(distiller.teacher) == frozen
