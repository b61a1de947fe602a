"""The Distiller: a Keras model that trains a compact model under a heavy one."""

import keras
from keras import ops

from keras_hkd.distillation import schedules
from keras_hkd.distillation.learners import as_learner
from keras_hkd.distillation.teacher_hash import weights_hash
from keras_hkd.hierarchies.hierarchy import Hierarchy
from keras_hkd.hierarchies.keras_loss import KerasLoss
from keras_hkd.hierarchies.step import Step
from keras_hkd.learner import check_batch, compiles_by_default, static_image_size
from keras_hkd.replicas import num_replicas


@keras.saving.register_keras_serializable(package="keras_hkd")
class Distiller(keras.Model):
    """Trains a student on its own loss and on what a frozen teacher knows.

    `L = student_loss_weight * L_task + sum_i w_i(step) * L_i`

    Teacher and student are detectors or classifiers. One forward pass of the student and one of
    the teacher make a step; the teacher runs in inference mode outside the gradient, and no weight
    of it changes. Every term is logged under the name of its hierarchy. What is trained is
    `distiller.learner` and the layers of the hierarchies; what ships is `distiller.student`, the
    learner's bare model: projections, auxiliary branches and teacher stay behind.

    Args:
        teacher: a `Detector`, a `Classifier`, a KerasCV detector, or a functional model that ends
            in logits. It is frozen: `trainable` becomes False. None where no hierarchy needs one.
        student: one of these, trained in place.
        distillation_losses: hierarchies, or `keras.distillation.DistillationLoss` objects; one or a
            list, empty for the student's loss alone.
        distillation_loss_weights: a number or schedule for each of them; 1 by default.
        student_loss_weight: weight of the student's own loss.

    Attributes:
        learner: what is trained, with whatever auxiliary parts it has.
        student: the bare model that is distilled, `learner.deployed`.
        teacher: the frozen teacher, or None.

    Raises:
        TypeError: something that is no detector, classifier or hierarchy.
        ValueError: a pair that a hierarchy cannot compare, no teacher for one that needs it,
            weights that do not fit the losses, or teacher and student that share weights.

    Example:
    >>> import keras_hkd
    >>> from keras_hkd.detectors import build
    >>> distiller = keras_hkd.Distiller(
    ...     teacher=build("yolo_v8_mobilenet_v2_0.35", image_size=(64, 64)),
    ...     student=build("yolo_v8_micro", image_size=(64, 64)),
    ...     distillation_losses=[
    ...         keras_hkd.hierarchies.Pyramid(keras_hkd.losses.PearsonCorrelation()),
    ...     ],
    ... )
    >>> distiller.term_names
    ('pyramid',)
    """

    def __init__(
        self,
        teacher,
        student,
        distillation_losses,
        distillation_loss_weights=None,
        student_loss_weight=1.0,
        name="distiller",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        self.teacher = None if teacher is None else as_learner(teacher)
        self.learner = as_learner(student)
        _check_apart(self.teacher, self.learner)
        self.distillation_losses = _as_hierarchies(distillation_losses)
        self.distillation_loss_weights = _as_schedules(
            distillation_loss_weights, self.distillation_losses
        )
        self.student_loss_weight = float(student_loss_weight)
        for hierarchy in self.distillation_losses:
            _check_served(hierarchy, self.teacher, self.learner)
            hierarchy.attach(self.teacher, self.learner)
        self._freeze()
        self.term_names = _unique_names(self.distillation_losses)
        self.steps_taken = self.add_weight(
            shape=(),
            initializer="zeros",
            dtype="int32",
            trainable=False,
            name="steps_taken",
            aggregation="only_first_replica",
        )
        self.loss_trackers = [
            keras.metrics.Mean(name=name)
            for name in (*self.learner.loss_names, *(f"{name}_loss" for name in self.term_names))
        ]
        self._teacher_hash = None
        if not compiles_by_default():
            self.jit_compile = False  # Keras would compile the `predict` of an uncompiled model
        self.built = True

    def __dir__(self):
        # Keras saves whatever `dir` shows, and the teacher must never be saved with the student.
        return [name for name in super().__dir__() if name not in ("teacher", "layers")]

    @property
    def student(self):
        """The bare model that is distilled, without auxiliary parts."""
        return self.learner.deployed

    @property
    def trainable(self):
        """Whether the student and the hierarchies' own layers train; the teacher never does."""
        return keras.Model.trainable.fget(self)

    @trainable.setter
    def trainable(self, value):
        keras.Model.trainable.fset(self, value)
        self._freeze()

    def _freeze(self):
        if getattr(self, "teacher", None) is not None:
            self.teacher.trainable = False
        for hierarchy in getattr(self, "distillation_losses", ()):
            for layer in hierarchy.frozen_layers:
                layer.trainable = False

    @property
    def teacher_hash(self):
        """SHA-256 of the teacher's weights, None without one: a resumed run needs the same."""
        if self._teacher_hash is None and self.teacher is not None:
            self._teacher_hash = weights_hash(self.teacher)
        return self._teacher_hash

    @property
    def projections(self):
        """The adapters between widths that the Distiller trains and leaves behind at export."""
        return [
            layer
            for hierarchy in self.distillation_losses
            for layer in hierarchy.projections.values()
        ]

    @property
    def metrics(self):
        """The total loss and its terms."""
        trackers = [] if self._loss_tracker is None else [self._loss_tracker]
        return [*trackers, *self.loss_trackers]

    def compile(self, optimizer="adamw", jit_compile=None, **kwargs):
        """Configures training; the task loss is the student's own.

        Args:
            optimizer: Keras optimizer, its name or config.
            jit_compile: compile the step with XLA; None for where it pays by default, which is on
                JAX and not on TensorFlow.
            **kwargs: of `keras.Model.compile`, except `loss`.

        Raises:
            ValueError: a `loss` is given.
        """
        if kwargs.get("loss") is not None:
            raise ValueError(
                "Distiller.compile takes no `loss`: the student has its own, and "
                "the other terms are `distillation_losses`. "
                f"Received: loss={kwargs['loss']!r}"
            )
        if jit_compile is None:
            jit_compile = compiles_by_default()
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)

    def call(self, images, training=False):
        """Raw predictions of the learner; see `Detector.call` and `Classifier.call`."""
        return self.learner(images, training=training)

    def compute_output_spec(self, images, training=False):
        return self.learner.compute_output_spec(images, training=training)

    def train_step(self, *args):
        """One step of Keras on a batch of images and labels."""
        check_batch(args[-1])
        return super().train_step(*args)

    def test_step(self, *args):
        """One step of `evaluate` on a batch of images and labels."""
        check_batch(args[-1])
        return super().test_step(*args)

    def compute_terms(self, x, y, y_pred, training=False):
        """Every term of the loss before weighting, by name: the student's own, then the others.

        Args:
            x: images `(batch, height, width, 3)`.
            y: labels dict.
            y_pred: what `call` returned for `x`.
            training: whether hierarchies are to update what they keep, such as a queue.
        """
        image_size = static_image_size(x)
        labels = self.learner.check_labels(y)
        assignment = self.learner.assign(y_pred, labels, image_size)
        terms = self.learner.task_losses(y_pred, assignment, image_size)
        step = Step(
            self.teacher,
            self.learner,
            self._teach(x),
            y_pred,
            labels,
            assignment,
            image_size,
            images=x,
            training=training,
        )
        for name, hierarchy in zip(self.term_names, self.distillation_losses, strict=True):
            terms[f"{name}_loss"] = hierarchy.compute(step)
        return terms

    def _teach(self, images):
        """The teacher's outputs without gradient; None where nobody asks for them."""
        if not any(hierarchy.needs_teacher for hierarchy in self.distillation_losses):
            return None
        outputs = self.teacher(images, training=False)
        return keras.tree.map_structure(ops.stop_gradient, outputs)

    def term_weights(self):
        """Weights of the terms at the present step, in the order of `compute_terms`."""
        own = [self.student_loss_weight] * len(self.learner.loss_names)
        return [*own, *(schedule(self.steps_taken) for schedule in self.distillation_loss_weights)]

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True, **kwargs
    ):
        """Weighted sum of all terms, scaled so that replicas add up to the whole batch's loss."""
        terms = self.compute_terms(x, y, y_pred, training)
        for tracker, value in zip(self.loss_trackers, terms.values(), strict=True):
            tracker.update_state(value)
        total = sum(
            weight * value
            for weight, value in zip(self.term_weights(), terms.values(), strict=True)
        )
        if training:
            self.steps_taken.assign_add(1)
        regularizers = [self.learner, *self.distillation_losses]
        penalties = [penalty for layer in regularizers for penalty in layer.losses]
        return (total + sum(penalties)) / num_replicas()

    def predict_step(self, *args):
        """What the student's `predict` gives: detections, or scores of classes."""
        return self.learner.decoded(super().predict_step(*args), args[-1])

    def save(self, filepath, *args, **kwargs):
        """Refused: what a Distiller makes is `distiller.student`.

        Raises:
            ValueError: always, with what to save instead.
        """
        raise ValueError(
            "A Distiller is not saved as a model, since that would ship the teacher. Save the "
            "result with `distiller.student.save('student.keras')`; to resume training use "
            "`keras_hkd.training.Checkpoint`, or `distiller.save_weights('x.weights.h5')`, which "
            f"holds student, hierarchies and optimizer. Received: filepath={filepath!r}"
        )

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "teacher": serialize(self.teacher),
            "student": serialize(self.learner),
            "distillation_losses": [serialize(loss) for loss in self.distillation_losses],
            "distillation_loss_weights": [serialize(w) for w in self.distillation_loss_weights],
            "student_loss_weight": self.student_loss_weight,
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        deserialize = keras.saving.deserialize_keras_object
        for key in ("teacher", "student"):
            config[key] = deserialize(config[key])
        for key in ("distillation_losses", "distillation_loss_weights"):
            config[key] = [deserialize(value) for value in config[key]]
        return cls(**config)


