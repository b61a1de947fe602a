"""`keras-hkd train`: train a detector or a classifier alone, or fine-tune a saved one."""

import dataclasses
import functools
from typing import Annotated, Any

import typer

from keras_hkd.cli import training_run
from keras_hkd.cli.model_kinds import kind_of
from keras_hkd.cli.training_options import RunOptions, with_run_options

ORDER = 10

DetectorArgument = Annotated[
    str,
    typer.Option(
        "--detector",
        "--classifier",
        metavar="FILE_OR_NAME",
        help="A preset or a saved detector or classifier (.keras) to fine-tune, or the name of one "
        "to train from scratch.",
    ),
]


@functools.partial(with_run_options, distils=False)
def command(given: RunOptions, detector: DetectorArgument) -> None:
    """Train a detector or a classifier alone, or fine-tune a saved one.

    Writes detector.keras (with gallery.png) or classifier.keras, metrics.json, curves.png and a
    checkpoint after every epoch to --out. A run that was killed goes on with --resume. Classifiers
    learn from a folder of images per class (--data PATH, or PATH:train for PATH/train).
    """
    kind = kind_of(detector)
    run = training_run.run_folder(given, {"command": "train", kind.name: detector})
    results = training_run.finished_results(run, given, kind)
    if results is None:
        results = _train(run, kind, given, detector)
    training_run.show(run, kind, results, given.json)


def _train(run: Any, kind: Any, given: Any, name_or_file: str) -> dict:
    settings = given.settings(kind)  # refused before images are read
    dataset, val = given.load_data(kind)
    from keras_hkd.training import train_model, training_scope

    with training_scope(settings):
        model = training_run.make_model(
            kind,
            name_or_file,
            given,
            dataset.class_names,
            settings.image_size,
            backbone_weights=given.backbone_weights,
        )
        model = training_run.quantized(model, name_or_file, given, dataset)
    if given.image_size is None:
        settings = dataclasses.replace(settings, image_size=model.image_size)
    model.image_size = settings.image_size
    if given.show_batches:
        training_run.draw_batches(run, dataset, settings, given.json)
    history = train_model(
        model,
        dataset,
        settings,
        run,
        validation=val,
        resume=given.resume,
        title=kind.name,
    )
    run.save_model(model, f"{kind.name}.keras")
    return training_run.conclude(run, kind, {kind.name: model}, history, settings, dataset, val)
