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
# # 3. What each hierarchy sees: teacher and student, before and after
#
# A distillation term reads teacher and student at one place, its hierarchy, and compares what it
# finds. This notebook draws it: cells of the pyramid, regions, class scores and boxes, first of a
# student that has learnt nothing, then of the same student after some steps under its teacher.

# %% tags=["parameters"]
TEACHER = "person_nano"  # a preset, or the path of a .keras file
WIDTH = 0.125  # of the student; RTMDet-nano has 0.25
SIZE = (192, 192)
NUM_SCENES = 240
STEPS = 300
BATCH_SIZE = 8

# %%
import keras
import numpy as np

import keras_hkd
from keras_hkd import visualize
from keras_hkd.data import synthetic_dataset, training_batches
from keras_hkd.detectors.rtmdet import RTMDet, RTMDetConfig
from keras_hkd.hierarchies import Boxes, ClassLogits, Pyramid, Region, possible
from keras_hkd.losses import AdaptiveDistillation, FeatureImitation, GIoU, PearsonCorrelation

if TEACHER in keras_hkd.list_presets():
    teacher = keras_hkd.from_preset(TEACHER)
else:
    teacher = keras_hkd.load_detector(TEACHER)
config = RTMDetConfig(width=WIDTH, num_classes=1)
student, untrained = (RTMDet(config, image_size=SIZE) for _ in range(2))
untrained.set_weights(student.get_weights())
scenes = synthetic_dataset(
    NUM_SCENES, (240, 320), seed=6, person_height=0.5, crowd_chance=0.0, mean_things=3
)

# %% [markdown]
# ## Where this pair can be compared
#
# What teacher and student have in common says which hierarchies work. These two are of one family,
# so that each anchor of the student has one of the teacher. Of another family, such as
# `keras_hkd.detectors.build("yolo_v8_micro")`, anchors lie elsewhere: an anchor of the student is
# then told by the detections of the teacher that its own box meets, and as the student learns, what
# it is told changes too.

# %%
print(possible(teacher, student))

# %% [markdown]
# ## Before
#
# Four of them, each with a loss, as terms of one `Distiller`. `look` runs both detectors on a batch
# as a training step does, and changes nothing. Everything below is drawn from what it gives.

# %%
terms = [
    Pyramid(PearsonCorrelation()),
    Region(FeatureImitation()),
    ClassLogits(AdaptiveDistillation()),
    Boxes(GIoU()),
]
distiller = keras_hkd.Distiller(teacher, student, terms)
pyramid, region, logits, boxes = distiller.distillation_losses
batches = training_batches(scenes, image_size=SIZE, batch_size=BATCH_SIZE, seed=0)
images, labels = next(iter(batches))
before = visualize.look(distiller.teacher, distiller.learner, images, labels)


def agreement(hierarchy, step):
    """Correlation of both maps over the cells that count, mean over levels; 0 of constants."""
    teachers, students = {}, {}
    for row in range(len(images)):
        for one in visualize.level_maps(hierarchy, step, row, standardize=hierarchy is pyramid):
            counts = np.ones_like(one.teacher) if one.weights is None else one.weights
            teachers.setdefault(one.level, []).append(one.teacher[counts > 0])
            students.setdefault(one.level, []).append(one.student[counts > 0])
    found = []
    for level in teachers:
        pair = np.concatenate(teachers[level]), np.concatenate(students[level])
        constant = min((one.std() for one in pair if len(one)), default=0.0) < 1e-6
        found.append(0.0 if constant else float(np.corrcoef(*pair)[0, 1]))
    return float(np.mean(found))


# %% [markdown]
# **Regions.** A `Region` reads the pyramid where people are: labelled ones in full lines, in broken
# ones what the teacher found besides. The colour is the level that a region is read from.

# %%
visualize.draw_regions(region, before)

# %% [markdown]
# **Labels.** What the student's own loss asks of it: each dot is an anchor that is to find the
# person at the end of its line. A person without a dot is learnt by nobody.

# %%
visualize.draw_assignment(before)

# %% [markdown]
# **Cells of the pyramid.** A row for each level: teacher, student, their difference. Channels are
# standardised first, since the Pearson correlation does not mind their scale. The student shows
# nothing: its weights are small, and its normalisations, which measure as it is trained, do not yet
# bring what passes them to a usual size.

# %%
visualize.draw_maps(pyramid, before, standardize=True)

# %% [markdown]
# **Class scores.** The teacher's are higher where people are; the student begins at one score
# everywhere, which says that nearly all cells are background. *Weights* is how much a cell counts
# for the loss.

# %%
visualize.draw_maps(logits, before)

# %% [markdown]
# **Boxes** are compared where the weights are bright, and nowhere else: what a detector says of the
# box of a cell without a person means nothing.

# %%
visualize.draw_maps(boxes, before)

# %% [markdown]
# ## Some steps under the teacher
#
# Each is smaller than the one before, so that the normalisations measure what the student ends as.

# %%
rate = keras.optimizers.schedules.CosineDecay(2e-3, STEPS)
distiller.compile(optimizer=keras.optimizers.AdamW(rate))
history = distiller.fit(batches, epochs=1, steps_per_epoch=STEPS, verbose=0).history
for name, values in history.items():
    print(f"{name:28s} {values[-1]:8.3f}")

# %% [markdown]
# ## After
#
# The same batch, the same functions.

# %%
after = visualize.look(distiller.teacher, distiller.learner, images, labels)
agreements = {}
for hierarchy in (pyramid, logits, boxes):
    first, last = agreement(hierarchy, before), agreement(hierarchy, after)
    agreements[hierarchy.name] = first, last
    print(f"{hierarchy.name:14s} agreement of teacher and student {first:+.3f}, then {last:+.3f}")

# %% [markdown]
# What is learnt first, and what is not yet: in one run class scores went from no agreement to 0.2,
# boxes agreed from the start, since any box near its cell does, and the pyramid did not move. Its
# loss, 1 minus the correlation of each channel, was 0.93 on average over these steps, which are too
# few for features.
#
# The difference in the figures below may be larger than before all the same. A student that says
# the same everywhere differs from its teacher by no more than the teacher's own ups and downs. And
# it is taught by labels too: they ask for surer scores than this teacher gives, which has never
# seen drawn people.

# %%
visualize.draw_maps(pyramid, after, standardize=True)

# %%
visualize.draw_maps(logits, after)

# %%
visualize.draw_maps(boxes, after)

# %% [markdown]
# ## Where they look
#
# Spatial attention needs no projection, so that detectors of any family can stand side by side: how
# strongly a level answers at each place, over all channels.

# %%
photo = images[0].numpy()
people = labels["boxes"][0].numpy()
visualize.draw_attention(
    {"teacher": teacher, "student before": untrained, "student after": student},
    photo,
    boxes=people[people[:, 2] > 0],
)

# %% [markdown]
# ## What to look for
#
# - A map that was to become alike and did not: the term weighs too little, or the student is too
#   narrow for it. `fit` prints the share of the gradient that each term has.
# - A map that became alike while AP stayed: it was the wrong thing to learn. That happens; only AP
#   and MR-2 on images apart say whether a term helps.
# - A person without a region, or without a dot: nothing is learnt there. Look at the size of the
#   image and at the labels.
#
# `docs/guides/see-the-losses.md` lists all functions, `docs/concepts/index.md` all hierarchies. To
# choose terms: `docs/guides/choosing-losses.md`.
