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
# # 2. Distil your own detector in ten minutes
#
# A preset teaches a small detector of another family, which begins with random weights. It is
# trained twice with one budget, under the teacher and alone, so that you see what the teacher adds.
# Two free CPU cores need about ten minutes for all of it; one core that other programs used as well
# took sixteen.

# %% tags=["parameters"]
TRAIN, TEST = "", ""  # your photographs, such as "photos:train", "photos:test"; empty: drawn scenes
TEACHER = "person_nano"  # a preset, or the path of a .keras file
STUDENT = "yolo_v8_micro"  # keras_hkd.detectors.names() lists them
SIZE = (192, 192)
NUM_SCENES = 480  # drawn to learn from; a quarter as many to test on
EPOCHS = 12
BATCH_SIZE = 8
FOLDER = "runs/ten_minutes"

# %%
import pathlib

import matplotlib.pyplot as plt
import numpy as np

import keras_hkd
from keras_hkd.data import load_dataset, synthetic_dataset
from keras_hkd.detectors import build
from keras_hkd.evaluation import evaluate_detector
from keras_hkd.inference import draw_detections, predict_images
from keras_hkd.training import TrainingSettings, train_model, training_scope

# %% [markdown]
# ## Data
#
# Any format of `docs/guides/label-formats.md` will do. The drawn scenes have boxes around people,
# as photographs would; those to test on come from another seed, so that no training sees them.

# %%
drawn = {"person_height": 0.4, "crowd_chance": 0.0, "mean_things": 3}
if TRAIN:
    train, test = load_dataset(TRAIN), load_dataset(TEST)
else:
    train = synthetic_dataset(NUM_SCENES, (240, 320), seed=2, **drawn)
    test = synthetic_dataset(NUM_SCENES // 4, (240, 320), seed=3, **drawn)
print(f"{len(train)} images to learn from, {len(test)} to test on")

_, both = plt.subplots(1, 2, figsize=(12, 5))
for index, axes in enumerate(both):
    axes.imshow(draw_detections(train.load_image(index), train[index].boxes))
    axes.set_axis_off()
    axes.set_title(f"{len(train[index].boxes)} people")

# %% [markdown]
# ## The teacher
#
# Check it before anything learns from it: a student learns little from a teacher that is hardly
# better than itself. The presets have seen photographs alone; drawn people are strange to them.

# %%
if TEACHER in keras_hkd.list_presets():
    teacher = keras_hkd.from_preset(TEACHER)
else:
    teacher = keras_hkd.load_detector(TEACHER)
scores = {"teacher": evaluate_detector(teacher, test, SIZE, progress=False)}
print(f"{TEACHER} at {SIZE}: AP {scores['teacher']['AP']:.3f}")

# %% [markdown]
# ## The student under its teacher
#
# A `Distiller` is a Keras model. Which terms the pair gets, and why, stands in `chosen`; each term
# weighs itself by its share of the student's gradient. `train_model` is `fit` with AdamW, warm-up,
# a cosine, averaged weights, and a checkpoint after every epoch. With `resume=True` a cell that is
# run again goes on where it was, and takes no time where it was finished; other parameters need
# another `FOLDER`. Towards the end it may warn that a term has outgrown its share, since the
# student's own gradient has become small; `RebalanceTerms` would measure anew.

# %%
settings = TrainingSettings(
    epochs=EPOCHS,
    batch_size=BATCH_SIZE,
    learning_rate=3e-3,
    ema_momentum=0.99,
    image_size=SIZE,
)
folder = pathlib.Path(FOLDER)
with training_scope(settings):
    student = build(STUDENT, image_size=SIZE)
    distiller = keras_hkd.Distiller(teacher, student)
print(distiller.chosen)

# %%
histories = {
    "distilled": train_model(distiller, train, settings, folder / "distilled", resume=True)
}

# %% [markdown]
# ## The same student alone
#
# The same first weights, images, steps and seed: only the teacher is missing.

# %%
with training_scope(settings):
    alone = build(STUDENT, image_size=SIZE)
histories["alone"] = train_model(alone, train, settings, folder / "alone", resume=True)

# %% [markdown]
# ## What it gained
#
# On images that no training saw and nothing was chosen by.

# %%
detectors = {"teacher": teacher, "alone": alone, "distilled": student}
for name in ("alone", "distilled"):
    scores[name] = evaluate_detector(detectors[name], test, SIZE, progress=False)
print(f"{'':10s} {'parameters':>10s} {'AP':>6s} {'AP50':>6s} {'MR-2':>6s}")
for name, row in scores.items():
    figures = f"{row['AP']:6.3f} {row['AP50']:6.3f} {row['MR2']:6.3f}"
    print(f"{name:10s} {detectors[name].count_params():10,d} {figures}")

# %%
_, axes = plt.subplots(figsize=(7, 4))
losses = {
    name: np.sum([history[part] for part in student.loss_names], axis=0)
    for name, history in histories.items()
}
for name, loss in losses.items():
    axes.plot(range(1, EPOCHS + 1), loss, marker="o", label=name)
axes.set(xlabel="epoch", ylabel="loss on labels")
axes.legend()

# %% [markdown]
# The loss on labels leaves the teacher's terms out, so that both lines mean the same. The distilled
# student need not be lower here to be the better detector: it has more to attend to than labels.

# %% [markdown]
# Ten minutes make no good detector. With drawn scenes and these settings one run gave an AP of 0.05
# alone, 0.10 distilled, and 0.35 of the teacher: twice as much, and far from it. Neither student is
# sure of anybody yet, so the threshold below is low; the picture is that of the first thirty in
# which the teacher finds most.

# %%
pictures = [test.load_image(index) for index in range(min(30, len(test)))]
found = {
    name: predict_images(detector, pictures, SIZE, BATCH_SIZE, score_threshold=0.2)
    for name, detector in detectors.items()
}
most = int(np.argmax([len(one["boxes"]) for one in found["teacher"]]))
_, three = plt.subplots(1, 3, figsize=(15, 4))
for axes, (name, results) in zip(three, found.items(), strict=True):
    boxes = results[most]["boxes"]
    axes.imshow(draw_detections(pictures[most], boxes))
    axes.set_axis_off()
    axes.set_title(f"{name}: {len(boxes)} boxes")

# %% [markdown]
# ## Keep it
#
# Teacher and projections stay behind. The file is an ordinary detector, for every command too:
# `keras-hkd detect runs/ten_minutes/student.keras photo.jpg`.

# %%
student.save(folder / "student.keras")
print(f"{(folder / 'student.keras').stat().st_size:,d} bytes")

# %% [markdown]
# ## Before you believe it
#
# One seed and ten minutes show that it runs. Two trainings that differ by their seed alone are
# often as far apart as teacher and no teacher: repeat with three seeds (`seed=` of the settings),
# train until the student alone stops getting better, and let `keras-hkd report` test the
# difference (`docs/guides/report.md`). On your own photographs a student that begins as a preset,
# such as `keras_hkd.from_preset("person_atto")`, is far ahead of one with random weights.
#
# Next: notebook 3, what the terms of this training see; notebook 4, to the phone.
