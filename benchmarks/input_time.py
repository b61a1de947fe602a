"""Images per second of the input pipeline in each mode, as ratios: `make benchmark-input`.

Every pipeline does the same work on the same photographs: decode, letterbox, a random zoom, shift
and flip, changes of colour, boxes that go along, batches. In each round each pipeline starts anew,
gives a few batches unmeasured and then is timed; ratios are taken round by round, so that a machine
whose speed drifts slows all of them alike. Beside the pipelines the compact student takes as many
steps on a batch that is there already (`step`), and trains on two of them (`train memory`,
`train none`).

- `memory`, `disk`, `none`: `keras_hkd.data.training_batches(cache=...)`; same bits in each
- `tf.data`: a plain pipeline of TensorFlow's image operations, which decodes in every epoch
- `tf.data, cache()`: the same, decoded and shrunk images in `Dataset.cache()`
- `grain`: Grain, decoding and drawing with Pillow and NumPy in threads, in every epoch

`over_step` is a pipeline's images per second over those of the step: above 1 the input is never
what training waits for, as far as both do not share cores. Where they do, an image costs both:
`train MODE_over_model` is the measured training over `1 / (1 / step + 1 / pipeline)`, the model of
cost in docs/scale.md; 1.0 would be a model that is right.
"""

import argparse
import itertools
import os
import pathlib
import tempfile
import time

import numpy as np
from step_time import quartiles

RESULTS = pathlib.Path(__file__).resolve().parent / "results" / "input_time.json"
PHOTOGRAPHS = "../shared/data/coco_person:train"
STUDENT = "yolo_v8_mobilenet_v2_0.35"
DECODING, KEEPING = ("none", "tf.data", "grain"), ("memory", "disk", "tf.data, cache()")
MAX_BOXES = 32
ZOOM, FLAT, SHIFT = (0.6, 1.6), (0.87, 1.15), 0.1
BRIGHT, CONTRAST, SATURATION, HUE = 0.12, 0.3, 0.4, 0.02


def main(data, num_images, image_size, batch_size, num_batches, rounds, out):
    """Measures and writes the ratios."""
    from keras_hkd.data import load_dataset
    from keras_hkd.json_files import write_json
    from keras_hkd.training.run_folder import versions

    dataset = load_dataset(data).subset(num_images)
    size = (image_size, image_size)
    with tempfile.TemporaryDirectory() as folder:
        pipelines = {
            mode: ours(dataset, size, batch_size, mode, folder)
            for mode in ("memory", "disk", "none")
        }
        pipelines["tf.data"] = plain(dataset, size, batch_size, keep=False)
        pipelines["tf.data, cache()"] = plain(dataset, size, batch_size, keep=True)
        pipelines["grain"] = grains(dataset, size, batch_size)
        student = build_student(size)
        one_batch = next(iter(pipelines["none"]))
        rates = {name: [] for name in [*pipelines, "step", "train memory", "train none"]}
        for number in range(rounds):
            for name, batches in pipelines.items():
                rates[name].append(rate(iter(batches), num_batches, batch_size))
            trained_on = {"step": itertools.repeat(one_batch)}
            trained_on |= {f"train {mode}": pipelines[mode] for mode in ("memory", "none")}
            for name, batches in trained_on.items():
                steps = itertools.starmap(student.train_on_batch, batches)
                rates[name].append(rate(steps, num_batches, batch_size))
            print(number + 1, {n: round(r[-1]) for n, r in rates.items()}, flush=True)
    rates = {name: np.array(values) for name, values in rates.items()}
    ratios = {f"{name}_over_step": rates[name] / rates["step"] for name in pipelines}
    for ours_, others in (("none", DECODING), ("memory", KEEPING), ("disk", KEEPING)):
        for other in set(others) - {"memory", "disk", "none"}:
            ratios[f"{ours_}_over_{other}"] = rates[ours_] / rates[other]
    ratios["disk_over_memory"] = rates["disk"] / rates["memory"]
    for mode in ("memory", "none"):
        model = 1 / (1 / rates["step"] + 1 / rates[mode])
        ratios[f"train {mode}_over_model"] = rates[f"train {mode}"] / model
    record = {
        "command": f"make benchmark-input  ({num_images} images, {image_size} px, batch "
        f"{batch_size}, {num_batches} batches, {rounds} rounds)",
        "versions": {**versions(), "grain": grain_version()},
        "cores": os.cpu_count(),
        "data_hash": dataset.content_hash,
        "num_images": len(dataset),
        "student": STUDENT,
        "ratios": {name: quartiles(values) for name, values in sorted(ratios.items())},
        "images_per_second": {name: quartiles(values) for name, values in rates.items()},
    }
    write_json(out, record)
    for name, values in {**record["images_per_second"], **record["ratios"]}.items():
        print(f"{name:32}{values['median']:9.2f}   ({values['low']:.2f} to {values['high']:.2f})")


