"""Balanced terms beside GradNorm and uncertainty weighting: `make weighting`, resumable.

One pair, three seeds, one budget: RTMDet-nano teaches a YOLOV8 student the terms that are chosen
for such a pair, at 128 px and for 6 epochs; weighed by shares of the gradient that are measured
once (`balanced`), once more after the first epoch (`rebalanced`), or once after the projections of
the terms were trained alone (`warmed`); by GradNorm (Chen et al., ICML 2018, arXiv:1711.02257); and
by uncertainty (Kendall et al., CVPR 2018, arXiv:1705.07115); and the student alone. The student's
own losses are one task, each term another. GradNorm, uncertainty and training projections alone are
no part of the package.
Figures: `results/weighting.json`, one file a run in `results/weighting/`.
"""

import json
import pathlib
import subprocess
import sys

import keras
from figures import made_with
from proof import imported
from proof_runs import ROOT, SHARED, arguments, facts_of
from tables import compare, table, write_table

import keras_hkd
from keras_hkd.distillation.balance import NUM_BATCHES
from keras_hkd.distillation.first_batches import first_batches
from keras_hkd.json_files import write_json
from keras_hkd.learner import checked_batch
from keras_hkd.replicas import num_replicas

DATA = SHARED / "data"
RESULTS = ROOT / "benchmarks" / "results"
RECORDS = RESULTS / "weighting"
STUDENT = "yolo_v8_mobilenet_v2_0.35"
START = SHARED / "weights" / "mobilenet_v2_0.35_96_notop.weights.h5"
TRAINED_ON = ("coco_person", "coco_person_nc")
TESTS = ("coco_person", "pennfudan", "pets_s3mf1")
SIDE, BATCH_SIZE, EPOCHS = 128, 16, 6
SEEDS = (0, 1, 2)
SHOWN = ("AP", "AP50", "MR2")
# Of both: the paper of GradNorm has this rate, and nothing could be learnt here at the network's.
LEARNING_RATE = 0.025
ALPHA = 1.5
WARM_STEPS, WARM_LEARNING_RATE = 60, 1e-3
LABELS = {
    "alone": "student alone",
    "balanced": "balanced shares",
    "rebalanced": "balanced shares, measured anew after an epoch",
    "warmed": "balanced shares, measured after 60 steps of the projections",
    "gradnorm": "GradNorm",
    "uncertainty": "uncertainty weighting",
}


class WeighsTasks(keras_hkd.Distiller):
    """A Distiller that weighs tasks: the student's own losses together, and each term."""

    @property
    def num_tasks(self):
        return 1 + len(self.term_names)

    def task_weights(self):
        """Weights of the tasks."""
        raise NotImplementedError

    def term_weights(self):
        own, *others = keras.ops.unstack(self.task_weights(), self.num_tasks)
        return [own] * len(self.learner.loss_names) + others

    def tasks_of(self, terms):
        """Sums the student's own losses, of all terms."""
        values = list(terms.values())
        split = len(self.learner.loss_names)
        return [sum(values[:split]), *values[split:]]


@keras.saving.register_keras_serializable(package="benchmarks")
class Uncertainty(WeighsTasks):
    """`sum_i exp(-s_i) L_i + s_i`, `s_i` the logarithm of a task's variance, learnt as well."""

    faster = LEARNING_RATE / 1e-3  # Adam moves what is scaled so many times as far

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.scaled = self.add_weight(shape=(self.num_tasks,), initializer="zeros", name="scaled")

    def log_variances(self):
        return self.faster * keras.ops.convert_to_tensor(self.scaled)

    def task_weights(self):
        return keras.ops.exp(-self.log_variances())

    def compute_loss(self, *args, **kwargs):
        weighted = super().compute_loss(*args, **kwargs)
        return weighted + keras.ops.sum(self.log_variances()) / num_replicas()


