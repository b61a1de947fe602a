"""The Distiller: a Keras model that trains a compact detector under a heavy one."""

import keras
from keras import ops

from keras_hkd.detectors.adaptation import as_detector
from keras_hkd.detectors.detector import check_labels, compiles_by_default, static_image_size
from keras_hkd.distillation import schedules
from keras_hkd.distillation.teacher_hash import weights_hash
from keras_hkd.hierarchies.hierarchy import Hierarchy
from keras_hkd.hierarchies.keras_loss import KerasLoss
from keras_hkd.hierarchies.step import Step
from keras_hkd.replicas import num_replicas


@keras.saving.register_keras_serializable(package="keras_hkd")
class Distiller(keras.Model):
    """Trains a student detector on its own loss and on what a frozen teacher knows.

    `L = student_loss_weight * L_detection + sum_i w_i(step) * L_i`

    One forward pass of the student and one of the teacher make a step; the teacher runs in
    inference mode outside the gradient, and no weight of it changes. Every term is logged under the
    name of its hierarchy. After training `distiller.student` is the bare student: projections and
    teacher stay behind.

    Args:
        teacher: a `Detector` or a KerasCV detector. It is frozen: `trainable` becomes False.
        student: a `Detector` or a KerasCV detector, trained in place.
        distillation_losses: hierarchies, or `keras.distillation.DistillationLoss` objects; one or a
            list, empty for the student's loss alone.
        distillation_loss_weights: a number or schedule for each of them; 1 by default.
        student_loss_weight: weight of the student's own detection loss.

    Raises:
        TypeError: something that is no detector or no hierarchy.
        ValueError: a pair that a hierarchy cannot compare, weights that do not fit the losses, or
            teacher and student that share weights.

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
        self.teacher = as_detector(teacher)
        self.student = as_detector(student)
        _check_apart(self.teacher, self.student)
        self.teacher.trainable = False
        self.distillation_losses = _as_hierarchies(distillation_losses)
        self.distillation_loss_weights = _as_schedules(
            distillation_loss_weights, self.distillation_losses
        )
        self.student_loss_weight = float(student_loss_weight)
        for hierarchy in self.distillation_losses:
            hierarchy.attach(self.teacher, self.student)
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
            for name in (*self.student.loss_names, *(f"{name}_loss" for name in self.term_names))
        ]
        self._teacher_hash = None
        if not compiles_by_default():
            self.jit_compile = False  # Keras would compile the `predict` of an uncompiled model
        self.built = True

    def __dir__(self):
        # Keras saves whatever `dir` shows, and the teacher must never be saved with the student.
        return [name for name in super().__dir__() if name not in ("teacher", "layers")]

    @property
    def teacher_hash(self):
        """SHA-256 of the teacher's weights: a resumed run must have the same teacher."""
        if self._teacher_hash is None:
            self._teacher_hash = weights_hash(self.teacher)
        return self._teacher_hash

    @property
    def projections(self):
        """Layers that the Distiller trains and leaves behind at export."""
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
        """Configures training; the detection loss is the student's own.

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
                "Distiller.compile takes no `loss`: the student has its own detection loss, and "
                "the other terms are `distillation_losses`. "
                f"Received: loss={kwargs['loss']!r}"
            )
        if jit_compile is None:
            jit_compile = compiles_by_default()
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)

    def call(self, images, training=False):
        """Raw predictions of the student; see `Detector.call`."""
        return self.student(images, training=training)

    def compute_output_spec(self, images, training=False):
        return self.student.compute_output_spec(images, training=training)

    def compute_terms(self, x, y, y_pred):
        """Every term of the loss before weighting, by name: the student's two, then the others.

        Args:
            x: images `(batch, height, width, 3)`.
            y: labels dict.
            y_pred: what `call` returned for `x`.
        """
        image_size = static_image_size(x)
        labels = check_labels(y)
        assignment = self.student.assign(y_pred, labels, image_size)
        terms = self.student.detection_losses(y_pred, assignment, image_size)
        if not self.distillation_losses:
            return terms
        teacher_outputs = keras.tree.map_structure(
            ops.stop_gradient, self.teacher(x, training=False)
        )
        step = Step(
            self.teacher, self.student, teacher_outputs, y_pred, labels, assignment, image_size
        )
        for name, hierarchy in zip(self.term_names, self.distillation_losses, strict=True):
            terms[f"{name}_loss"] = hierarchy.compute(step)
        return terms

    def term_weights(self):
        """Weights of the terms at the present step, in the order of `compute_terms`."""
        own = [self.student_loss_weight] * len(self.student.loss_names)
        return [*own, *(schedule(self.steps_taken) for schedule in self.distillation_loss_weights)]

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True, **kwargs
    ):
        """Weighted sum of all terms, scaled so that replicas add up to the whole batch's loss."""
        terms = self.compute_terms(x, y, y_pred)
        for tracker, value in zip(self.loss_trackers, terms.values(), strict=True):
            tracker.update_state(value)
        total = sum(
            weight * value
            for weight, value in zip(self.term_weights(), terms.values(), strict=True)
        )
        if training:
            self.steps_taken.assign_add(1)
        return (total + sum(self.student.losses)) / num_replicas()

    def predict_step(self, *args):
        """Detections of the student; see `Detector.predict_step`."""
        return self.student.decoded(super().predict_step(*args), args[-1])

    def save(self, filepath, *args, **kwargs):
        """Refused: what a Distiller makes is `distiller.student`.

        Raises:
            ValueError: always, with what to save instead.
        """
        raise ValueError(
            "A Distiller is not saved as a model, since that would ship the teacher. Save the "
            "result with `distiller.student.save('student.keras')`; to resume training use "
            "`keras_hkd.training.Checkpoint`, or `distiller.save_weights('x.weights.h5')`, which "
            f"holds student, projections and optimizer. Received: filepath={filepath!r}"
        )

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "teacher": serialize(self.teacher),
            "student": serialize(self.student),
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
    shared = {id(v) for v in teacher.variables} & {id(v) for v in student.variables}
    if shared:
        raise ValueError(
            f"Teacher and student share {len(shared)} variables, so the teacher would change with "
            "the student. Build them separately; a copy of a saved detector is had with "
            "keras_hkd.load_detector(path)."
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
