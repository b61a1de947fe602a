"""Cuts objects out of the photographs, for the proofs of the classification systems.

    python benchmarks/object_crops.py --out runs/crops

Two folders are written, each with `train/<class>/*.png` and `test/<class>/*.png`:

- `objects`: what two public COCO detectors agree on. YOLOX-Nano finds it with a score of at least
  0.3, and NanoDet-m gives the same class at an IoU of at least 0.5. Classes with at least 60 crops
  are kept (at least 8 of them in test), and at most 300 crops of a class.
- `person_background`: the labelled people, and as many boxes of the same sizes that overlap no
  person by more than a tenth of their area.

A crop is the square around the box with a tenth of margin, shrunk to 96 px where it is larger;
boxes under 20 px are left out. Test are the photographs of the test list of `coco_person` (so that
a backbone learned here may go into a detector that is tested there) and a quarter of the others, by
the hash of their name; no photograph is on both sides. `labels.json` records every crop.
"""

import argparse
import collections
import hashlib
import json
import pathlib
import shutil
import sys

import numpy as np
import rich.progress
from coco_detectors import CLASS_NAMES, NanoDet, YoloxNano, detect
from PIL import Image

from keras_hkd.boxes.iou import pairwise_intersection_over_area, pairwise_iou
from keras_hkd.data import load_dataset
from keras_hkd.json_files import write_json

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = ("coco_person:train", "coco_person:val", "coco_person:test", "coco_person_nc:train")
TEST_SHARE = 0.25
SCORE, AGREEMENT = 0.3, 0.5
MIN_SIDE_PX, MAX_SIDE_PX, MARGIN = 20, 96, 0.1
MIN_CROPS, MIN_TEST_CROPS, MAX_CROPS = 60, 8, 300


def main(shared, out):
    """Finds, cuts and writes all crops, once."""
    if (out / "labels.json").exists():
        print(f"{out}: finished before")
        return
    weights = shared / "weights"
    first = YoloxNano(weights / "yolox_nano_float16.tflite")
    second = NanoDet(weights / "nanodet_m.onnx")
    found = {"objects": [], "person_background": []}
    rng = np.random.default_rng(0)
    for name in ("found", *found):  # of a run that was killed
        shutil.rmtree(out / name, ignore_errors=True)
    for source in SOURCES:
        dataset = load_dataset(f"{shared / 'data'}/{source}", check_images=False)
        for index in rich.progress.track(range(len(dataset)), description=source):
            annotation, image = dataset.annotations[index], dataset.load_image(index)
            split = split_of(source, annotation.file_name)
            objects = agreed(first, second, image)
            pairs = people_and_background(annotation, rng)
            for kind, boxes in (("objects", objects), ("person_background", pairs)):
                for number, (name, box) in enumerate(boxes):
                    path = pathlib.Path(split, name, f"{annotation.image_id}_{number}.png")
                    cut(image, box, out / "found" / kind / path)
                    record = {"file": str(path), "class": name, "split": split, "source": source}
                    found[kind].append({**record, "box": [round(float(v), 1) for v in box]})
    kept = {kind: keep(records, out, kind) for kind, records in found.items()}
    shutil.rmtree(out / "found")
    write_json(out / "labels.json", kept)
    print(json.dumps({kind: count(records) for kind, records in kept.items()}, indent=1))


def split_of(source, file_name):
    """`"train"` or `"test"` for a photograph."""
    share = int(hashlib.sha1(file_name.encode()).hexdigest()[:8], 16) / 16**8
    return "test" if source.endswith(":test") or share >= 1 - TEST_SHARE else "train"


def agreed(first, second, image):
    """`(class name, box)` of everything that both detectors see."""
    boxes, classes, _ = detect(first, image, SCORE)
    others, other_classes, _ = detect(second, image, SCORE)
    if not len(boxes) or not len(others):
        return []
    overlaps = pairwise_iou(boxes, others) * (classes[:, None] == other_classes[None])
    sure = overlaps.max(axis=1) >= AGREEMENT
    return [
        (CLASS_NAMES[number], box)
        for number, box in zip(classes[sure], clipped(boxes[sure], image), strict=True)
        if min(box[2:] - box[:2]) >= MIN_SIDE_PX
    ]


def people_and_background(annotation, rng):
    """The labelled people of a photograph, and boxes of their sizes where nobody is."""
    people = annotation.boxes[~annotation.ignore]
    sides = people[:, 2:] - people[:, :2]
    image_size = (annotation.width, annotation.height)
    large = sides.min(axis=1) >= MIN_SIDE_PX
    crops = [("person", box) for box in people[large]]
    for side in sides[large]:
        for _ in range(20):
            corner = rng.uniform((0, 0), np.maximum(image_size - side, 1))
            box = np.concatenate([corner, corner + side])
            shares = pairwise_intersection_over_area(box[None], annotation.boxes)
            if not shares.size or shares.max() <= 0.1:
                crops.append(("background", box))
                break
    return crops


def clipped(boxes, image):
    """Boxes cut at the edge of the picture."""
    height, width = image.shape[:2]
    return np.clip(boxes, 0, (width, height, width, height))


def cut(image, box, path):
    """Writes the square around a box."""
    half = (1 + 2 * MARGIN) * max(box[2:] - box[:2]) / 2
    x, y = (box[:2] + box[2:]) / 2
    crop = Image.fromarray(image).crop([round(v) for v in (x - half, y - half, x + half, y + half)])
    crop.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
    path.parent.mkdir(parents=True, exist_ok=True)
    crop.save(path)


def keep(records, out, kind):
    """Moves the crops of classes with enough of them; at most `MAX_CROPS` of a class."""
    kept = []
    totals = collections.Counter(record["class"] for record in records)
    tests = collections.Counter(r["class"] for r in records if r["split"] == "test")
    for name in sorted(totals):
        if totals[name] < MIN_CROPS or tests[name] < MIN_TEST_CROPS:
            continue
        mine = [record for record in records if record["class"] == name]
        order = np.random.default_rng(0).permutation(len(mine))[:MAX_CROPS]
        kept += [mine[i] for i in sorted(order)]
    for record in kept:
        target = out / kind / record["file"]
        target.parent.mkdir(parents=True, exist_ok=True)
        (out / "found" / kind / record["file"]).rename(target)
    return kept


def count(records):
    """Number of crops by split and class."""
    counts = collections.defaultdict(collections.Counter)
    for record in records:
        counts[record["split"]][record["class"]] += 1
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=pathlib.Path, default=ROOT.parent / "shared")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/crops"))
    given = parser.parse_args()
    if not (given.shared / "data").is_dir():
        sys.exit(f"No data at {given.shared}: pass --shared FOLDER with data/ and weights/ in it.")
    main(given.shared, given.out)
