"""What `train` and `distill` have in common: run folders, models, results."""

import contextlib
import pathlib
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import typer

from keras_hkd.cli.console import figures, print_json, remark
from keras_hkd.cli.model_files import refuse_folder
from keras_hkd.cli.options import person_class_options
from keras_hkd.cli.training_options import RunOptions
from keras_hkd.errors import InvalidValueError
from keras_hkd.messages import did_you_mean
from keras_hkd.zoo.catalogue import is_preset, list_presets, preset_folder


def run_folder(options: RunOptions, inputs: dict) -> Any:
    """Return the `RunFolder` of this call; refuse it if it holds another run.

    Args:
        options: for `out` and `resume`.
        inputs: what is asked for beyond settings and data; models by name or file.
    """
    from keras_hkd.training import RunFolder, join_workers

    join_workers(options.strategy)  # before anything is computed
    if options.quantize:
        inputs = {**inputs, "quantize": True}
    # Of a file only the name counts: the folder may have moved since the run began.
    inputs = {
        key: pathlib.Path(value).name if isinstance(value, str) and is_saved(value) else value
        for key, value in inputs.items()
    }
    run = RunFolder(options.out, inputs=inputs)
    run.require_free(options.resume)
    return run


def finished_results(run: Any, options: RunOptions, kind: Any) -> dict | None:
    """Return the results of a run that had finished and is resumed, or None.

    Raises:
        DifferentRunError: if it was asked for with other settings, or if the images to train or to
            measure on, which are read for it, are no longer those of its results.
    """
    from keras_hkd.training.identity import require_same, require_same_run

    if not (options.resume and run.is_finished):
        return None
    record = run.read_json("run.json")
    recorded = record["settings"]
    asked = options.settings(kind).must_match()
    if options.image_size is None:  # what it came to depended on the models
        asked["image_size"] = recorded["image_size"]
    if asked["epochs"] > recorded["epochs"]:
        require_same_run({"settings": recorded}, {"settings": asked}, run.path)
        remark(f"{run.path} goes on from epoch {recorded['epochs']} to {asked['epochs']}.")
        return None
    require_same({"settings": recorded}, {"settings": asked}, run.path)
    results = run.read_json("metrics.json")
    _require_same_data(run, record, results, *options.load_data(kind))
    command = record["sessions"][-1]["command"]
    remark(f"{run.path} holds a finished run: nothing to do. It was made by: {command}")
    return results


def _require_same_data(run: Any, record: Any, results: Any, dataset: Any, val: Any) -> None:
    """Refuse to give results for images that they are not of, such as labels mended since."""
    from keras_hkd.training.identity import require_same

    asked = {"data_hash": dataset.content_hash, "val_hash": getattr(val, "content_hash", None)}
    on_val = results.get("measured_on") == "val"
    recorded = {
        "data_hash": record["data_hash"],
        "val_hash": results.get("data_hash", asked["val_hash"]) if on_val else None,
    }
    if "unlabelled" in run.inputs:  # whose hash is of the pseudo-labels too
        recorded["data_hash"] = asked["data_hash"]
    require_same(recorded, asked, run.path)


def is_saved(name_or_file: str) -> bool:
    """Tell whether a model is given by its file or as a preset, not by an architecture's name.

    Example:

    >>> is_saved("runs/teacher.keras"), is_saved("yolo_v8_micro")
    (True, False)
    """
    path = pathlib.Path(name_or_file)
    return path.suffix == ".keras" or path.is_file() or is_preset(name_or_file)


def make_model(
    kind: Any,
    name_or_file: str,
    options: RunOptions,
    class_names: Any,
    image_size: Any,
    *,
    backbone_weights: Any = None,
    seed: int | None = None,
    person_class: int | None = None,
    learns: bool = True,
    precision: str | None = None,
) -> Any:
    """Load a saved detector or classifier, or build a named one with the run's seed.

    A saved one that is to learn and can take other classes takes those of the training images.

    Args:
        kind: `Detectors` or `Classifiers`.
        name_or_file: a `.keras` file, a preset, or one of `names()` of `keras_hkd.detectors` or
            `keras_hkd.classifiers`.
        options: for the seed and the strategy.
        class_names: names of the classes of the training images.
        image_size: `(height, width)` in pixels for a named model; a saved one has its own.
        backbone_weights: for a named model, or None.
        seed: seed of a named model; the run's by default.
        person_class: of a saved detector, what `--person-class` gave.
        learns: False for a teacher, which keeps the classes that it knows.
        precision: in which the model computes, such as "mixed_float16"; None for the run's.
    """
    from keras_hkd.batch_norm import synchronize_batch_norm
    from keras_hkd.saved_learner import in_precision

    if not is_saved(name_or_file):
        if "/" in name_or_file:  # a path: a mere word may name a model and a folder
            refuse_folder(pathlib.Path(name_or_file))
        with _nearest_preset_first(name_or_file):
            model = kind.build(
                name_or_file,
                image_size=image_size,
                class_names=class_names,
                backbone_weights=backbone_weights,
                synchronized=options.strategy is not None,
                seed=options.seed if seed is None else seed,
            )
        return in_precision(model, precision) if precision else model
    if backbone_weights is not None:
        raise InvalidValueError(
            f"`--backbone-weights` goes with a model given by name; {name_or_file} has weights."
        )
    file = preset_folder(name_or_file) if is_preset(name_or_file) else name_or_file
    model = kind.load(file, **person_class_options(person_class))
    if learns:
        model = _for_classes(model, name_or_file, class_names)
    wanted = precision or options.precision
    if wanted != "float32":  # as every saved model is
        model = in_precision(model, wanted)
    if options.strategy is not None:
        synchronize_batch_norm(model)
    return model


