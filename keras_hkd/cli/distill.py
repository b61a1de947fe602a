"""`keras-hkd distill`: a heavy model, the teacher, trains a compact one, the student."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

import typer

from keras_hkd.cli import method_arguments, options, training_run
from keras_hkd.cli.console import print_json, remark
from keras_hkd.cli.datasets import say
from keras_hkd.cli.model_kinds import kind_of
from keras_hkd.cli.training_options import RunOptions, with_run_options
from keras_hkd.errors import InvalidValueError
from keras_hkd.parts import Shard

ORDER = 40

Teacher = Annotated[
    list[str] | None,
    typer.Option(
        "--teacher",
        metavar="FILE_OR_NAME",
        help="A trained detector or classifier: a .keras file or preset. Of methods mutual and "
        "hssakd: the second student. Repeated (methods "
        f"{method_arguments.names_where(method_arguments.takes_several)}): several, equally heavy.",
        show_default=False,
    ),
]
TeacherCache = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--teacher-cache",
        metavar="DIR",
        help="Instead of --teacher: its outputs on these images, as `keras-hkd cache` stored them. "
        "The teacher is not run.",
        show_default=False,
    ),
]
Student = Annotated[
    str,
    typer.Option(
        "--student",
        metavar="FILE_OR_NAME",
        help="The name of a compact detector or classifier, or a saved one (.keras) or a preset to "
        "go on from.",
    ),
]
Unlabelled = Annotated[
    list[str] | None,
    typer.Option(
        "--unlabelled",
        metavar="PATH[:SPLIT]",
        help="Images for the teacher to label (method sad), at the size of the training: a folder "
        "of pictures, or a dataset whose labels are set aside. May be repeated.",
        show_default=False,
    ),
]
FirstLook = Annotated[
    bool,
    typer.Option(
        "--doctor/--no-doctor",
        help="Begin with the quick ones of the checks of `keras-hkd doctor`, a line each.",
    ),
]
PseudoLabelScore = Annotated[
    float | None,
    typer.Option(
        "--pseudo-label-score",
        min=0,
        max=1,
        help="Lowest score at which a detection of the teacher becomes a label. "
        "By default as many per image as there are in --data.",
        show_default=False,
    ),
]


ShardOfUnlabelled = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Only let the teacher label the I-th of N shares of --unlabelled, such as 2/8, and "
        "stop; the same command without it then trains.",
        show_default=False,
    ),
]
TeacherPrecision = Annotated[
    Literal["float32", "float16", "bfloat16"] | None,
    typer.Option(
        "--teacher-precision",
        help="What the teacher computes in, whatever the student does: half precision takes half "
        "of a GPU's time and memory for it. By default as --mixed-precision says.",
        show_default=False,
    ),
]


@with_run_options
def command(
    given: RunOptions,
    student: Student,
    teacher: Teacher = None,
    teacher_cache: TeacherCache = None,
    person_class: options.PersonClass = None,
    teacher_precision: TeacherPrecision = None,
    method: method_arguments.Method = "auto",
    method_option: method_arguments.MethodOption = None,
    unlabelled: Unlabelled = None,
    pseudo_label_score: PseudoLabelScore = None,
    shard: ShardOfUnlabelled = None,
    doctor: FirstLook = True,
) -> None:
    """Distil a heavy detector or classifier (the teacher) into a compact one (the student).

    Without --method the terms are chosen from the pair, and their weights set by their shares of
    the gradient; both are printed. Writes student.keras (the bare student, without teacher),
    metrics.json, curves.png, for detectors gallery.png, and a checkpoint after every epoch to
    --out. A run that was killed goes on with --resume. Classifiers learn from a folder of images
    per class (--data PATH, or PATH:train for PATH/train).
    """
    how: dict[str, Any] = {
        "method": method,
        "method_options": method_arguments.parse_options(method_option or []),
    }
    teachers: list[Any] = [*teacher] if teacher else [None]
    first, *more_teachers = teachers
    method_arguments.check_teachers(method, first, more_teachers, teacher_cache)
    method_arguments.check_unlabelled(method, unlabelled, pseudo_label_score)
    share = Shard.parse(shard)
    if share is not None and not unlabelled:
        raise InvalidValueError(
            "--shard shares out the images of --unlabelled (method sad). "
            f"Received: --shard {share} without --unlabelled"
        )
    if teacher_cache is not None and person_class is not None:
        raise InvalidValueError(
            "A stored teacher has the classes it was stored with. Received: --person-class "
            f"{person_class} beside --teacher-cache; give it to `keras-hkd cache`."
        )
    inputs = {"command": "distill", "student": student, **how}
    if person_class is not None:
        inputs["person_class"] = person_class
    if teacher_precision is not None:
        inputs["teacher_precision"] = teacher_precision
    if unlabelled:
        # Folders may move between sessions; what the images are is in the pseudo-labels' own file.
        names = [pathlib.PurePath(source).name for source in unlabelled]
        inputs.update(unlabelled=names, pseudo_label_score=pseudo_label_score)
    kind = kind_of(student)
    _check_strategy(given.strategy, method)
    run = training_run.run_folder(given, inputs)
    if share is not None:
        sources = Sources(first, student, person_class=person_class)
        _label_share(run, kind, given, sources, unlabelled, share)
        return
    results = training_run.finished_results(run, given, kind)
    if results is None:
        more = tuple(more_teachers)
        sources = Sources(first, student, teacher_cache, more, person_class, teacher_precision)
        ways = (unlabelled, pseudo_label_score, doctor)
        results = _distill(run, kind, given, sources, *ways, **how)
    training_run.show(run, kind, results, given.json)


def _check_strategy(strategy: str | None, method: str) -> None:
    """Refuse to share among processes a method that trains a teacher of its own in one."""
    from keras_hkd.methods.registry import described

    if strategy == "multi_worker" and "folder" in described(method).facts:
        raise InvalidValueError(
            f"Method {method} first trains a small teacher of its own, in one process: take "
            "--strategy mirrored, or none. Received: --strategy multi_worker"
        )


class Sources(NamedTuple):
    """The models' names or files."""

    teacher: str | None
    student: str
    teacher_cache: pathlib.Path | None = None
    more_teachers: tuple[str, ...] = ()
    person_class: int | None = None
    teacher_precision: str | None = None


