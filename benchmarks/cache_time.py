"""Time of a step with a stored teacher, as ratios taken in one run: `make benchmark-cache`.

For a small and a large teacher over one compact student: the plain student step, the step with the
live teacher and the step with the cached one, each with its input pipeline. Rounds alternate
between all steps, so that a machine whose speed drifts slows all of them alike; ratios are taken
round by round and reported as median and quartiles. Weights are random: time does not depend on
what is seen.

- `cached_over_plain`: 1.0 would be a teacher that costs nothing; the goal is 1.05.
- `live_over_cached`: how much faster the cache makes training.

`predictions` are ClassLogits and Boxes, `hkd` the three terms of HKD. What each way of storing
takes on disk is counted per image and view.
"""

import argparse
import pathlib
import tempfile

import keras
from step_time import measure, quartiles

import keras_hkd
from keras_hkd.data import synthetic_dataset, training_batches
from keras_hkd.detectors import build
from keras_hkd.hierarchies import Boxes, ClassLogits
from keras_hkd.json_files import write_json
from keras_hkd.losses import AdaptiveDistillation, GIoU
from keras_hkd.methods import hkd
from keras_hkd.training.run_folder import versions

RESULTS = pathlib.Path(__file__).resolve().parent / "results" / "cache_time.json"
TEACHERS = {"small": "yolo_v8_mobilenet_v2_1.0", "large": "retinanet_resnet50"}
STUDENTS = {"small": "yolo_v8_mobilenet_v2_0.35", "large": "retinanet_mobilenet_v2_0.35"}
MAPS = {"outputs": ("pyramid", "class_tower"), "views": 1}
# name: options of `TeacherCache.build`
WAYS = {
    "replay": {"mode": "replay"},
    "predictions": {"views": 1},
    "hkd": MAPS,
    "hkd, maps of 32 components": {**MAPS, "feature_channels": 32},
    "hkd, means over 2 x 2 cells": {**MAPS, "feature_pooling": 2},
}


def main(teachers, image_size, batch_size, num_images, rounds, out):
    """Measures and writes the ratios and the sizes."""
    size = (image_size, image_size)
    images = synthetic_dataset(num_images, image_size=size, seed=1)
    found = {}
    for name in teachers:
        keras.utils.clear_session()
        with tempfile.TemporaryDirectory() as folder:
            pair = TEACHERS[name], STUDENTS[name]
            found[name] = one_pair(*pair, images, size, batch_size, rounds, pathlib.Path(folder))
    record = {
        "command": f"make benchmark-cache  ({image_size} px, batch {batch_size}, {num_images} "
        f"images, {rounds} rounds)",
        "versions": versions(),
        "pairs": found,
    }
    write_json(out, record)
    for name, one in found.items():
        print(f"{name}: {one['teacher']} over {one['student']}")
        for ratio, values in one["ratios"].items():
            span = f"({values['low']:.3f} to {values['high']:.3f})"
            print(f"  {ratio:34}{values['median']:8.3f}   {span}")
        for way, facts in one["disk"].items():
            print(f"  {way:34}{facts['kilobytes_per_view']:8.1f} kB per image and view")


def one_pair(teacher_name, student_name, images, size, batch_size, rounds, folder):
    """Ratios, seconds and sizes of one teacher over one student."""
    teacher = build(teacher_name, image_size=size, seed=0)
    made = {"image_size": size, "batch_size": batch_size, "progress": False}
    caches = {
        way: keras_hkd.TeacherCache.build(teacher, images, folder / str(number), **made, **options)
        for number, (way, options) in enumerate(WAYS.items())
    }
    student = model_of(student_name, size)
    steps = {"plain": step_of(student, plain_batches(images, size, batch_size))}
    for terms, distil in {"predictions": predictions, "hkd": hkd}.items():
        live = distil(teacher, model_of(student_name, size))
        steps[f"{terms}_live"] = step_of(live, plain_batches(images, size, batch_size))
        cache = caches[terms]
        cached = distil(cache, model_of(student_name, size))
        batches = cache.training_batches(images, batch_size=batch_size, seed=0)
        steps[f"{terms}_cached"] = step_of(cached, batches)
    seconds = measure(steps, rounds)
    ratios = {}
    for terms in ("predictions", "hkd"):
        live, cached = seconds[f"{terms}_live"], seconds[f"{terms}_cached"]
        ratios[f"{terms}_live_over_plain"] = live / seconds["plain"]
        ratios[f"{terms}_cached_over_plain"] = cached / seconds["plain"]
        ratios[f"{terms}_live_over_cached"] = live / cached
    return {
        "teacher": teacher_name,
        "student": student_name,
        "ratios": {name: quartiles(values) for name, values in ratios.items()},
        "seconds": {name: quartiles(values) for name, values in seconds.items()},
        "disk": {way: disk(cache) for way, cache in caches.items()},
    }


def predictions(teacher, student):
    """A Distiller that compares predictions alone."""
    losses = [ClassLogits(AdaptiveDistillation()), Boxes(GIoU())]
    return keras_hkd.Distiller(teacher, student, losses, [1.0, 1.0])


def model_of(name, size):
    """A student with random weights."""
    return build(name, image_size=size, seed=1)


def plain_batches(images, size, batch_size):
    """What training without a cache reads."""
    return training_batches(images, image_size=size, batch_size=batch_size, seed=0)


def step_of(model, batches):
    """A function that takes the next batch and makes a step with it."""
    model.compile("adam", jit_compile=False)
    batches = iter(batches)
    return lambda: model.train_on_batch(*next(batches))


def disk(cache):
    """What a cache takes, and what was measured of it."""
    return {
        "kilobytes_per_view": round(cache.row_format.row_bytes / 1000, 3),
        "bytes": cache.num_bytes,
        "differences": cache.report.get("exact") or cache.report.get("replay"),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teachers", nargs="+", choices=list(TEACHERS), default=list(TEACHERS))
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--num-images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS)
    given = parser.parse_args()
    main(
        given.teachers,
        given.image_size,
        given.batch_size,
        given.num_images,
        given.rounds,
        given.out.absolute(),
    )
