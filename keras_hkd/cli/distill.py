"""`keras-hkd distill`: a heavy detector, the teacher, trains a compact one, the student."""

import contextlib
import dataclasses
from typing import Annotated

import typer
import yaml

from keras_hkd.cli import options, training_run
from keras_hkd.cli.image_size import ImageSize, parse_image_size

Teacher = Annotated[
    str,
    typer.Option("--teacher", metavar="FILE_OR_NAME", help="A trained detector, as .keras file."),
]
Student = Annotated[
    str,
    typer.Option(
        "--student",
        metavar="FILE_OR_NAME",
        help="The name of a compact detector, or a saved one (.keras) to go on from.",
    ),
]
Method = Annotated[str, typer.Option("--method", help="How knowledge is transferred.")]
MethodOption = Annotated[
    list[str] | None,
    typer.Option(
        "--method-option",
        metavar="NAME=VALUE",
        help="An option of the method, such as a weight of a term. May be repeated.",
        show_default=False,
    ),
]


def command(
    data: options.Data,
    teacher: Teacher,
    student: Student,
    out: options.Out,
    epochs: training_run.Epochs,
    val: options.Val = None,
    method: Method = "hkd",
    method_option: MethodOption = None,
    backbone_weights: training_run.BackboneWeights = None,
    image_size: ImageSize = None,
    batch_size: training_run.BatchSize = 16,
    learning_rate: training_run.LearningRate = 1e-3,
    warmup_epochs: training_run.WarmupEpochs = 1.0,
    weight_decay: training_run.WeightDecay = 5e-4,
    ema_momentum: training_run.EmaMomentum = 0.998,
    augment: training_run.Augment = True,
    validate_every: training_run.ValidateEvery = None,
    seed: options.Seed = 0,
    resume: training_run.Resume = False,
    deterministic: options.Deterministic = False,
    mixed_precision: training_run.MixedPrecision = False,
    jit_compile: training_run.JitCompile = False,
    strategy: options.Strategy = None,
    format: options.Format = None,
    on_bad_data: options.OnBadData = "raise",
    json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Distil a heavy detector (the teacher) into a compact one (the student).

    Writes student.keras (the bare student, without teacher), metrics.json, curves.png, gallery.png
    and a checkpoint after every epoch to --out. A run that was killed goes on with --resume.
    """
    given = training_run.RunOptions(
        data=data,
        val=val,
        format=format,
        on_bad_data=on_bad_data,
        out=out,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        warmup_epochs=warmup_epochs,
        weight_decay=weight_decay,
        ema_momentum=ema_momentum,
        image_size=parse_image_size(image_size),
        augment=augment,
        validate_every=validate_every,
        seed=seed,
        deterministic=deterministic,
        mixed_precision=mixed_precision,
        jit_compile=jit_compile,
        strategy=strategy,
        resume=resume,
        json=json,
    )
    how = {"method": method, "method_options": parse_method_options(method_option or [])}
    run = training_run.run_folder(given, {"command": "distill", "student": student, **how})
    results = training_run.finished_results(run, given)
    if results is None:
        results = _distill(run, given, teacher, student, backbone_weights, **how)
    training_run.show(run, results, json)


def parse_method_options(texts: list[str]) -> dict[str, object]:
    """Read `NAME=VALUE` options; the value is YAML, so that 3 is a number and [P3, P4] a list.

    Args:
        texts: as given on the command line.

    Raises:
        ValueError: for a text without a name and a value, or a value that is not YAML.

    Example:
        >>> parse_method_options(["region-weight=10", "levels=[P3, P4]"])
        {'region_weight': 10, 'levels': ['P3', 'P4']}
    """
    parsed = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise ValueError(f"`--method-option` must be NAME=VALUE. Received: {text!r}")
        parsed[name.replace("-", "_")] = _value(name, value)
    return parsed


def _value(name, text):
    with contextlib.suppress(ValueError):
        return float(text) if "e" in text.lower() else int(text)  # YAML takes 1e-3 for a text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"`--method-option` {name}: {text!r} is no YAML value.") from error


def _distill(run, given, teacher_source, student_source, backbone_weights, method, method_options):
    dataset, val = given.load_data()
    settings = given.settings()
    from keras_hkd import methods
    from keras_hkd.training import train_model, training_scope

    methods.get(method)  # an unknown name is told before anything is built
    size, names = settings.image_size, dataset.class_names
    with training_scope(settings):
        # A seed of its own: a teacher equal to the student would have nothing to say.
        teacher = training_run.make_detector(
            teacher_source, given, names, size, seed=given.seed + 1
        )
        if given.image_size is None and training_run.is_file(teacher_source):
            size = teacher.image_size
        student = training_run.make_detector(
            student_source, given, names, size, backbone_weights=backbone_weights
        )
        if given.image_size is None:
            size = student.image_size
        student.image_size = size
        distiller = _distiller(methods.get(method), teacher, student, method, method_options)
    if not training_run.is_file(teacher_source):
        training_run.remark(
            f"The teacher {teacher_source!r} is given by name only: its weights are random and it "
            "knows nothing. Give the .keras file of a trained one."
        )
    settings = dataclasses.replace(settings, image_size=size)
    history = train_model(
        distiller, dataset, settings, run, validation=val, resume=given.resume, title="student"
    )
    run.save_model(distiller.student, "student.keras")
    detectors = {"teacher": distiller.teacher, "student": distiller.student}
    return training_run.conclude(run, detectors, history, settings, dataset, val)


def _distiller(make, teacher, student, method, method_options):
    try:
        return make(teacher, student, **method_options)
    except (TypeError, ValueError) as error:
        if "keyword argument" not in str(error):  # as Python and Keras call them
            raise
        raise ValueError(
            f"The method {method!r} has no such option. "
            f"Received: --method-option {method_options}. {error}"
        ) from error