def rate(batches, num_batches, batch_size, warm_up=3):
    """Images per second of an endless iterator."""
    for _ in range(warm_up):
        next(batches)
    start = time.perf_counter()
    for _ in range(num_batches):
        next(batches)
    return num_batches * batch_size / (time.perf_counter() - start)


def ours(dataset, size, batch_size, mode, folder):
    """The pipeline of training, in one of its modes."""
    from keras_hkd.data import training_batches

    return training_batches(
        dataset,
        image_size=size,
        batch_size=batch_size,
        seed=0,
        max_boxes=MAX_BOXES,
        cache=mode,
        cache_folder=folder,
    )


def build_student(size):
    """The compact student, ready to train."""
    from keras_hkd.detectors import build

    student = build(STUDENT, image_size=size, seed=0)
    student.compile("adam", jit_compile=False)
    return student


def table_of(dataset):
    """Boxes of all images, padded with -1."""
    boxes = np.full((len(dataset), MAX_BOXES, 4), -1, "float32")
    for row, annotation in zip(boxes, dataset, strict=True):
        people = annotation.boxes[~annotation.ignore][:MAX_BOXES]
        row[: len(people)] = people
    return boxes


def plain(dataset, size, batch_size, keep):
    """What one would write in `tf.data`: TensorFlow's operations, one image at a time."""
    import tensorflow as tf

    paths, boxes = [annotation.image_path for annotation in dataset], table_of(dataset)
    longest = 1.5 * max(size)

    def decode(path, boxes):
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        shape = tf.cast(tf.shape(image)[:2], tf.float32)
        scale = tf.minimum(1.0, longest / tf.reduce_max(shape))
        shrunk = tf.cast(tf.round(shape * scale), tf.int32)
        image = tf.image.resize(image, shrunk, antialias=True)
        return tf.cast(tf.round(image), tf.uint8), tf.where(boxes >= 0, boxes * scale, -1.0)

    def vary(image, boxes):
        shape = tf.cast(tf.shape(image)[:2], tf.float32)
        fit = tf.reduce_min(tf.constant(size, tf.float32) / shape)
        zoom = tf.exp(tf.random.uniform((), *np.log(ZOOM)))
        flat = tf.exp(tf.random.uniform((), *np.log(FLAT)) / 2)
        scale = fit * zoom * tf.stack([1 / flat, flat])  # y, x
        space = tf.constant(size, tf.float32) - shape * scale
        offset = space * tf.random.uniform((2,))
        offset += tf.random.uniform((2,), -SHIFT, SHIFT) * tf.constant(size, tf.float32)
        start, stop = -offset / scale, (tf.constant(size, tf.float32) - offset) / scale
        window = tf.concat([start, stop], 0) / tf.tile(shape, (2,))
        image = tf.image.crop_and_resize(image[None], window[None], [0], size, "bilinear", 114)[0]
        moved = boxes * tf.tile(scale[::-1], (2,)) + tf.tile(offset[::-1], (2,))
        limit = tf.constant([size[1], size[0]] * 2, tf.float32)
        clipped = tf.clip_by_value(moved, 0.0, limit)
        if tf.random.uniform(()) < 0.5:
            image = image[:, ::-1]
            x1, y1, x2, y2 = tf.unstack(clipped, axis=-1)
            clipped = tf.stack([size[1] - x2, y1, size[1] - x1, y2], axis=-1)
        sides = clipped[:, 2:] - clipped[:, :2]
        kept = (boxes[:, 0] >= 0) & tf.reduce_all(sides >= 2, axis=-1)
        image = tf.image.random_brightness(image / 255, BRIGHT)
        image = tf.image.random_contrast(image, 1 - CONTRAST, 1 + CONTRAST)
        image = tf.image.random_saturation(image, 1 - SATURATION, 1 + SATURATION)
        image = tf.clip_by_value(tf.image.random_hue(image, HUE), 0, 1) * 255
        labels = {
            "boxes": tf.where(kept[:, None], clipped, -1.0),
            "classes": tf.where(kept, 0.0, -1.0),
        }
        return image, labels

    batches = tf.data.Dataset.from_tensor_slices((paths, boxes))
    if keep:
        batches = batches.map(decode, num_parallel_calls=tf.data.AUTOTUNE).cache()
        for _ in batches:  # a cache is whole only after a whole pass
            pass
        batches = batches.shuffle(len(paths)).repeat()
    else:
        batches = batches.shuffle(len(paths)).repeat()
        batches = batches.map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    batches = batches.map(vary, num_parallel_calls=tf.data.AUTOTUNE)
    return batches.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def grains(dataset, size, batch_size):
    """What one would write with Grain: Pillow and NumPy, in threads."""
    import grain
    from PIL import Image, ImageEnhance

    paths, boxes = [annotation.image_path for annotation in dataset], table_of(dataset)

    def make(index, rng):
        with Image.open(paths[index]) as file:
            image = file.convert("RGB")
        shape = np.array([image.height, image.width], "float32")
        fit = min(size / shape)
        zoom = np.exp(rng.uniform(*np.log(ZOOM)))
        flat = np.exp(rng.uniform(*np.log(FLAT)) / 2)
        scale = fit * zoom * np.array([1 / flat, flat])
        space = size - shape * scale
        offset = space * rng.uniform(size=2) + rng.uniform(-SHIFT, SHIFT, 2) * size
        coarse = max(1, int(1 / scale.max()))
        image = image.reduce(coarse) if coarse > 1 else image
        steps = 1 / (scale * coarse)
        inverse = (steps[1], 0, -offset[1] * steps[1], 0, steps[0], -offset[0] * steps[0])
        image = image.transform(
            size[::-1], Image.Transform.AFFINE, inverse, Image.Resampling.BILINEAR,
            fillcolor=(114,) * 3,
        )  # fmt: skip
        limit = [size[1], size[0]] * 2
        moved = np.clip(boxes[index] * np.tile(scale[::-1], 2) + np.tile(offset[::-1], 2), 0, limit)
        if rng.uniform() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            moved[:, [0, 2]] = size[1] - moved[:, [2, 0]]
        kept = (boxes[index, :, 0] >= 0) & ((moved[:, 2:] - moved[:, :2]) >= 2).all(axis=-1)
        image = ImageEnhance.Color(image).enhance(1 + rng.uniform(-SATURATION, SATURATION))
        pixels = np.asarray(image, "float32") - 114
        pixels = pixels * (1 + rng.uniform(-CONTRAST, CONTRAST)) + 114
        pixels = np.clip(pixels + 255 * rng.uniform(-BRIGHT, BRIGHT), 0, 255)
        labels = {
            "boxes": np.where(kept[:, None], moved, -1).astype("float32"),
            "classes": np.where(kept, 0, -1).astype("float32"),
        }
        return pixels.astype("float32"), labels

    source = grain.MapDataset.range(len(paths)).seed(0).shuffle().repeat()
    threads = grain.ReadOptions(num_threads=os.cpu_count(), prefetch_buffer_size=4 * batch_size)
    samples = source.random_map(make).to_iter_dataset(threads)
    return samples.batch(batch_size, drop_remainder=True)


def grain_version():
    """Grain's version."""
    import importlib.metadata

    return importlib.metadata.version("grain")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=PHOTOGRAPHS)
    parser.add_argument("--num-images", type=int, default=256)
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--num-batches", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS)
    main(**vars(parser.parse_args()))
