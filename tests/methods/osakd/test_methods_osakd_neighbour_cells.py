"""OSAKD's soft labels in a detector: which cells, whose logit, whose neighbours."""

import keras
import numpy as np
import pytest

from keras_hkd.methods.osakd.neighbour_cells import NeighbourCells


def searched(step, k, max_positives=32):
    """Labels, logits and cells in NumPy, cell by cell."""
    outputs, assignment = step.student_outputs, step.assignment
    towers = [outputs["class_tower"][level] for level in step.student.levels]
    vectors = np.concatenate([t.reshape(len(t), -1, t.shape[-1]) for t in towers], axis=1)
    cells, per_cell = vectors.shape[1], step.student.anchors_per_cell
    chosen = []
    for image in range(len(vectors)):
        positives, negatives = [], []
        for cell in range(cells):
            anchors = slice(cell * per_cell, (cell + 1) * per_cell)
            positive = assignment.positive[image, anchors]
            logits = outputs["class_logits"][image, anchors, 0]
            if positive.any():
                positives.append((logits[positive].max(), image, cell, 1))
            elif not assignment.ignored[image, anchors].all():
                logit = logits[~assignment.ignored[image, anchors]].max()
                negatives.append((logit, image, cell, 0))
        positives = sorted(positives, reverse=True)[:max_positives]
        chosen += positives + sorted(negatives, reverse=True)[: len(positives)]
    points = np.array([vectors[image, cell] for _, image, cell, _ in chosen], "float64")
    classes = np.array([positive for *_, positive in chosen])
    labels = []
    for row, point in enumerate(points):
        order = np.argsort(((points - point) ** 2).sum(-1), kind="stable")
        labels.append(classes[[i for i in order if i != row][:k]].mean())
    return np.array(labels), np.array([logit for logit, *_ in chosen])


def bernoulli_kl(s, logits):
    p = 1 / (1 + np.exp(-logits.astype("float64")))

    def part(a, b):
        return np.where(a > 0, a * np.log(np.where(a > 0, a, 1) / b), 0)

    return part(s, p) + part(1 - s, 1 - p)


@pytest.mark.parametrize("anchors_per_cell", [1, 3])
@pytest.mark.parametrize("max_positives", [4, 32])
def test_positives_and_as_many_hard_negatives(family, step_of, anchors_per_cell, max_positives):
    detector = family(width=5)
    detector.anchors_per_cell = anchors_per_cell
    step = step_of(family(), detector, student_seed=3)
    hierarchy = NeighbourCells(num_neighbours=4, max_positives=max_positives)
    hierarchy.attach(None, detector)
    labels, logits = searched(step, 4, max_positives)
    wanted = bernoulli_kl(labels, logits).mean()
    assert float(hierarchy.compute(step)) == pytest.approx(wanted, rel=1e-5)
    assert set(np.round(labels * 4, 6)) <= {0, 1, 2, 3, 4}


def test_nobody_in_the_images(family, step_of):
    step = step_of(family(), family())
    step.assignment = step.assignment._replace(positive=np.zeros_like(step.assignment.positive))
    assert float(NeighbourCells().compute(step)) == 0.0


def test_detectors_that_it_cannot_read_are_refused(family):
    with pytest.raises(ValueError, match="one class from background"):
        NeighbourCells().attach(None, family(class_names=("person", "dog")))
    with pytest.raises(ValueError, match="cannot read the student's class head"):
        NeighbourCells().attach(None, family(tower=False))
    with pytest.raises(ValueError, match="whole number"):
        NeighbourCells(max_positives=0)


def test_no_gradient_passes_through_the_vectors(family, step_of):
    import tensorflow as tf

    step = step_of(family(), family())
    towers = {k: tf.Variable(v) for k, v in step.student_outputs["class_tower"].items()}
    logits = tf.Variable(step.student_outputs["class_logits"])
    step.student_outputs = {"class_tower": towers, "class_logits": logits}
    with tf.GradientTape() as tape:
        loss = NeighbourCells().compute(step)
    *of_towers, of_logits = tape.gradient(loss, [*towers.values(), logits])
    assert of_towers == [None] * len(towers)
    assert np.any(tf.convert_to_tensor(of_logits))


def test_config_round_trip():
    hierarchy = NeighbourCells(num_neighbours=3, max_positives=5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(hierarchy))
    assert (again.num_neighbours, again.max_positives) == (3, 5)
    assert again.loss.activation == "sigmoid" and isinstance(again.name, str)


TWO_REPLICAS = """
    import numpy as np
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

    from keras_hkd.methods.osakd.neighbour_cells import Cells, NeighbourCells

    rng = np.random.default_rng(0)
    cells = Cells(
        rng.normal(size=(4, 6, 3)).astype("float32"),
        rng.normal(size=(4, 6)).astype("float32"),
        rng.uniform(size=(4, 6)) < 0.5,
        rng.uniform(size=(4, 6)) < 0.8,
    )
    hierarchy = NeighbourCells(num_neighbours=5)
    whole = [np.asarray(one) for one in hierarchy.soft_labels(cells)]
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    halves = Cells(*(
        strategy.experimental_distribute_values_from_function(
            lambda context, of=of: tf.constant(of[2 * context.replica_id_in_sync_group:][:2]))
        for of in cells
    ))
    found = strategy.run(lambda *parts: hierarchy.soft_labels(Cells(*parts)), args=tuple(halves))
    for expected, parts in zip(whole, found):
        joined = np.concatenate(strategy.experimental_local_results(parts))
        np.testing.assert_allclose(joined, expected, rtol=1e-6)
    print("EQUAL")
"""


@pytest.mark.own_process
@pytest.mark.slow
def test_neighbours_are_those_of_the_whole_batch_on_two_devices(fresh_python):
    assert fresh_python(TWO_REPLICAS).endswith("EQUAL\n")
