"""Time of one distillation step, as ratios taken in one run: `make benchmark-step`.

Rounds alternate between all steps, so that a machine whose speed drifts slows all of them alike;
ratios are taken round by round and reported as median and quartiles.

- `hkd_over_parts`: HKD step / (teacher forward + plain student step). 1.0 would be free.
- `keras_over_parts`: the same for one feature tap in `keras.distillation.Distiller`, over the same
  backbones with a single-tensor head, which is all that it can train.
"""

import argparse
import pathlib
import time

import keras
import numpy

from keras_hkd.detectors import build
from keras_hkd.json_files import write_json
from keras_hkd.methods import hkd
from keras_hkd.training.run_folder import versions

RESULTS = pathlib.Path(__file__).resolve().parent / "results" / "step_time.json"


def main(teacher_name, student_name, image_size, batch_size, rounds):
    """Measures and writes the ratios."""
    size = (image_size, image_size)
    images, labels = batch(batch_size, image_size)
    teacher, student, plain = (
        build(name, image_size=size, seed=seed)
        for seed, name in enumerate((teacher_name, student_name, student_name))
    )
    distiller = hkd(teacher, student, weights="published")
    for model in (distiller, plain):
        model.compile("adam", jit_compile=False)
    keras_teacher, keras_plain, keras_distiller = keras_models(teacher_name, student_name, size)
    targets = numpy.zeros((batch_size, 4), "float32")
    forward, keras_forward = forward_of(teacher), forward_of(keras_teacher)
    steps = {
        "teacher_forward": lambda: forward(images),
        "plain_step": lambda: plain.train_on_batch(images, labels),
        "hkd_step": lambda: distiller.train_on_batch(images, labels),
        "keras_teacher_forward": lambda: keras_forward(images),
        "keras_plain_step": lambda: keras_plain.train_on_batch(images, targets),
        "keras_step": lambda: keras_distiller.train_on_batch(images, targets),
    }
    seconds = measure(steps, rounds)
    ratios = {
        "hkd_over_parts": seconds["hkd_step"]
        / (seconds["teacher_forward"] + seconds["plain_step"]),
        "keras_over_parts": seconds["keras_step"]
        / (seconds["keras_teacher_forward"] + seconds["keras_plain_step"]),
    }
    record = {
        "command": f"make benchmark-step  (teacher {teacher_name}, student {student_name}, "
        f"{image_size} px, batch {batch_size}, {rounds} rounds)",
        "versions": versions(),
        "ratios": {name: quartiles(values) for name, values in ratios.items()},
        "seconds": {name: quartiles(values) for name, values in seconds.items()},
    }
    write_json(RESULTS, record)
    for name, values in {**record["ratios"], **record["seconds"]}.items():
        print(f"{name:24}{values['median']:8.3f}   ({values['low']:.3f} to {values['high']:.3f})")


def batch(batch_size, image_size):
    """A batch of noise with three people an image: time does not depend on what is seen."""
    images = numpy.random.default_rng(0).uniform(0, 255, (batch_size, image_size, image_size, 3))
    one = numpy.array([[8, 8, 40, 90], [60, 20, 90, 110], [30, 40, 50, 80]], "float32")
    boxes = numpy.tile(one, (batch_size, 1, 1))
    return images.astype("float32"), {"boxes": boxes, "classes": numpy.zeros(boxes.shape[:2])}


def keras_models(teacher_name, student_name, size):
    """Backbones of the same pair under a head of one tensor, alone and in Keras's Distiller."""

    def classifier(name, seed):
        features = build(name, image_size=size, seed=seed).model.backbone
        top = features.get_layer(features.pyramid_level_inputs["P5"]).output
        tap = keras.layers.Conv2D(64, 1, name="tap")(top)
        head = keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(tap))
        return keras.Model(features.inputs[0], head)

    teacher, student, plain = (
        classifier(teacher_name, 0),
        classifier(student_name, 1),
        classifier(student_name, 2),
    )
    loss = keras.distillation.FeatureDistillation("mse", "tap", "tap")
    distiller = keras.distillation.Distiller(
        teacher=teacher, student=student, distillation_losses=loss
    )
    for model in (distiller, plain):
        model.compile(optimizer="adam", loss="mse", jit_compile=False)
    return teacher, plain, distiller


def forward_of(model):
    """Compiled inference of a model, forced to finish."""
    import tensorflow as tf

    run = tf.function(lambda images: model(images, training=False))
    return lambda images: keras.tree.flatten(run(tf.constant(images)))[0].numpy()


def measure(steps, rounds, warm_up=3):
    """Seconds of each step in each round, after a warm-up."""
    seconds = {name: [] for name in steps}
    for number in range(rounds + warm_up):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if number >= warm_up:
                seconds[name].append(time.perf_counter() - start)
    return {name: numpy.array(values) for name, values in seconds.items()}


def quartiles(values):
    """Median and quartiles, rounded."""
    low, median, high = numpy.percentile(values, (25, 50, 75))
    return {"median": round(median, 4), "low": round(low, 4), "high": round(high, 4)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teacher", default="yolo_v8_mobilenet_v2_1.0")
    parser.add_argument("--student", default="yolo_v8_mobilenet_v2_0.35")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    main(given.teacher, given.student, given.image_size, given.batch_size, given.rounds)
