"""The step of every method: compiled with XLA, in half precision, and without the host."""

import keras
import numpy as np
import pytest

from keras_hkd import methods
from keras_hkd.classifiers import SelfSupervisedClassifier
from keras_hkd.classifiers import build as build_classifier
from keras_hkd.detectors import build as build_detector
from keras_hkd.training import TrainingSettings, build_optimizer, training_scope

SIZE = (64, 64)
CLASSIFIED = ("kd", "hsakd", "hssakd", "osakd", "lw_kd")


def detector(seed):
    return build_detector("yolo_v8_micro", image_size=SIZE, seed=seed)


def classifier(seed):
    return build_classifier("cnn_micro", class_names="ab", image_size=(32, 32), seed=seed)


def with_branches():
    return SelfSupervisedClassifier(classifier(1), mode="frozen", branch_style="light")


def lw_kd():
    bank = np.random.default_rng(0).normal(size=(2, 1, 2)) + 3 * np.eye(2)[:, None]
    return methods.get("lw_kd")(classifier(2), bank=bank, beta=0.0)


def of_pair(name, **options):
    return lambda: methods.get(name)(detector(1), detector(2), **options)


MAKERS = {
    "kd": lambda: methods.get("kd")(classifier(1), classifier(2)),
    "hsakd": lambda: methods.get("hsakd")(with_branches(), classifier(2), branch_style="light"),
    "hssakd": lambda: methods.get("hssakd")(classifier(1), classifier(2), branch_style="light"),
    "osakd": lambda: methods.get("osakd")(classifier(2), weight=0.5, num_neighbours=2),
    "lw_kd": lw_kd,
    "hkd": of_pair("hkd", weights="published", num_detections=4, score_threshold=0.0),
    "auto": of_pair("auto"),
    "ld": of_pair("ld"),
    "adl": of_pair("adl"),
    "sad": of_pair("sad"),
    "mutual": of_pair("mutual"),
    "mean_teacher": lambda: methods.get("mean_teacher")(detector(2)),
}
LIGHT = ("kd",)
EACH = [name if name in LIGHT else pytest.param(name, marks=pytest.mark.long) for name in MAKERS]


def batch(name):
    generator = np.random.default_rng(0)
    side = 32 if name in CLASSIFIED else 64
    images = generator.uniform(0, 255, (4, side, side, 3)).astype("float32")
    if name in CLASSIFIED:
        return images, {"classes": np.array([0, 1, 1, -1], "int32")}
    boxes = np.full((4, 2, 4), -1.0, "float32")
    boxes[:3, 0], boxes[1, 1] = (10, 8, 40, 56), (30, 10, 50, 60)
    classes = np.where(boxes[..., 2] > 0, 0.0, -1.0).astype("float32")
    return images, {"boxes": boxes, "classes": classes}


def one_step(name, jit_compile):
    keras.utils.set_random_seed(0)
    distiller = MAKERS[name]()
    optimizer = keras.optimizers.SGD(1e-2 if name in CLASSIFIED else 1e-4)
    distiller.compile(optimizer=optimizer, jit_compile=jit_compile)
    before = [keras.ops.convert_to_numpy(one) for one in distiller.student.trainable_variables]
    logs = distiller.train_on_batch(*batch(name), return_dict=True)
    after = [keras.ops.convert_to_numpy(one) for one in distiller.student.weights]
    moved = [
        float(np.abs(keras.ops.convert_to_numpy(b) - a).max())
        for a, b in zip(before, distiller.student.trainable_variables, strict=True)
    ]
    return after, logs, max(moved)


def test_every_method_is_tried():
    assert set(MAKERS) == set(methods.METHODS)


@pytest.mark.parametrize("name", EACH)
def test_xla_takes_the_step_of_the_graph(name):
    plain, plain_logs, moved = one_step(name, jit_compile=False)
    compiled, compiled_logs, _ = one_step(name, jit_compile=True)
    assert moved > 1e-5
    for a, b in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-4)
    for key, value in plain_logs.items():
        np.testing.assert_allclose(compiled_logs[key], value, rtol=1e-4, atol=1e-4, err_msg=key)


# Operations that TensorFlow has for the CPU alone, and those that call back into Python.
ON_THE_HOST = {
    *("PyFunc", "PyFuncStateless", "EagerPyFunc", "PrintV2", "Print", "ReadFile", "DecodeJpeg"),
    *("NonMaxSuppression", "NonMaxSuppressionV5", "Unique", "UniqueV2", "UniqueWithCounts"),
    *(
        "SparseFillEmptyRows",
        "LookupTableFindV2",
        "StringFormat",
        "AsString",
        "DebugNumericSummary",
    ),
}


@pytest.mark.parametrize("name", EACH)
def test_nothing_in_the_step_goes_over_the_host(name):
    import tensorflow as tf

    distiller = MAKERS[name]()
    distiller.compile(optimizer=keras.optimizers.SGD(1e-2), jit_compile=False)
    images, labels = batch(name)
    distiller.optimizer.build(distiller.trainable_variables)
    step = tf.function(lambda data: distiller.train_step(data), autograph=False)
    traced = step.get_concrete_function(
        keras.tree.map_structure(tf.convert_to_tensor, (images, labels))
    )
    definition = traced.graph.as_graph_def()
    nodes = [*definition.node, *(n for f in definition.library.function for n in f.node_def)]
    kinds = {node.op for node in nodes}
    assert {"Conv2D", "ResourceApplyGradientDescent"} & kinds or "AssignSubVariableOp" in kinds
    assert not kinds & ON_THE_HOST
    strings = [
        node.name
        for node in nodes
        if node.op not in ("Const", "Assert") and node.attr["T"].type == tf.string.as_datatype_enum
    ]
    assert not strings


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", EACH)
def test_half_precision_trains(name, half):
    settings = TrainingSettings(
        epochs=1, batch_size=4, warmup_epochs=0, mixed_precision=True, half_precision=half
    )
    with training_scope(settings):
        distiller = MAKERS[name]()
        distiller.compile(optimizer=build_optimizer(settings, 4), jit_compile=False)
    computed = {layer.compute_dtype for layer in distiller.student.network.layers}
    assert half in computed
    for step in range(1, 13):
        logs = distiller.train_on_batch(*batch(name), return_dict=True)
        assert all(np.isfinite(value) for value in logs.values()), logs
        taken = int(keras.ops.convert_to_numpy(distiller.optimizer.iterations))
        if step >= 3 and (taken or half == "bfloat16"):
            break
    # The scale of a float16 loss starts high: steps that overflow are left out and halve it.
    assert taken == 3 if half == "bfloat16" else 1 <= taken <= 3
    for weight in distiller.student.weights:
        assert np.isfinite(keras.ops.convert_to_numpy(weight)).all()
        assert weight.dtype == "float32"
