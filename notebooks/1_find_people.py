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
# # 1. Find people with a preset
#
# A preset is a trained detector that comes with the package. This notebook finds people with one,
# looks at what the score threshold does, and puts a large preset beside a small one. Nothing is
# trained and neither TensorFlow nor Keras is loaded: a preset's int8 file runs in LiteRT.

# %% tags=["parameters"]
PHOTO = ""  # path of a picture of your own; empty: a drawn scene, whose people are known
LARGE, SMALL = "person_nano", "person_atto"

# %%
import matplotlib.pyplot as plt
import numpy as np

import keras_hkd
from keras_hkd.data.drawn import draw_scene
from keras_hkd.inference import draw_detections, load_photo
from keras_hkd.zoo import headline, read_card

# %% [markdown]
# ## The presets
#
# Every preset has a card that says how good it is, on photographs that were kept for testing, and
# what it costs. AP is COCO's average precision, MR-2 the log-average miss rate (lower is better);
# notebook 5 is about both.

# %%
print(f"{'preset':14s} {'parameters':>10s} {'int8 kB':>8s} {'AP':>6s} {'MR-2':>6s}")
for name in keras_hkd.list_presets():
    card = headline(read_card(name))
    size = f"{card['parameters']:10,d} {card['int8_bytes'] / 1000:8.0f}"
    print(f"{name:14s} {size} {card['AP']:6.3f} {card['MR2']:6.3f}")

# %% [markdown]
# ## One picture
#
# `keras_hkd.detect` takes a path or pixels, brings the picture to the detector's own size (padded,
# never stretched) and gives boxes in pixels of the picture: left, top, right, bottom, best first.

# %%
people = None
if PHOTO:
    picture = load_photo(PHOTO)  # turned upright by its EXIF tag
else:
    picture, annotation = draw_scene(396, (480, 640), 1, 0.5, crowd_chance=0, mean_things=3)
    people = annotation.boxes[~annotation.ignore]

found = keras_hkd.detect(picture, LARGE, score_threshold=0.3)
for box, score in zip(found["boxes"], found["confidence"], strict=True):
    print(f"score {score:.2f}: left, top, right, bottom = {box.round().astype(int).tolist()}")

# %%
labels = [f"{score:.2f}" for score in found["confidence"]]
_, axes = plt.subplots(figsize=(8, 6))
axes.imshow(draw_detections(picture, found["boxes"], labels))
axes.set_axis_off()
axes.set_title(f"{LARGE}: {len(labels)} people")

# %% [markdown]
# ## The threshold
#
# A detector is sure of some people and doubts others. A low threshold finds more of them and more
# that are none. There is no right one: it depends on what a miss costs you, and what a false alarm.

# %%
every = keras_hkd.detect(picture, LARGE, score_threshold=0.01)
thresholds = np.array([0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
counts = [int((every["confidence"] >= threshold).sum()) for threshold in thresholds]
for threshold, count in zip(thresholds, counts, strict=True):
    print(f"score of {threshold:.2f} or more: {count} boxes")

# %% [markdown]
# ## Large beside small
#
# The small preset has an eighth of the weights. On one picture the difference can be anything: the
# cards above average over 148 photographs.

# %%
results = {name: keras_hkd.detect(picture, name, score_threshold=0.3) for name in (LARGE, SMALL)}
_, both = plt.subplots(1, 2, figsize=(12, 5))
for axes, (name, result) in zip(both, results.items(), strict=True):
    axes.imshow(draw_detections(picture, result["boxes"]))
    axes.set_axis_off()
    axes.set_title(f"{name}: {len(result['boxes'])} people")

# %% [markdown]
# In a drawn scene the people are known, so we can count who was found: a person counts as found
# where a box covers it with an intersection over union of at least one half.

# %%
from keras_hkd.boxes import pairwise_iou

recall = {}
if people is not None:
    for name, result in results.items():
        overlaps = pairwise_iou(people, result["boxes"])
        recall[name] = float((overlaps.max(axis=1, initial=0.0) >= 0.5).mean())
        print(f"{name} finds {recall[name]:.0%} of {len(people)} people")

# %% [markdown]
# Next: the same in the browser (`docs/demo.md`), a detector of your own (`docs/guides/distil.md`),
# or notebook 4, to the phone.