@keras.saving.register_keras_serializable(package="benchmarks")
class GradNorm(WeighsTasks):
    """Moves the tasks' weights so that their gradients keep pace with how fast each is learnt.

    `G_i = |w_i dL_i/dtheta|` is pulled to `mean(G) * (r_i / mean(r)) ** alpha`, `r_i` the loss over
    its first value; weights sum to the number of tasks. Theta is the student's trainable weights,
    as of balanced terms; the paper takes one layer, which is cheaper.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        made = {"shape": (self.num_tasks,), "trainable": False}
        self.weight_of = self.add_weight(**made, initializer="ones", name="weight_of")
        self.first = self.add_weight(**made, initializer="zeros", name="first")
        # Adam of the weights alone, written out: an optimizer of its own would be no part of a
        # checkpoint.
        self.mean = self.add_weight(**made, initializer="zeros", name="mean")
        self.square = self.add_weight(**made, initializer="zeros", name="square")

    def task_weights(self):
        return keras.ops.convert_to_tensor(self.weight_of)

    def compute_terms(self, *args, **kwargs):
        self.terms = super().compute_terms(*args, **kwargs)  # of the step that is being traced
        return self.terms

    def train_step(self, data):
        import tensorflow as tf

        ((x, y, *_),) = checked_batch(self.learner, (data,))
        trained, weights = self.trainable_variables, self.task_weights()
        with tf.GradientTape(persistent=True) as tape:
            outputs = self(x, training=True)
            loss = self.compute_loss(x, y, outputs)
            tasks = tf.stack(self.tasks_of(self.terms))
            each = tf.unstack(tasks)
        self._loss_tracker.update_state(loss, sample_weight=tf.shape(x)[0])
        how = {"unconnected_gradients": tf.UnconnectedGradients.ZERO}
        gradients = [tape.gradient(one, [v.value for v in trained], **how) for one in each]
        summed = [
            sum(weight * one for weight, one in zip(tf.unstack(weights), of_variable, strict=True))
            for of_variable in zip(*gradients, strict=True)
        ]
        self.optimizer.apply_gradients(zip(summed, trained, strict=True))
        of_student = {id(v) for v in self.student.trainable_variables}
        norms = [
            tf.linalg.global_norm(
                [g for g, v in zip(one, trained, strict=True) if id(v) in of_student]
            )
            for one in gradients
        ]
        self._move_weights(tasks, tf.stack(norms))
        return self.compute_metrics(x, y, outputs)

    def _move_weights(self, tasks, norms):
        """A step of Adam along `d/dw sum_i |G_i - target_i|`, the targets held."""
        ops = keras.ops
        step = ops.cast(self.steps_taken, "float32")  # compute_loss has counted this one
        self.first.assign(ops.where(step <= 1, tasks, self.first))
        weighted = self.weight_of * norms
        rate = tasks / ops.maximum(self.first, 1e-12)
        target = ops.mean(weighted) * (rate / ops.mean(rate)) ** ALPHA
        slope = ops.sign(weighted - target) * norms
        self.mean.assign(0.9 * self.mean + 0.1 * slope)
        self.square.assign(0.999 * self.square + 0.001 * slope**2)
        mean, square = self.mean / (1 - 0.9**step), self.square / (1 - 0.999**step)
        moved = self.weight_of - LEARNING_RATE * mean / (ops.sqrt(square) + 1e-8)
        moved = ops.maximum(moved, 1e-4)
        self.weight_of.assign(moved * self.num_tasks / ops.sum(moved))


@keras.saving.register_keras_serializable(package="benchmarks")
class Warmed(keras_hkd.Distiller):
    """Trains the projections alone, the student held, before the shares are measured."""

    def fit(self, x=None, *args, **kwargs):
        if not self.balance.is_measured:
            read, x = first_batches(x, count=WARM_STEPS + NUM_BATCHES)
            self.train_projections(read[:WARM_STEPS])
            self.measure_balance(read[WARM_STEPS:])
        return super().fit(x, *args, **kwargs)

    def train_projections(self, batches):
        """A step of Adam on each batch, of what the student does not keep."""
        import tensorflow as tf

        of_student = {id(v) for v in self.student.trainable_variables}
        trained = [v for v in self.trainable_variables if id(v) not in of_student]
        optimizer = keras.optimizers.Adam(WARM_LEARNING_RATE)

        @tf.function
        def gradients_of(x, y):
            with tf.GradientTape() as tape, keras.StatelessScope():
                outputs = self(x, training=True)
                terms = self.compute_terms(x, y, outputs, training=True)
                loss = sum(list(terms.values())[len(self.learner.loss_names) :])
            return tape.gradient(loss, [v.value for v in trained])

        for batch in batches:
            *_, (x, y, *_) = checked_batch(self.learner, (batch,))
            optimizer.apply(gradients_of(x, y), trained)


WAYS = {
    "alone": lambda teacher, student: student,
    "balanced": keras_hkd.Distiller,
    "rebalanced": keras_hkd.Distiller,
    "warmed": Warmed,
    "gradnorm": lambda *pair: GradNorm(*pair, distillation_loss_weights=None),
    "uncertainty": lambda *pair: Uncertainty(*pair, distillation_loss_weights=None),
}
"""How terms are weighed -> what is trained, made of teacher and student."""


def main(runs, only=None):
    """Runs what is not finished yet, each in a process of its own; the table holds what is."""
    imported(runs / "proof")
    for seed in SEEDS:
        for way in WAYS:
            name = f"{way}_{seed}"
            if (RECORDS / f"{name}.json").exists() or (only and name not in only):
                continue
            program = [sys.executable, str(pathlib.Path(__file__).resolve())]
            subprocess.run([*program, "--runs", str(runs), "--run", name], check=True)
        write_results()


def one_run(runs, name):
    """Trains one student, measures it and leaves its figures."""
    from keras_hkd.data import load_dataset
    from keras_hkd.detectors import build
    from keras_hkd.evaluation import evaluate_detector
    from keras_hkd.training import TrainingSettings, train_model, training_scope

    way, seed = name.rsplit("_", 1)
    size = (SIDE, SIDE)
    settings = TrainingSettings(
        epochs=EPOCHS,
        image_size=size,
        batch_size=BATCH_SIZE,
        seed=int(seed),
        rebalance_after=(1,) if way == "rebalanced" else None,
    )
    images = load_dataset([f"{DATA / name}:train" for name in TRAINED_ON])
    with training_scope(settings):
        how = {"class_names": images.class_names, "backbone_weights": START, "seed": int(seed)}
        student = build(STUDENT, image_size=size, **how)
        teacher = keras_hkd.load_detector(imported(runs / "proof"))
        model = WAYS[way](teacher, student)
    out = runs / "weighting" / name
    history = train_model(model, images, settings, out, resume=True)
    scores = {
        test: evaluate_detector(student, load_dataset(f"{DATA / test}:test")) for test in TESTS
    }
    result = {
        "command": "make weighting",
        **facts_of(out),
        "training_seconds": sum(history["seconds"]),
        "weights": weights_of(model),
        "test": {test: {key: found[key] for key in SHOWN} for test, found in scores.items()},
    }
    write_json(RECORDS / f"{name}.json", result)


def weights_of(model):
    """The weights of the terms that a training ended with, the student's own losses first."""
    if not isinstance(model, keras_hkd.Distiller):
        return None
    split = len(model.learner.loss_names) - 1
    values = [float(keras.ops.convert_to_numpy(one)) for one in model.term_weights()[split:]]
    return dict(zip(("student", *model.term_names), values, strict=True))


def write_results():
    """Means, deviations and gains of the ways that have all seeds; the page's table."""
    results = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in RECORDS.glob("*.json")
    }
    groups = {way: [f"{way}_{seed}" for seed in SEEDS] for way in WAYS}
    if not (found := compare(results, groups, TESTS, SHOWN)):
        return
    facts = {"command": "make weighting", "made_with": made_with(), "ways": found}
    write_json(RESULTS / "weighting.json", facts)
    write_table("results/losses.md", "weighting", table(found, LABELS))


if __name__ == "__main__":
    given = arguments(__doc__, run="one run, by its name, in this process")
    if given.run:
        one_run(given.runs, given.run)
    else:
        main(given.runs, given.only)
