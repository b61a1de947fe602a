# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 5. Read MR-2 and AP, and when they disagree
#
# Two numbers say how good a pedestrian detector is, and they answer different questions.
#
# - **AP** (COCO's average precision, higher is better): how good are boxes and scores over all
#   thresholds? It averages over how exactly a box must fit (IoU from 0.50 to 0.95).
# - **MR-2** (log-average miss rate, lower is better): which share of people is missed, where there
#   are 0.01 to 1 false alarms per image? A box that covers a person with an IoU of 0.5 is right.
#
# Here we make detections ourselves and change one thing at a time, so it is known beforehand what
# happened. Then two presets are scored.

# %% tags=["parameters"]
NUM_SCENES = 200  # fewer than 100 are too coarse for MR-2
PRESETS = ("person_nano", "person_atto")

# %%
import matplotlib.pyplot as plt
import numpy as np

from keras_hkd.data.drawn import synthetic_dataset
from keras_hkd.inference import TFLiteDetector, predict_images
from keras_hkd.inference.prediction import coco_results
from keras_hkd.metrics import (
    as_ground_truth,
    coco_average_precision,
    log_average_miss_rate,
    miss_rate_curve,
)
from keras_hkd.zoo import preset_folder

scenes = synthetic_dataset(
    NUM_SCENES, (240, 320), seed=5, person_height=0.4, crowd_chance=0.0, mean_things=3
)
truth = as_ground_truth(scenes)


def scores_of(found):
    """AP, AP75 and MR-2 of COCO results."""
    precision = coco_average_precision(truth, found)
    return {
        "AP": precision["AP"],
        "AP75": precision["AP75"],
        "MR-2": log_average_miss_rate(truth, found),
    }


# %% [markdown]
# ## A made-up detector
#
# It finds four people in five, sometimes the edge of a box is off by a few hundredths, and in every
# image it sees two people where nobody is. Those score less than the people.

# %%
rng = np.random.default_rng(5)


def result(image_id, box, score):
    """One detection, as a COCO result."""
    left, top, right, bottom = (float(side) for side in box)
    return {
        "image_id": image_id,
        "category_id": 1,
        "bbox": [left, top, right - left, bottom - top],
        "score": float(score),
    }


def somewhere():
    """A box where nobody needs to be: a false alarm."""
    left, top = rng.uniform(0, 280), rng.uniform(0, 140)
    return left, top, left + 40, top + 100


found, lost = [], []
for image in scenes:
    for box, ignored in zip(image.boxes, image.ignore, strict=True):
        if ignored:
            continue
        width, height = box[2] - box[0], box[3] - box[1]
        shaken = box + rng.normal(0, 0.02, 4) * [width, height, width, height]
        (found if rng.random() < 0.8 else lost).append((image.image_id, shaken))

base = [result(image_id, box, rng.uniform(0.5, 0.95)) for image_id, box in found]
base += [
    result(image.image_id, somewhere(), rng.uniform(0.2, 0.45)) for image in scenes for _ in "12"
]

# %% [markdown]
# ## One change at a time

# %%
variants = {
    "as it is": base,
    # The people that it lost, at scores below all false alarms.
    "lost people at low scores": base
    + [result(image_id, box, rng.uniform(0.02, 0.1)) for image_id, box in lost],
    # In every tenth image one false alarm that it is sure of.
    "a few sure false alarms": base
    + [result(image.image_id, somewhere(), 0.99) for image in list(scenes)[::10]],
    # Every box a tenth narrower and lower on each side: an IoU of 0.64, still more than a half.
    "looser boxes": [
        {**one, "bbox": [x + 0.1 * w, y + 0.1 * h, 0.8 * w, 0.8 * h]}
        for one in base
        for x, y, w, h in [one["bbox"]]
    ],
    # Nobody lower than 50 pixels is found any more.
    "small people lost": [one for one in base if one["bbox"][3] >= 50],
}
table = {name: scores_of(results) for name, results in variants.items()}
print(f"{'':28s}" + "".join(f"{column:>8s}" for column in ("AP", "AP75", "MR-2")))
for name, row in table.items():
    print(f"{name:28s}" + "".join(f"{value:8.3f}" for value in row.values()))

# %% [markdown]
# Row by row:
#
# - **Lost people at low scores**: AP rises, MR-2 stays. Both false alarms of an image score higher,
#   so these people lie beyond one false alarm per image, where MR-2 does not look.
# - **A few sure false alarms**: MR-2 doubles, AP loses little. There is a tenth of a false alarm
#   per image before the first person: at the references below 0.1 everybody counts as missed.
# - **Looser boxes**: AP falls far, AP75 most, MR-2 stays. Somebody who counts people does not
#   mind; somebody who measures distances by the height of a box does.
# - **Small people lost**: MR-2 stays, since people lower than 50 pixels are left out of its subset
#   "reasonable"; AP sees it.
#
# So read both, with AP50 and AP75 between them, and say before you look which one counts for your
# use.

# %% [markdown]
# ## The curve behind MR-2
#
# MR-2 is the geometric mean of the miss rate at the nine dashed lines.

# %%
_, axes = plt.subplots(figsize=(7, 5))
for name in ("as it is", "lost people at low scores", "a few sure false alarms"):
    curve = miss_rate_curve(truth, variants[name])
    axes.step(curve.false_positives_per_image, curve.miss_rates, where="post", label=name)
for reference in curve.references:
    axes.axvline(reference, color="grey", linestyle="--", linewidth=0.5)
axes.set(xscale="log", yscale="log", xlabel="false alarms per image", ylabel="miss rate")
axes.legend()

# %% [markdown]
# ## Two presets
#
# Their int8 files, on the same drawn scenes. They were trained on photographs, so the figures are
# low; what counts here is how to read them.

# %%
pictures = [scenes.load_image(index) for index in range(len(scenes))]
presets = {}
for name in PRESETS:
    detector = TFLiteDetector(preset_folder(name) / "int8.tflite")
    results = []
    for image, one in zip(scenes, predict_images(detector, pictures, batch_size=8), strict=True):
        results += coco_results(one, image.image_id, [1])
    presets[name] = scores_of(results)
    print(name, {column: round(value, 3) for column, value in presets[name].items()})

# %% [markdown]
# ## Before you believe a difference
#
# Two trainings of one detector differ by their seed alone. Compare with three seeds at least, on
# images that neither trained nor chose anything, at the same budget
# (`docs/guides/reading-metrics.md`).