def _distill(
    run: Any,
    kind: Any,
    given: Any,
    sources: Any,
    unlabelled: Any,
    score: Any,
    doctor: bool,
    method: str,
    method_options: Mapping[str, Any],
) -> Any:
    settings = given.settings(kind)  # refused before images are read
    dataset, val = given.load_data(kind)
    from keras_hkd import methods
    from keras_hkd.training import current_workers, train_model, training_scope

    takes = methods.described(method)
    with training_scope(settings):
        teachers, student = _make_models(kind, given, sources, dataset, settings)
        size = student.image_size
        distiller, train_teacher = method_arguments.make_distiller(
            method,
            teachers if len(teachers) > 1 else teachers[0],
            student,
            {**_facts(run, dataset, settings, takes), **method_options},
        )
    _remark_on(distiller, takes, sources)
    settings = dataclasses.replace(settings, image_size=size)
    if given.show_batches:
        training_run.draw_batches(run, dataset, settings, given.json)
    stored = sources.teacher_cache is not None
    if doctor and kind.name == "detector":
        _look(None if stored else teachers[0], distiller.student, dataset, settings, val)
    if train_teacher is not None:
        remark(f"First the teacher's branches are trained ({run.path / 'teacher'}).")
        train_teacher(dataset, settings, run.path / "teacher", resume=given.resume)
    images = dataset
    if unlabelled:
        with current_workers().first_before_others():
            images = _label(run, given, teachers[0], dataset, unlabelled, score, size)
    history = train_model(
        distiller, images, settings, run, validation=val, resume=given.resume, title="student"
    )
    run.save_model(distiller.student, "student.keras")
    models = {
        **({} if stored else _others(distiller, teachers, takes)),
        "student": distiller.student,
    }
    return training_run.conclude(run, kind, models, history, settings, dataset, val)


def _make_models(
    kind: Any, given: Any, sources: Any, dataset: Any, settings: Any
) -> tuple[list[Any], Any]:
    """Make all teachers, or a list of None, and the student."""
    teacher, student = make_pair(kind, given, sources, dataset, settings)
    student = training_run.quantized(student, sources.student, given, dataset)
    names, size = dataset.class_names, student.image_size
    more = [
        _make_teacher(name, given, sources, names, size, given.seed + number)
        for number, name in enumerate(sources.more_teachers, start=2)
    ]
    return [teacher, *more], student


def _remark_on(distiller: Any, takes: Any, sources: Any) -> None:
    """Say which terms were chosen, and that a teacher given by name knows nothing."""
    if getattr(distiller, "chosen", None):
        remark(distiller.chosen)
    stored = sources.teacher_cache is not None
    if takes.teacher == "frozen" and not stored and not training_run.is_saved(sources.teacher):
        remark(
            f"The teacher {sources.teacher!r} is given by name only: its weights are random and it "
            "knows nothing. Give the .keras file of a trained one."
        )


def _others(distiller: Any, teachers: list[Any], takes: Any) -> dict[str, Any]:
    """Name the models beside the student, which are measured with it."""
    role = "peer" if takes.teacher == "peer" else "teacher"
    others = teachers if teachers != [None] else [distiller.teacher]
    return {
        role if number == 1 else f"{role}_{number}": other.deployed
        for number, other in enumerate(others, start=1)
        if other is not None
    }


