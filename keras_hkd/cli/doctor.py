"""`keras-hkd doctor`: look for what would make a distillation fail, before it runs."""

import dataclasses
import pathlib
from typing import Annotated, Any

import typer

from keras_hkd.cli import distill, exit_codes, method_arguments, options
from keras_hkd.cli.console import figures, print_json, remark
from keras_hkd.cli.image_size import ImageSize, parse_image_size
from keras_hkd.cli.model_kinds import kind_of
from keras_hkd.cli.training_options import RunOptions, setting_option
from keras_hkd.errors import InvalidValueError
from keras_hkd.methods.registry import described
from keras_hkd.training.settings import TrainingSettings

ORDER = 30

STYLES = {"ok": "green", "note": "", "warning": "bold yellow", "fault": "bold red"}

Teacher = Annotated[
    str,
    typer.Option(
        "--teacher", metavar="FILE_OR_NAME", help="A trained detector: a .keras file or a preset."
    ),
]
Test = Annotated[
    list[str] | None,
    typer.Option(
        "--test",
        metavar="PATH[:SPLIT]",
        help="Images to measure on: those that are among --data too are named. May be repeated.",
        show_default=False,
    ),
]
TeacherCache = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--teacher-cache",
        metavar="DIR",
        help="A stored teacher that is to take the place of --teacher: is it of this one, of these "
        "images and of this size?",
        show_default=False,
    ),
]
NumImages = Annotated[
    int,
    typer.Option("--num-images", min=4, help="Images that the models run on, evenly over --data."),
]
Checks = Annotated[
    list[str] | None,
    typer.Option(
        "--check", metavar="NAME", help="Run this check alone. May be repeated.", show_default=False
    ),
]
OutFolder = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Write pictures, doctor.txt and doctor.json here.",
        show_default=False,
    ),
]


def command(
    teacher: Teacher,
    student: distill.Student,
    data: options.Data,
    test: Test = None,
    teacher_cache: TeacherCache = None,
    method: method_arguments.Method = "auto",
    method_option: method_arguments.MethodOption = None,
    num_images: NumImages = 64,
    check: Checks = None,
    out: OutFolder = None,
    image_size: ImageSize = None,
    epochs: setting_option("epochs") = 24,  # type: ignore[valid-type]
    batch_size: setting_option("batch_size") = 16,  # type: ignore[valid-type]
    seed: setting_option("seed") = 0,  # type: ignore[valid-type]
    person_class: options.PersonClass = None,
    format: options.Format = None,
    classes: options.Classes = None,
    images: options.ImagesFolder = None,
    on_bad_data: options.OnBadData = "raise",
    json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Check a teacher, a student and their images before a training, in a few minutes.

    keras-hkd doctor --teacher teacher.keras --student yolo_v8_micro --data photos:train

    Is the teacher better than the student on these images? Do labels and teacher agree? Are
    pixels, boxes and classes what the models expect, people large enough, do labels get anchors,
    does every term have an effect, do maps line up, how long will it take, and are test images
    among those to train on (--test)? Every finding names its figures and what to do. Nothing is
    trained and no file changes.

    The exit code is 1 if there is a fault; warnings and notes leave it 0.
    """
    method_arguments.check_teachers(method, teacher)
    kind = kind_of(student)
    _check(kind, student, method)
    settings = TrainingSettings(epochs=epochs, batch_size=batch_size, seed=seed)
    given = RunOptions(
        data=data,
        out=out or pathlib.Path(),
        val=test,
        asked={**dataclasses.asdict(settings), "image_size": parse_image_size(image_size)},
        format=format,
        classes=classes,
        images=images,
        on_bad_data=on_bad_data,
    )
    dataset, measured_on = given.load_data(kind)
    settings = dataclasses.replace(
        settings,
        batch_size=min(batch_size, len(dataset)),
        image_size=given.image_size or kind.default_image_size,
    )
    sources = distill.Sources(teacher, student, person_class=person_class)
    chosen = {"method": method, "options": method_arguments.parse_options(method_option or [])}
    diagnosis = _examine(
        given, kind, sources, dataset, settings, chosen,
        test=measured_on, teacher_cache=teacher_cache, num_images=num_images, checks=check, out=out,
    )  # fmt: skip
    if json:
        print_json(diagnosis.to_dict())
    else:
        _show(diagnosis)
        if out is not None:
            figures().print(f"Written to {out}", markup=False, highlight=False, soft_wrap=True)
    if not diagnosis.is_healthy:
        raise typer.Exit(exit_codes.FAILED)


def _check(kind: Any, student: str, method: str) -> None:
    """Refuse classifiers, and methods whose teacher is not a trained one."""
    if kind.name != "detector":
        raise InvalidValueError(
            f"The doctor examines detectors. Received: --student {student}, a classifier"
        )
    takes = described(method)
    if takes.teacher != "frozen" or takes.prepare:
        raise InvalidValueError(
            "The doctor examines a trained teacher and a student. "
            f"Received: --method {method}, which trains its teacher, or has none"
        )


def _examine(
    given: Any, kind: Any, sources: Any, dataset: Any, settings: Any, chosen: Any, **asked: Any
) -> Any:
    """Make the pair and its Distiller as `distill` does, and run the doctor."""
    from keras_hkd.doctor import doctor
    from keras_hkd.training import training_scope

    with training_scope(settings):
        teacher, student = distill.make_pair(kind, given, sources, dataset, settings)
        settings = dataclasses.replace(settings, image_size=student.image_size)
        distiller, _ = method_arguments.make_distiller(
            chosen["method"], teacher, student, chosen["options"]
        )
    if getattr(distiller, "chosen", None):
        remark(distiller.chosen)
    if asked["teacher_cache"] is not None:
        from keras_hkd.teacher_cache import TeacherCache

        asked["teacher_cache"] = TeacherCache.load(asked["teacher_cache"])
    remark(
        f"Examining the pair on {min(asked['num_images'], len(dataset))} images of "
        f"{'x'.join(map(str, settings.image_size))} pixels; this takes a few minutes."
    )
    return doctor(teacher, student, dataset, distiller=distiller, settings=settings, **asked)


def _show(diagnosis: Any) -> None:
    """Print the findings, each with its severity in colour."""
    from keras_hkd.doctor.diagnosis import as_lines

    for one in diagnosis.findings:
        first, *more = as_lines(one)
        mark, rest = first[:9], first[9:]
        figures().print(mark, style=STYLES[one.severity], end="", markup=False, highlight=False)
        for line in (rest, *more):
            figures().print(line, markup=False, highlight=False, soft_wrap=True)
    if diagnosis.not_applied:
        names = ", ".join(diagnosis.not_applied)
        figures().print(f"Did not apply: {names}.", style="dim", highlight=False, soft_wrap=True)
    figures().print(diagnosis.verdict, highlight=False)
