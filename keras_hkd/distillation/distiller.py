"""The Distiller: a Keras model that trains a compact model under a heavy one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Self

import keras

from keras_hkd.base_model import BaseModel
from keras_hkd.distillation import balance as balancing
from keras_hkd.distillation import default_terms
from keras_hkd.distillation import teachers as frozen
from keras_hkd.distillation.learners import as_learner
from keras_hkd.distillation.whole_model import refuse_saving, refuse_saving_whole
from keras_hkd.hierarchies.hierarchy import unique_names
from keras_hkd.hierarchies.keras_loss import as_hierarchies
from keras_hkd.hierarchies.step import Step
from keras_hkd.learner import checked_batch, checked_images, images_of, static_image_size
from keras_hkd.replicas import num_replicas
from keras_hkd.tensors import Tensor, TensorDict

if TYPE_CHECKING:
    from keras_hkd.hierarchies.hierarchy import Hierarchy
    from keras_hkd.learner import Learner


@keras.saving.register_keras_serializable(package="keras_hkd")
class Distiller(balancing.BalancesTerms, BaseModel):
    """Trains a student on its own loss and on terms that compare it with a frozen teacher.

    `L = student_loss_weight * L_task + sum_i w_i(step) * L_i`

    Teacher and student are detectors or classifiers. A step takes one forward pass of the student
    and one of the teacher; the teacher runs in inference mode without gradient, and its weights do
    not change. Every term is logged under the name of its hierarchy. The Distiller trains
    `distiller.learner` and the layers of the hierarchies. Save `distiller.student`, the bare model:
    it has no projections, auxiliary branches or teacher.

    Args:
        teacher: a `Detector`, a `Classifier`, a KerasCV detector, or a functional model that ends
            in logits. It is frozen: `trainable` becomes False. Or a `TeacherCache`, whose outputs
            the batches carry, so that no teacher runs; or None if no hierarchy needs one.
        student: a model of the same kinds, trained in place.
        distillation_losses: hierarchies, or `keras.distillation.DistillationLoss` objects; one or a
            list, empty for the student's loss only. By default they are chosen for the pair from
            the table `keras_hkd/distillation/default_terms.yaml`; `fit` prints which.
        distillation_loss_weights: "balanced", by which each term gets a share of the gradient,
            measured before the first step; see `shares`. Or a number or schedule for each term;
            None for 1.
        student_loss_weight: weight of the student's own loss.
        teacher_image_size: `(height, width)` in pixels to which the batch is resized for the
            teacher; None for the size of the batch. A list with one for each of several teachers.
        teacher_weights: a number for each of several teachers; equal shares of 1 by default.
        shares: for each term its share of the gradient at the student, above 0. They add up to
            less than 1; the rest is the share of the student's own loss. `fit` measures on its
            first eight batches which weights give these; schedules in `distillation_loss_weights`
            multiply them. By default chosen terms have the table's, given ones 0.5 in equal parts.
        name: name of the model.
        **kwargs: arguments of `keras.Model`.

    If `teacher` is a list, every hierarchy reads all teachers, weighted and each with its own
    projections, or one of them by its index: `Pyramid(loss, teacher=1)`. Each runs forward once per
    step. Teacher and student may be of different families and have different anchors or classes:
    `keras_hkd.hierarchies.possible(teacher, student)` lists what works and how.

    Attributes:
        learner: the model that is trained, with its auxiliary parts.
        student: the bare model that is distilled, `learner.deployed`.
        teacher: the frozen teacher, the first of several, or None.
        teachers: tuple of all teachers.
        teacher_sizes: for each `(height, width)` of the images that it sees; None for the batch's.
        balance: the measured scales of the terms, None where their weights are numbers.
        chosen: what was chosen and why, a text; None where `distillation_losses` were given.

    Raises:
        TypeError: if a model is no detector or classifier, or a loss no hierarchy.
        ValueError: if a hierarchy cannot compare the pair, or needs a teacher and there is none; if
            no default fits the pair, or weights the losses; or if both models share weights.

    Example:

    >>> import keras_hkd
    >>> from keras_hkd.detectors import build
    >>> distiller = keras_hkd.Distiller(
    ...     teacher=build("yolo_v8_mobilenet_v2_0.35", image_size=(64, 64)),
    ...     student=build("yolo_v8_micro", image_size=(64, 64)),
    ... )
    >>> distiller.term_names
    ('boxes', 'pyramid')

    Train and save the student as with any Keras model, `train_data` being batches of
    `keras_hkd.data.training_batches`:

        distiller.compile(optimizer="adamw")
        distiller.fit(train_data, epochs=10, steps_per_epoch=100)
        distiller.student.save("student.keras")
    """

    where_loss_is = "the student has its own, and the other terms are `distillation_losses`"

    def __init__(
        self,
        teacher: Any,
        student: Any,
        distillation_losses: Any = None,
        distillation_loss_weights: Any = "balanced",
        student_loss_weight: float = 1.0,
        teacher_image_size: Any = None,
        teacher_weights: Sequence[float] | None = None,
        shares: Sequence[float] | None = None,
        name: str = "distiller",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        teachers = frozen.as_teachers(teacher)
        self.teacher = teachers[0] if teachers else None
        self.more_teachers = teachers[1:]
        self.learner = as_learner(student)
        frozen.check_apart(teachers, self.learner)
        frozen.cached_teacher(teachers)  # refuses several
        self.teacher_image_size, self.teacher_weights = teacher_image_size, teacher_weights
        self.teacher_sizes = frozen.sizes_of(teacher_image_size, teachers)
        chosen = None
        if distillation_losses is None:
            chosen = default_terms.choose(teachers, self.learner, self.teacher_sizes)
            distillation_losses = chosen.hierarchies
            if distillation_loss_weights == "balanced" and shares is None:
                shares = chosen.shares
        hierarchies = as_hierarchies(distillation_losses)
        self.distillation_loss_weights, of_terms = balancing.resolve(
            distillation_loss_weights, shares, len(hierarchies)
        )
        self.shares = None if of_terms is None else tuple(of_terms)
        self.chosen = None if chosen is None else str(chosen._replace(shares=of_terms))
        self.student_loss_weight = float(student_loss_weight)
        weights = frozen.weights_of(teacher_weights, teachers)
        self.distillation_losses = [
            frozen.attach(hierarchy, teachers, self.teacher_sizes, weights, self.learner)
            for hierarchy in hierarchies
        ]
        self._freeze()
        self.term_names = unique_names(self.distillation_losses, self.learner.loss_names)
        self.steps_taken = self.add_weight(
            shape=(),
            initializer="zeros",
            dtype="int32",
            trainable=False,
            name="steps_taken",
            aggregation="only_first_replica",
        )
        self.balance = None if of_terms is None else balancing.Balance(self, of_terms)
        self.loss_trackers = [
            keras.metrics.Mean(name=name)
            for name in (*self.learner.loss_names, *(f"{name}_loss" for name in self.term_names))
        ]
        self._teacher_hash: str | list[str] | None = None
        self.built = True

    def __dir__(self) -> list[str]:
        # Keras saves all attributes that `dir` lists; the teacher must not be saved.
        hidden = ("teacher", "more_teachers", "teachers", "teacher_cache", "layers")
        return [name for name in super().__dir__() if name not in hidden]

    @property
    def teachers(self) -> tuple[Any, ...]:
        """The frozen teachers, in order; empty without one."""
        return () if self.teacher is None else (self.teacher, *self.more_teachers)

    @property
    def student(self) -> Learner:
        """The bare model that is distilled, without auxiliary parts."""
        return self.learner.deployed

    def warn_of_batches(self, told: set[str]) -> None:
        self._watch.tell(self.learner, told)

    def check_callbacks(self, callbacks: Any) -> None:
        refuse_saving_whole(callbacks)

    @property
    def trainable(self) -> bool:
        """Whether the student and the hierarchies' own layers train; the teacher never does."""
        return keras.Model.trainable.fget(self)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        keras.Model.trainable.fset(self, value)
        self._freeze()

    def _freeze(self) -> None:
        if getattr(self, "teacher", None) is not None:
            for teacher in self.teachers:
                teacher.trainable = False
        for hierarchy in getattr(self, "distillation_losses", ()):
            for layer in hierarchy.frozen_layers:
                layer.trainable = False

    @property
    def teacher_hash(self) -> str | list[str] | None:
        """SHA-256 of the teacher's weights; a list for several teachers, None without one.

        To resume a run it must be equal.
        """
        if self._teacher_hash is None and self.teacher is not None:
            hashes = [frozen.hash_of(teacher) for teacher in self.teachers]
            self._teacher_hash = hashes if self.more_teachers else hashes[0]
        return self._teacher_hash

    @property
    def teacher_cache(self) -> Any:
        """The `TeacherCache` that takes a teacher's place, or None."""
        return frozen.cached_teacher(self.teachers)

    @property
    def projections(self) -> list[keras.layers.Layer]:
        """The trained adapters between widths, which are not part of the student."""
        return [
            layer
            for hierarchy in self.distillation_losses
            for layer in hierarchy.projections.values()
        ]

    def call(self, images: Tensor, training: bool = False) -> Any:
        """Compute the learner's raw predictions; see `Detector.call` and `Classifier.call`."""
        return self.learner(images, training=training)

    def compute_output_spec(self, images: Tensor, training: bool = False) -> Any:
        return self.learner.compute_output_spec(images, training=training)

    def train_step(self, *args: Any) -> Any:
        """Train on a batch of images and labels."""
        return super().train_step(*checked_batch(self.learner, args))

    def test_step(self, *args: Any) -> Any:
        """Evaluate a batch of images and labels.

        A cache has no outputs for other images than its own, such as the `validation_data` of
        `fit`; for these the terms that read it are left out.
        """
        args = checked_batch(self.learner, args)
        result = super().test_step(*args)
        left_out = {f"{name}_loss" for name in self._unanswered(args[-1][1])}
        if isinstance(result, tuple):  # on JAX: logs and state
            return _without(result[0], left_out), *result[1:]
        return _without(result, left_out)

    def compute_terms(
        self, x: Tensor, y: Any, y_pred: Any, training: bool = False, left_out: Collection[str] = ()
    ) -> dict[str, Tensor]:
        """Compute all terms of the loss before weighting.

        Args:
            x: images `(batch, height, width, 3)`.
            y: dict of labels.
            y_pred: result of `call` for `x`.
            training: whether hierarchies update their state, such as a queue.
            left_out: names of distillation terms that are left out.

        Returns:
            dict of scalars by the name of the term, the student's own first.
        """
        image_size = static_image_size(x)
        labels = self.learner.check_labels(y)
        assignment = self.learner.assign(y_pred, labels, image_size)
        terms = self.learner.task_losses(y_pred, assignment, image_size)
        batch = (labels, assignment, image_size)
        named = zip(self.term_names, self.distillation_losses, strict=True)
        wanted = {name: hierarchy for name, hierarchy in named if name not in left_out}
        steps = self._steps(x, y_pred, *batch, training, wanted.values())
        for name, hierarchy in wanted.items():
            terms[f"{name}_loss"] = hierarchy.compute(steps[hierarchy.teacher or 0])
        return terms

    def _steps(
        self,
        images: Tensor,
        outputs: Any,
        labels: Any,
        assignment: Any,
        image_size: Sequence[int],
        training: bool,
        hierarchies: Iterable[Hierarchy],
    ) -> list[Step]:
        """Return a `Step` for each teacher."""
        steps = []
        for number, teacher in enumerate(self.teachers or (None,)):
            size = self.teacher_sizes[number] if teacher is not None else None
            read = any(teacher in self._read_by(hierarchy) for hierarchy in hierarchies)
            taught = self._teach(images, labels, number) if read else None
            batch = (labels, assignment, image_size, images, training, size)
            steps.append(Step(teacher, self.learner, taught, outputs, *batch))
        for step in steps:
            step.of_teachers = tuple(steps)
        return steps

    def _read_by(self, hierarchy: Hierarchy) -> tuple[Any, ...]:
        """Return the teachers that a hierarchy reads."""
        if not hierarchy.needs_teacher:
            return ()
        one = hierarchy.teacher
        return self.teachers if one is None else (self.teachers[one],)

    def _unanswered(self, labels: Any) -> tuple[str, ...]:
        """Return the names of terms that read a cache of which the batch holds no outputs."""
        if self.teacher_cache is None or "teacher" in labels:
            return ()
        return tuple(
            name
            for name, hierarchy in zip(self.term_names, self.distillation_losses, strict=True)
            if any(frozen.cache_of(teacher) for teacher in self._read_by(hierarchy))
        )

    def _teach(self, images: Tensor, labels: Any, number: int = 0) -> TensorDict:
        """Compute a teacher's outputs without gradient."""
        size = self.teacher_sizes[number]
        return frozen.teach(self.teachers[number], self.learner, images, labels, size)

    @property
    def batches_per_step(self) -> int:
        """Batches whose gradients the optimizer averages before each of its steps."""
        optimizer = getattr(self, "optimizer", None)  # none before `compile`
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        return getattr(optimizer, "gradient_accumulation_steps", None) or 1

    def term_weights(self) -> list[Tensor]:
        """Return the weights of the terms at the current step, in the order of `compute_terms`."""
        own = [self.student_loss_weight] * len(self.learner.loss_names)
        step = self.steps_taken // self.batches_per_step
        others = [schedule(step) for schedule in self.distillation_loss_weights]
        return [*own, *(others if self.balance is None else self.balance.scaled(others))]

    def compute_loss(
        self,
        x: Tensor | None = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
        **kwargs: Any,
    ) -> Tensor:
        """Compute the weighted sum of all terms, scaled so that replicas add up to the batch's."""
        left_out = () if training else self._unanswered(y)
        terms = self.compute_terms(x, y, y_pred, training, left_out)
        self._watch.count(x, y, self.learner.num_classes)
        total = 0.0
        for tracker, weight in zip(self.loss_trackers, self.term_weights(), strict=True):
            if tracker.name in terms:
                tracker.update_state(terms[tracker.name])
                total += weight * terms[tracker.name]
        if training:
            self.steps_taken.assign_add(1)
        regularizers = [self.learner, *self.distillation_losses]
        penalties = [penalty for layer in regularizers for penalty in layer.losses]
        return (total + sum(penalties)) / num_replicas()

    def predict_step(self, *args: Any) -> Any:
        """Predict as the student does: detections, or scores of classes."""
        args = checked_images(self.learner, args)
        self._watch.count(images_of(args[-1]))
        return self.learner.decoded(super().predict_step(*args), args[-1])

    def save(self, filepath: Any, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse to save the Distiller; save `distiller.student` instead.

        Raises:
            ValueError: always; the message says what to save instead.
        """
        refuse_saving(filepath)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "teacher": frozen.serialized(self.teachers),
            "student": serialize(self.learner),
            "distillation_losses": [serialize(loss) for loss in self.distillation_losses],
            "distillation_loss_weights": [serialize(w) for w in self.distillation_loss_weights],
            "student_loss_weight": self.student_loss_weight,
            "teacher_image_size": self.teacher_image_size,
            "teacher_weights": self.teacher_weights,
            "shares": None if self.shares is None else list(self.shares),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        config = dict(config)
        deserialize = keras.saving.deserialize_keras_object
        for key in {"teacher", "student"} & set(config):  # not every subclass takes a teacher
            several = isinstance(config[key], (list, tuple))
            made = [deserialize(model) for model in (config[key] if several else [config[key]])]
            config[key] = made if several else made[0]
        for key in ("distillation_losses", "distillation_loss_weights"):
            config[key] = [deserialize(value) for value in config[key]]
        return cls(**config)


def _without(logs: dict[str, Tensor], names: Collection[str]) -> dict[str, Tensor]:
    return {name: value for name, value in logs.items() if name not in names}