def _look(teacher: Any, student: Any, dataset: Any, settings: Any, val: Any) -> None:
    """Say in a line each what the quick checks of the doctor found."""
    from keras_hkd.doctor import first_look

    for found in first_look(teacher, student, dataset, settings, val):
        if found.is_alarm:
            remark(f"Doctor: {found.severity}: {found.text} {found.advice}")
        else:
            say(f"Doctor: {found.text}")


def make_pair(kind: Any, given: Any, sources: Any, dataset: Any, settings: Any) -> tuple[Any, Any]:
    """Make the teacher, or None, and the student, at the size of the training.

    Args:
        kind: `Detectors` or `Classifiers`.
        given: the `RunOptions`.
        sources: names or files of the models.
        dataset: the training images, for the names of classes.
        settings: the run's `TrainingSettings`.
    """
    teacher, class_names, size = None, dataset.class_names, settings.image_size
    if sources.teacher_cache is not None:
        from keras_hkd.teacher_cache import TeacherCache
        from keras_hkd.training.batches import check_cache

        teacher = TeacherCache.load(sources.teacher_cache)
        size = teacher.image_size if given.image_size is None else size
        check_cache(teacher, dataset, dataclasses.replace(settings, image_size=size))
    if sources.teacher is not None:
        # A seed of its own: a teacher equal to the student would teach nothing.
        seed = given.seed + 1
        teacher = _make_teacher(sources.teacher, given, sources, class_names, size, seed)
        if given.image_size is None and training_run.is_saved(sources.teacher):
            size = teacher.image_size
    student = training_run.make_model(
        kind, sources.student, given, class_names, size, backbone_weights=given.backbone_weights
    )
    if given.image_size is not None:
        student.image_size = size
    return teacher, student


def _make_teacher(
    name: str, given: Any, sources: Any, class_names: Any, size: tuple[int, int] | None, seed: int
) -> Any:
    kind, person = kind_of(name), sources.person_class
    make, precision = training_run.make_model, sources.teacher_precision
    if precision in ("float16", "bfloat16"):
        precision = f"mixed_{precision}"
    how = {"seed": seed, "person_class": person, "learns": False, "precision": precision}
    return make(kind, name, given, class_names, size, **how)


def _facts(run: Any, dataset: Any, settings: Any, takes: Any) -> dict[str, Any]:
    """Collect the facts of the run that the method asks for."""
    from keras_hkd.data import steps_per_epoch

    known = {
        "num_steps": settings.epochs * steps_per_epoch(dataset, settings.batch_size),
        "folder": run.path,
        "seed": settings.seed,
    }
    return {name: known[name] for name in takes.facts}


def _label_share(
    run: Any, kind: Any, given: Any, sources: Any, unlabelled: Any, share: Shard
) -> None:
    """Label one share of the unlabelled images, as the training after it will want them."""
    from keras_hkd.training import label_shard, training_scope

    settings = given.settings(kind)
    dataset, _ = given.load_data(kind)
    with training_scope(settings):
        teacher, student = make_pair(kind, given, sources, dataset, settings)
    images = _load_unlabelled(given, dataset, unlabelled)
    file = run.path / "pseudo_labels.json"
    num_images = label_shard(teacher, images, file, share, image_size=student.image_size)
    if given.json:
        print_json({"out": str(run.path), "shard": str(share), "num_images": num_images})
    else:
        remark(
            f"Shard {share}: {num_images} images were labelled now. When all shards are done, call "
            "the command without --shard: it trains."
        )


def _load_unlabelled(given: Any, labelled: Any, unlabelled: Any) -> Any:
    from keras_hkd.data import load_unlabelled

    images = load_unlabelled(unlabelled, labelled.class_names, given.on_bad_data, labelled)
    for record in images.skipped:
        remark(f"Skipped: {record}")
    return images


def _label(
    run: Any,
    given: Any,
    teacher: Any,
    labelled: Any,
    unlabelled: Any,
    score: Any,
    size: tuple[int, int] | None,
) -> Any:
    """Make the training set with pseudo-labels of the unlabelled images."""
    from keras_hkd.training import pseudo_label_facts, semi_supervised

    images = _load_unlabelled(given, labelled, unlabelled)
    file = run.path / "pseudo_labels.json"
    dataset = semi_supervised(
        teacher, labelled, images, file, score_threshold=score, image_size=size
    )
    facts = pseudo_label_facts(file)
    remark(
        f"Pseudo-labels: {facts['num_boxes']} boxes that score at least "
        f"{facts['score_threshold']:.3f}, in {facts['num_images']} images; "
        f"{facts['num_images_without_box']} images without one are left out ({file})."
    )
    return dataset
