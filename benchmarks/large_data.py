"""Training on 118,000 images within a bounded memory: `make large-data`.

A folder as large as COCO's train2017 is made of hard links to a few hundred photographs (copies of
the links' targets where the file system has none: symbolic links). A training of the compact
student then starts in a process of its own: once to make the pictures on disk, once more as a
second start, and once without a cache. Of each the seconds from the start of the process to the end
of the first step are measured, and the resident memory after every later step.

The first start decodes every image, which takes minutes; killed, it goes on when called again.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

RESULTS = pathlib.Path(__file__).resolve().parent / "results" / "large_data.json"
PHOTOGRAPHS = "../shared/data/coco_person:train"
STUDENT = "yolo_v8_mobilenet_v2_0.35"
GOAL_SECONDS, GOAL_MEGABYTES = 60, 4000
STARTS = {"first start": "disk", "second start": "disk", "no cache": "none"}


def main(data, num_images, image_size, batch_size, num_steps, folder, out):
    """Makes the folder, runs the starts, and writes what they took."""
    from keras_hkd.json_files import write_json
    from keras_hkd.training.run_folder import versions

    folder = folder.absolute()
    link_images(data, num_images, folder / "images_of_many")
    found = {}
    for name, mode in STARTS.items():
        words = [sys.executable, __file__, "--child", mode, "--folder", str(folder)]
        words += ["--image-size", str(image_size), "--batch-size", str(batch_size)]
        words += ["--num-steps", str(num_steps)]
        environment = {**os.environ, "LARGE_DATA_START": str(time.time())}
        run = subprocess.run(words, env=environment, stdout=subprocess.PIPE, check=True, text=True)
        found[name] = json.loads(run.stdout.splitlines()[-1])
        print(name, found[name], flush=True)
    record = {
        "command": f"make large-data  ({num_images:,} images, {image_size} px, batch {batch_size}, "
        f"{num_steps} steps)",
        "versions": versions(),
        "cores": os.cpu_count(),
        "student": STUDENT,
        "num_images": num_images,
        "data_hash": found["second start"].pop("data_hash"),
        "starts": found,
        "goals": {
            "seconds_to_first_step": GOAL_SECONDS,
            "resident_megabytes": GOAL_MEGABYTES,
            "met": all(
                found[name]["resident_megabytes"] < GOAL_MEGABYTES
                and found[name]["seconds_to_first_step"] < GOAL_SECONDS
                for name in ("second start", "no cache")
            ),
        },
    }
    write_json(out, record)
    print("goals", record["goals"])


def link_images(data, num_images, folder):
    """Makes a data set in COCO's form of links to photographs, unless it is there."""
    from keras_hkd.data import load_dataset
    from keras_hkd.json_files import write_json

    file = folder / "annotations.json"
    if file.exists() and len(json.loads(file.read_text())["images"]) == num_images:
        return
    dataset = load_dataset(data)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images, boxes = [], []
    for number in range(num_images):
        one = dataset[number % len(dataset)]
        name = f"{number:07}{pathlib.Path(one.image_path).suffix}"
        link(pathlib.Path(one.image_path).resolve(), folder / "images" / name)
        size = {"width": one.width, "height": one.height}
        images.append({"id": number, "file_name": name, **size})
        for (x1, y1, x2, y2), ignored in zip(one.boxes.tolist(), one.ignore.tolist(), strict=True):
            place = {"image_id": number, "bbox": [x1, y1, x2 - x1, y2 - y1], "category_id": 1}
            area = (x2 - x1) * (y2 - y1)
            boxes.append({"id": len(boxes), **place, "area": area, "iscrowd": int(ignored)})
    content = {"images": images, "annotations": boxes}
    write_json(file, {**content, "categories": [{"id": 1, "name": "person"}]}, indent=None)


def link(photograph, path):
    """Makes a hard link, or a symbolic one to another file system."""
    path.unlink(missing_ok=True)
    try:
        os.link(photograph, path)
    except OSError:
        path.symlink_to(photograph)


def child(mode, folder, image_size, batch_size, num_steps):
    """One start of a training; prints what it took."""
    import numpy as np

    from keras_hkd.data import load_dataset, training_batches
    from keras_hkd.detectors import build

    start, size = float(os.environ["LARGE_DATA_START"]), (image_size, image_size)
    seconds = {}
    dataset = load_dataset(folder / "images_of_many")
    seconds["to_data_read"] = time.time() - start
    batches = training_batches(
        dataset,
        image_size=size,
        batch_size=batch_size,
        seed=0,
        cache=mode,
        cache_folder=folder / "pictures",
    )
    seconds["to_pipeline_made"] = time.time() - start
    student = build(STUDENT, image_size=size, seed=0)
    student.compile("adam", jit_compile=False)
    student.optimizer.build(student.trainable_variables)  # as `keras-hkd train` does
    resident = []
    for number, (images, labels) in enumerate(batches):
        student.train_on_batch(images, labels)
        if not number:
            seconds["to_first_step"] = begun = time.time()
            seconds["to_first_step"] -= start
        resident.append(resident_megabytes())
        if number == num_steps:
            break
    found = {f"seconds_{name}": round(value, 1) for name, value in seconds.items()}
    found["images_per_second"] = round(num_steps * batch_size / (time.time() - begun), 1)
    # Steady: the largest of the second half.
    found["resident_megabytes"] = round(float(np.max(resident[len(resident) // 2 :])))
    found["pictures_gigabytes"] = round(size_of(folder / "pictures") / 1e9, 2)
    print(json.dumps({**found, "data_hash": dataset.content_hash}))


def resident_megabytes():
    """What the process holds now, mapped pages of files included."""
    with open("/proc/self/status", encoding="utf-8") as lines:
        return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS:"))


def size_of(folder):
    """Bytes of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=PHOTOGRAPHS)
    parser.add_argument("--num-images", type=int, default=118_000)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--num-steps", type=int, default=200)
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("runs/large_data"))
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS)
    parser.add_argument("--child", choices=("disk", "none"), help=argparse.SUPPRESS)
    given = vars(parser.parse_args())
    mode = given.pop("child")
    if mode is None:
        main(**given)
    else:
        names = ("folder", "image_size", "batch_size", "num_steps")
        child(mode, **{name: given[name] for name in names})
