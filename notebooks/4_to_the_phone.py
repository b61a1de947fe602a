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
# # 4. To the phone: int8, MediaPipe, latency
#
# A detector becomes one `.tflite` file that takes pixels and gives boxes. This notebook writes it
# in float, sets an int8 file beside it, looks at what int8 costs and gains, and shows the lines
# that run the file with MediaPipe Tasks.

# %% tags=["parameters"]
PRESET = "person_atto"  # or the path of your own .keras file
CALIBRATION = ""  # folder of about 100 photographs, for your own; empty: drawn scenes
NUM_SCENES = 100
ROUNDS = 50
FOLDER = "runs/phone"

# %%
import pathlib

import numpy as np

import keras_hkd
from keras_hkd.data import Letterbox
from keras_hkd.data.drawn import synthetic_dataset
from keras_hkd.evaluation import detection_differences, measure_latencies
from keras_hkd.inference import predict_images, read_metadata
from keras_hkd.inference.prediction import coco_results
from keras_hkd.zoo import preset_folder

if PRESET in keras_hkd.list_presets():
    detector = keras_hkd.from_preset(PRESET)
else:
    detector = keras_hkd.load_detector(PRESET)
folder = pathlib.Path(FOLDER)
scenes = synthetic_dataset(NUM_SCENES, (240, 320), seed=4, person_height=0.4)
pictures = [scenes.load_image(index) for index in range(len(scenes))]

# %% [markdown]
# ## Two files
#
# `export_tflite` writes a file only if it has run and agrees with Keras. A preset brings its int8
# file along: it was trained with rounding, which the smallest presets need. A detector of your own
# is quantised here. For that the exporter looks at images of the kind that the phone will see, and
# notes which values occur: with images of another kind the ranges are wrong. Drawn scenes do for
# trying; take photographs for a real file.

# %%
float_file = keras_hkd.export_tflite(detector, folder / "float32.tflite").path
if PRESET in keras_hkd.list_presets():
    int8_file = preset_folder(PRESET) / "int8.tflite"
else:
    letterboxed = [
        Letterbox.fit(picture.shape[:2], detector.image_size).resize(picture, detector.antialias)
        for picture in pictures
    ]
    int8_file = keras_hkd.export_tflite(
        detector,
        folder / "int8.tflite",
        quantization="int8",
        representative_images=CALIBRATION or np.stack(letterboxed).astype(np.float32),
    ).path
files = {
    "float32": keras_hkd.TFLiteDetector(float_file, num_threads=1),
    "int8": keras_hkd.TFLiteDetector(int8_file, num_threads=1),
}
for name, file in files.items():
    print(f"{name:8s} {file.size_bytes:9,d} bytes")

# %% [markdown]
# ## What stands in the file
#
# Whoever gets the file needs nothing else: size of the image, classes and thresholds are in it.

# %%
about = read_metadata(int8_file)
print({key: about[key] for key in ("image_size", "class_names", "quantization", "nms")})

# %% [markdown]
# ## What int8 costs
#
# The same pictures through both files, box by box. How much average precision that is, only
# photographs with annotations say: `keras-hkd compare a.tflite b.tflite --data photos:test`.

# %%
found = {}
for name, file in files.items():
    each = predict_images(file, pictures, batch_size=8)
    found[name] = [
        one
        for image, detections in zip(scenes, each, strict=True)
        for one in coco_results(detections, image.image_id, [1])
    ]
differences = detection_differences(found["float32"], found["int8"], score_threshold=0.3)
for key, value in differences.items():
    print(f"{key:14s} {value:.3f}")

# %% [markdown]
# ## What int8 gains
#
# Bytes, always. Milliseconds depend on the processor: on a busy Intel Xeon, in the run that the
# site shows, int8 was slower; on the AMD EPYC of `docs/results/export.md` it was faster. A phone
# has another one again: measure there, with the same file, before you choose. Here it is one
# image on one thread of this machine, decoding and suppression included.

# %%
image = Letterbox.fit(pictures[0].shape[:2], detector.image_size).resize(pictures[0])
batch = image[None].astype(np.float32)
calls = {name: lambda file=file: file.predict(batch) for name, file in files.items()}
latencies = measure_latencies(calls, rounds=ROUNDS, progress=False)
for name in calls:
    median, p90 = latencies.median_ms(name), latencies.p90_ms(name)
    print(f"{name:8s} median {median:.2f} ms, 90 % below {p90:.2f} ms")

# %% [markdown]
# ## On the phone
#
# MediaPipe Tasks opens both files as they are. It cannot be installed beside every TensorFlow, so
# these lines are not run here; a test of the package runs `examples/mediapipe_client.py`, which
# they are the middle of, in an environment of its own.
#
# ```python
# import mediapipe
# from mediapipe.tasks.python import BaseOptions, vision
#
# options = vision.ObjectDetectorOptions(
#     base_options=BaseOptions(model_asset_path="int8.tflite"), score_threshold=0.3
# )
# with vision.ObjectDetector.create_from_options(options) as task:
#     for person in task.detect(mediapipe.Image.create_from_file("photo.jpg")).detections:
#         print(person.bounding_box, person.categories[0].score)
# ```
#
# MediaPipe stretches a photograph to the file's size: pad it first, as the example does, so that
# people keep their shape. `docs/guides/app.md` has clients for Android, for MediaPipe and for
# boards with Linux, and says which of them have been run.
