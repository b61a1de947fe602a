"""Time and memory of reading a large COCO file, beside pycocotools: `make benchmark-load`.

An annotation file of the size and form of COCO's instances_train2017.json (118,287 images, 860,001
objects of 80 classes with outlines, some 400 MB) is drawn from a seed; it holds no photograph. Each
reader reads it in a process of its own, in turn, round after round, so that a machine whose speed
drifts slows all of them alike. Ratios are taken round by round. Peak memory is that of the whole
process. All must find as many persons, or nothing is written.

- `people`: people, and where their pictures are (empty files), as `load_dataset` reads before it
  decodes them
- `every class`: all objects without a look at pictures, as `keras-hkd score --protocol coco` reads
- `pycocotools`: `pycocotools.coco.COCO(FILE)`
"""

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np

RESULTS = pathlib.Path(__file__).resolve().parent / "results" / "load_time.json"
READERS = ("people", "every class", "pycocotools")
NUM_IMAGES, NUM_BOXES = 118_287, 860_001
PERSON_SHARE = 0.305  # of COCO's objects


def main(num_images, rounds, out):
    """Draws the file, measures and writes."""
    from keras_hkd.json_files import write_json

    num_boxes = round(NUM_BOXES * num_images / NUM_IMAGES)
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "instances_train2017.json"
        draw(file, num_images, num_boxes)
        megabytes = file.stat().st_size / 1e6
        print(f"{num_images:,} images, {num_boxes:,} objects, {megabytes:,.0f} MB", flush=True)
        found = {name: [] for name in READERS}
        for _ in range(rounds):
            for name in READERS:
                found[name].append(measured(name, file))
                print(f"{name:12} {found[name][-1]}", flush=True)
    persons = {one["persons"] for rows in found.values() for one in rows}
    if len(persons) != 1:
        raise RuntimeError(f"The readers disagree on the number of persons. Received: {found}")
    record = {
        "command": f"make benchmark-load  ({num_images:,} images, {rounds} rounds)",
        "versions": versions(),
        "num_images": num_images,
        "num_boxes": num_boxes,
        "num_persons": persons.pop(),
        "megabytes": round(megabytes, 1),
        "readers": {name: summary(rows, found["pycocotools"]) for name, rows in found.items()},
    }
    write_json(out, record)
    for name, one in record["readers"].items():
        print(f"{name:12}", {key: value["median"] for key, value in one.items()})


def draw(file, num_images, num_boxes):
    """Writes annotations of COCO's form, of numbers from a seed."""
    rng = np.random.default_rng(0)
    sizes = rng.choice([(640, 480), (480, 640), (640, 427), (500, 375)], num_images)
    ids = np.sort(rng.choice(600_000, num_images, replace=False)).tolist()
    pictures = file.parent / "train2017"
    pictures.mkdir()
    url = "http://images.cocodataset.org/train2017"
    with open(file, "w", encoding="utf-8") as text:
        text.write('{"info": {"description": "drawn"}, "licenses": [], "images": [')
        for row, (number, (width, height)) in enumerate(zip(ids, sizes.tolist(), strict=True)):
            name = f"{number:012d}.jpg"
            (pictures / name).touch()
            image = {"license": 3, "file_name": name, "coco_url": f"{url}/{name}", "id": number}
            image |= {"height": height, "width": width, "date_captured": "2013-11-14 11:18:45"}
            text.write((", " if row else "") + json.dumps(image))
        text.write('], "annotations": [')
        owners = np.sort(rng.integers(0, num_images, num_boxes))
        for start in range(0, num_boxes, 10_000):
            rows = drawn_boxes(rng, owners[start : start + 10_000], sizes, ids, start)
            text.write((", " if start else "") + ", ".join(map(json.dumps, rows)))
        names = ["person", *(f"class {number}" for number in range(2, 81))]
        categories = [{"id": i, "name": name} for i, name in enumerate(names, start=1)]
        text.write(f'], "categories": {json.dumps(categories)}}}')


def drawn_boxes(rng, owners, sizes, ids, start):
    """Objects of images, each with an outline of some 20 points within its box."""
    count = len(owners)
    limits = sizes[owners]
    corners = rng.uniform(0, 0.7, (count, 2)) * limits
    sides = rng.uniform(0.02, 0.3, (count, 2)) * limits
    boxes = np.concatenate([corners, sides], axis=1).round(2).tolist()
    person = rng.random(count) < PERSON_SHARE
    classes = np.where(person, 1, rng.integers(2, 81, count)).tolist()
    crowds = (rng.random(count) < 0.012).tolist()
    lengths = rng.integers(8, 34, count).tolist()
    for row in range(count):
        inside = rng.random((lengths[row], 2)) * sides[row] + corners[row]
        area = round(0.6 * boxes[row][2] * boxes[row][3], 4)
        yield {
            "segmentation": [inside.round(2).ravel().tolist()],
            "area": area,
            "iscrowd": int(crowds[row]),
            "image_id": ids[owners[row]],
            "bbox": boxes[row],
            "category_id": classes[row],
            "id": start + row + 1,
        }


def measured(name, file):
    """Seconds and peak memory of one reader, in a process of its own."""
    words = [sys.executable, __file__, "--read", name, "--file", str(file)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def read(name, file):
    """Reads the file and prints what it took."""
    if name == "pycocotools":
        from pycocotools.coco import COCO

        def load():
            return COCO(file)

        def persons(coco):
            return len(coco.getAnnIds(catIds=[1]))
    else:
        from keras_hkd.data import load_boxes, load_dataset

        def load():
            return load_dataset(file, check_images=False) if name == "people" else load_boxes(file)

        def persons(dataset):
            return sum(int((one.classes == 0).sum()) for one in dataset)

    start, start_cpu = time.perf_counter(), time.process_time()
    loaded = load()
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - start_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    megabytes = peak / (1e6 if sys.platform == "darwin" else 1e6 / 1024)
    found = {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_megabytes": megabytes}
    print(json.dumps({**found, "persons": persons(loaded)}))


def summary(rows, others):
    """Median and quartiles of each figure, and of the ratio to pycocotools."""
    names = ("seconds", "cpu_seconds", "peak_megabytes")
    figures = {name: [row[name] for row in rows] for name in names}
    for name in ("seconds", "peak_megabytes"):
        pairs = zip(rows, others, strict=True)
        figures[f"{name}_over_pycocotools"] = [one[name] / other[name] for one, other in pairs]
    return {name: quartiles(values) for name, values in figures.items()}


def quartiles(values):
    """Median and quartiles, rounded."""
    low, median, high = np.percentile(values, (25, 50, 75)).tolist()
    return {"median": round(median, 3), "low": round(low, 3), "high": round(high, 3)}


def versions():
    """Versions of what decides how fast the file is read."""
    import importlib.metadata
    import platform

    packages = ("msgspec", "numpy", "pycocotools")
    found = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version(), **found}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num-images", type=int, default=NUM_IMAGES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS)
    parser.add_argument("--read", choices=READERS, help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    arguments = vars(parser.parse_args())
    name, file = arguments.pop("read"), arguments.pop("file")
    main(**arguments) if name is None else read(name, file)