@contextlib.contextmanager
def _nearest_preset_first(name: str) -> Iterator[None]:
    """Begin the message about an unknown name with the presets that come near."""
    from keras_hkd import classifiers, detectors

    try:
        yield
    except ValueError as error:
        hint = did_you_mean(name, list_presets(), 3)
        if not hint or name in (*detectors.names(), *classifiers.names()):
            raise
        raise InvalidValueError(f"No preset is called {name!r}.{hint} {error}") from error


def _for_classes(model: Any, name_or_file: str, class_names: Any) -> Any:
    """Give the model the classes of the training images, if its family can change them."""
    try:
        renewed = model.with_classes(class_names)
    except TypeError:
        if is_preset(name_or_file):
            raise
        return model
    if renewed is not model:
        new = [name for name in class_names if name not in model.class_names]
        what = f"a new predictor for {', '.join(new)}" if new else "no new predictor"
        remark(
            f"{pathlib.Path(name_or_file).name} knows the classes {', '.join(model.class_names)}, "
            f"the data {', '.join(class_names)}: the head is renewed, with {what}; everything else "
            "keeps its weights."
        )
    return renewed


def quantized(model: Any, name_or_file: str, options: RunOptions, dataset: Any) -> Any:
    """Return the model to train: with `--quantize` a copy with int8 rounding, else the model.

    Args:
        model: what `make_model` gave.
        name_or_file: what it was made of.
        options: for `quantize`.
        dataset: the training images, from which the ranges start.

    Raises:
        ValueError: `--quantize` for a model given by name, whose weights are random.
    """
    if not options.quantize:
        return model
    if not is_saved(name_or_file):
        raise InvalidValueError(
            "`--quantize` fine-tunes a trained model: give its .keras file. "
            f"Received: {name_or_file}"
        )
    from keras_hkd.compression import is_quantized, quantize

    return model if is_quantized(model) else quantize(model, dataset)


def draw_batches(run: Any, dataset: Any, settings: Any, as_json: bool) -> None:
    """Draw the first batches of a training in `batches.png`, say so, and end the command.

    Args:
        run: the `RunFolder`, in which no run begins.
        dataset: the training images.
        settings: the run's `TrainingSettings`.
        as_json: print one JSON object.

    Raises:
        typer.Exit: always.
    """
    from keras_hkd.report import save_batch_sheet
    from keras_hkd.training.batches import run_batches

    path = save_batch_sheet(run_batches(dataset, settings, 0), run.path / "batches.png")
    if as_json:
        print_json({"batches": str(path)})
    else:
        figures().print(f"Written to {path}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit()


def conclude(
    run: Any,
    kind: Any,
    models: Mapping[str, Any],
    history: Any,
    settings: Any,
    dataset: Any,
    val: Any,
) -> dict:
    """Measure, draw, and write `metrics.json`, `curves.png` and for detectors `gallery.png`.

    Args:
        run: the `RunFolder`.
        kind: `Detectors` or `Classifiers`.
        models: name -> model, in the order of the table.
        history: what `train_model` returned.
        settings: the run's `TrainingSettings`.
        dataset: the training images.
        val: the images to measure on, or None for the training images.

    Returns:
        What `metrics.json` holds; of several workers the first one does it, and the others, which
        wait for it, get an empty dict.
    """
    from keras_hkd.training import current_workers

    workers = current_workers()
    results = {}
    if workers.is_first:
        results = _measured(run, kind, models, history, settings, dataset, val)
    workers.wait()
    return results


def _measured(
    run: Any,
    kind: Any,
    models: Mapping[str, Any],
    history: Any,
    settings: Any,
    dataset: Any,
    val: Any,
) -> dict:
    from keras_hkd import evaluation, report
    from keras_hkd.metrics import FewImagesWarning

    measured_on = dataset if val is None else val
    if val is None:
        remark("No --val was given: measured on the training images.")
    results, found = {}, {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FewImagesWarning)
        for name, model in models.items():
            results[name], found[name] = kind.measure(model, measured_on, settings.image_size)
    for name, cost in evaluation.measure_costs(models, settings.image_size).items():
        results[name].update(cost)
    for message in {str(w.message) for w in caught if issubclass(w.category, FewImagesWarning)}:
        remark(f"Warning: {message}")
    results["measured_on"] = "training images" if val is None else "val"
    results["num_images"] = len(measured_on)
    results["data_hash"] = measured_on.content_hash
    last = list(models)[-1]
    report.save_curves({last: history}, run.path / "curves.png", title=str(run.path.name))
    if kind.draws_gallery:
        report.save_dataset_gallery(measured_on, found, run.path / "gallery.png")
    run.finish(results, training_seconds=sum(history["seconds"]))
    return run.read_json("metrics.json")


def show(run: Any, kind: Any, results: dict, as_json: bool) -> None:
    """Print the results: one JSON object, or a table and where the files are."""
    if not run.writes:
        return
    if as_json:
        print_json({**results, "out": str(run.path)})
        return
    from keras_hkd import report

    rows = {name: value for name, value in results.items() if isinstance(value, dict)}
    title = f"measured on {results['num_images']} images ({results['measured_on']})"
    figures().print(report.rich_table(rows, kind.shown, title))
    figures().print(f"Written to {run.path}", markup=False, highlight=False, soft_wrap=True)