def _check_apart(teacher, student):
    if teacher is None:
        return
    shared = {id(v) for v in teacher.variables} & {id(v) for v in student.variables}
    if shared:
        raise ValueError(
            f"Teacher and student share {len(shared)} variables, so the teacher would change with "
            "the student. Build them separately; a copy of a saved detector is had with "
            "keras_hkd.load_detector(path) or keras_hkd.load_classifier(path)."
        )


def _check_served(hierarchy, teacher, student):
    """Raises a ValueError unless a hierarchy has its teacher and reads this kind of model."""
    name = type(hierarchy).__name__
    if hierarchy.needs_teacher and teacher is None:
        raise ValueError(f"{name} needs a teacher. Received: teacher=None")
    for role, model in (("teacher", teacher), ("student", student)):
        if model is not None and model.kind not in hierarchy.learner_kinds:
            raise ValueError(
                f"{name} reads {' and '.join(f'{kind}s' for kind in hierarchy.learner_kinds)} "
                f"only. Received: a {model.kind} as {role}, '{model.name}'."
            )


def _as_hierarchies(losses):
    if not isinstance(losses, (list, tuple)):
        losses = [losses]
    hierarchies = []
    for loss in losses:
        if isinstance(loss, keras.distillation.DistillationLoss):
            loss = KerasLoss(loss)
        if not isinstance(loss, Hierarchy):
            raise TypeError(
                "`distillation_losses` must hold hierarchies, such as "
                "keras_hkd.hierarchies.Pyramid(keras_hkd.losses.FeatureImitation()), or "
                f"keras.distillation.DistillationLoss objects. Received: {loss!r}"
            )
        hierarchies.append(loss)
    return hierarchies


def _as_schedules(weights, losses):
    if weights is None:
        weights = [1.0] * len(losses)
    if not isinstance(weights, (list, tuple)):
        weights = [weights]
    if len(weights) != len(losses):
        raise ValueError(
            "`distillation_loss_weights` needs one weight for each of `distillation_losses`. "
            f"Received: {len(weights)} weights for {len(losses)} losses."
        )
    return [schedules.get(weight) for weight in weights]


def _unique_names(hierarchies):
    names = []
    for hierarchy in hierarchies:
        name, number = hierarchy.name, 2
        while name in names:
            name, number = f"{hierarchy.name}_{number}", number + 1
        names.append(name)
    return tuple(names)
