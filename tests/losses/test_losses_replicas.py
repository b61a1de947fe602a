"""Every loss over two devices that share a batch unevenly, beside the same loss on one."""

import pytest

SCRIPT = """
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from keras_hkd import losses

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
generator = np.random.default_rng(0)


def normal(*shape):
    return generator.normal(size=(4, *shape)).astype("float32")


def shares(*shape):
    values = generator.uniform(size=(4, *shape)).astype("float32")
    values[:2] *= 0.1  # one replica has far less weight than the other
    values[0] = 0.0
    return values


corners = np.sort(generator.uniform(0, 64, (4, 2, 9, 2)), axis=1).astype("float32")
boxes = np.concatenate([corners[:, 0], corners[:, 1] + 2], axis=-1)
people = boxes[:, :3].copy()
people[1:3, 1:] = -1.0
people[0] = -1.0
maps = {"teacher": normal(8, 8, 6), "student": normal(8, 8, 6)}
where = {"boxes": people}
regions = {"teacher": normal(5, 3, 3, 6), "student": normal(5, 3, 3, 6), "mask": shares(5) > 0.05}
rows = {"teacher": normal(9, 4), "student": normal(9, 4), "mask": shares(9)}
bins = {"teacher": normal(9, 4, 8), "student": normal(9, 4, 8), "mask": shares(9)}
pixels = {"teacher": boxes, "student": boxes + 3 * normal(9, 4), "mask": shares(9)}
positives = shares(9) > 0.08
labels = np.where(positives, generator.integers(0, 4, (4, 9)), -1)
soft = {**rows, "teacher": np.asarray(tf.nn.softmax(rows["teacher"]))}
attention = losses.AttentionNonLocal(feature_weight=0.1, relation_weight=0.1)
attention.build(6, 6)  # here, since both devices read one set of layers
CASES = {
    "FeatureImitation": (losses.FeatureImitation(), {**regions}),
    "AttentionTransfer": (losses.AttentionTransfer(), maps),
    "PearsonCorrelation": (losses.PearsonCorrelation(), maps),
    "ChannelWiseDivergence": (losses.ChannelWiseDivergence(), maps),
    "AttentionNonLocal": (attention, maps),
    "FocalGlobal": (losses.FocalGlobal(relation_weight=0.0), {**maps, **where}),
    "FineGrainedImitation": (losses.FineGrainedImitation(adapter="none"), {**maps, **where}),
    "HierarchicalContext": (losses.HierarchicalContext(), maps),
    "RegionRelation": (losses.RegionRelation(), regions),
    "LogitDistillation": (losses.LogitDistillation(), rows),
    "DecoupledDistillation": (losses.DecoupledDistillation(), {**rows, "labels": labels}),
    "DIST": (losses.DIST(), rows),
    "AdaptiveDistillation": (losses.AdaptiveDistillation(), rows),
    "QualityFocalDistillation": (
        losses.QualityFocalDistillation(), {**rows, "positives": positives}
    ),
    "QualityFocalDistillation alone": (losses.QualityFocalDistillation(), rows),
    "SoftLabelDivergence": (losses.SoftLabelDivergence(), soft),
    "LocalizationDistillation": (
        losses.LocalizationDistillation(),
        {**bins, "student_scores": shares(9), "valuable": shares(9)},
    ),
    "GIoU": (losses.GIoU(), {**pixels, "teacher_scores": shares(9), "positives": positives}),
    "GIoU alone": (losses.GIoU(), pixels),
    "TeacherBoundedRegression": (
        losses.TeacherBoundedRegression(margin=9.0), {**pixels, "targets": boxes + 1},
    ),
}
KNOWN_SIZE = ("FocalGlobal", "FineGrainedImitation")


def value_and_slope(name, loss, tensors):
    scale = tf.constant(1.0)
    options = {"image_size": (64, 64)} if name in KNOWN_SIZE else {}
    tensors = dict(tensors)
    teacher, student = tensors.pop("teacher"), tensors.pop("student")
    with tf.GradientTape() as tape:
        tape.watch(scale)
        value = loss(teacher, student * scale, **tensors, **options)
    return value, tape.gradient(value, scale)


@tf.function
def on_one():
    return {
        name: value_and_slope(name, loss, {k: tf.constant(x) for k, x in tensors.items()})
        for name, (loss, tensors) in CASES.items()
    }


def in_replica():
    half = 2 * tf.distribute.get_replica_context().replica_id_in_sync_group

    def share(x):
        # Images 0 and 1 go to one replica, 2 and 3 to the other.
        return tf.ensure_shape(tf.constant(x)[half : half + 2], (2, *x.shape[1:]))

    return {
        name: value_and_slope(name, loss, {k: share(x) for k, x in tensors.items()})
        for name, (loss, tensors) in CASES.items()
    }


@tf.function
def on_two():
    found = strategy.run(in_replica)
    return tf.nest.map_structure(lambda x: strategy.reduce("MEAN", x, axis=None), found)


one, two = on_one(), on_two()
faults = []
for name in CASES:
    for what, a, b in zip(("value", "slope"), one[name], two[name]):
        if not np.isclose(a, b, rtol=2e-4, atol=1e-6) or not float(one[name][0]) > 0:
            faults.append(f"{name}: {what} {float(a)} on one device, {float(b)} on two")
assert not faults, faults
missing = set(losses.__all__) - {name.split()[0] for name in CASES}
assert missing == {"DistillationLoss", "LearnableLoss", "MaskedGenerative"}, missing
print("EQUAL")
"""


@pytest.mark.long
@pytest.mark.own_process
def test_every_loss_is_that_of_the_whole_batch(fresh_python):
    """All but MaskedGenerative, which hides cells at random."""
    assert fresh_python(SCRIPT).endswith("EQUAL\n")
