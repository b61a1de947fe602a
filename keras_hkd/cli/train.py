"""`keras-hkd train`: train a detector or a classifier alone, or fine-tune a saved one."""

import dataclasses
from typing import Annotated

import typer

from keras_hkd.cli import options, training_run
from keras_hkd.cli.image_size import ImageSize
from keras_hkd.cli.model_kinds import kind_of

DetectorArgument = Annotated[
    str,
    typer.Option(
        "--detector",
        "--classifier",
        metavar="FILE_OR_NAME",
        help="A saved detector or classifier (.keras) to fine-tune, or the name of one to train "
        "from scratch.",
    ),
]


def command(
    data: options.Data,
    detector: DetectorArgument,
    out: options.Out,
    epochs: training_run.Epochs,
    val: options.Val = None,
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
    quantize: training_run.Quantize = False,
    strategy: options.Strategy = None,
    format: options.Format = None,
    on_bad_data: options.OnBadData = "raise",
    json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Train a detector or a classifier alone, or fine-tune a saved one.

    Writes detector.keras (with gallery.png) or classifier.keras, metrics.json, curves.png and a
    checkpoint after every epoch to --out. A run that was killed goes on with --resume. Classifiers
    learn from a folder of images per class (--data PATH, or PATH:train for PATH/train).
    """
    given = training_run.RunOptions.of(locals())
    kind = kind_of(detector)
    run = training_run.run_folder(given, {"command": "train", kind.name: detector})
    results = training_run.finished_results(run, given, kind)
    if results is None:
        results = _train(run, kind, given, detector, backbone_weights)
    training_run.show(run, kind, results, json)


def _train(run, kind, given, name_or_file, backbone_weights) -> dict:
    dataset, val = given.load_data(kind)
    settings = given.settings(kind)
    from keras_hkd.training import train_model, training_scope

    with training_scope(settings):
        model = training_run.make_model(
            kind,
            name_or_file,
            given,
            dataset.class_names,
            settings.image_size,
            backbone_weights=backbone_weights,
        )
        model = training_run.quantized(model, name_or_file, given, dataset)
    if given.image_size is None:
        settings = dataclasses.replace(settings, image_size=model.image_size)
    model.image_size = settings.image_size
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
