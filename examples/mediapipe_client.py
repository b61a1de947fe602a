"""The smallest client of an exported file in MediaPipe Tasks, and nothing of this package.

    pip install mediapipe pillow
    python examples/mediapipe_client.py student.tflite photo.jpg

MediaPipe 1.2 cannot be installed beside this package, which needs an older absl-py: use an
environment of its own. It prints a line of JSON for each photograph: a list of people, each with
box (left, top, width, height in pixels), score and name.
"""

import argparse
import json
import zipfile

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision
from PIL import Image, ImageOps

PADDING_GREY = (114, 114, 114)


def padded(photo, height, width):
    """Grey right and below, to the proportions of the file: MediaPipe stretches what has others."""
    scale = max(photo.height / height, photo.width / width)
    canvas = Image.new("RGB", (round(width * scale), round(height * scale)), PADDING_GREY)
    canvas.paste(photo)
    return canvas


def main():
    """Finds people in photographs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="a .tflite file that keras-hkd wrote")
    parser.add_argument("photos", nargs="+", help="pictures that Pillow opens")
    parser.add_argument("--score-threshold", type=float, default=0.3)
    given = parser.parse_args()
    with zipfile.ZipFile(given.model) as archive:
        height, width = json.loads(archive.read("keras_hkd.json"))["image_size"]
    options = vision.ObjectDetectorOptions(
        base_options=BaseOptions(model_asset_path=given.model),
        score_threshold=given.score_threshold,
    )
    with vision.ObjectDetector.create_from_options(options) as detector:
        for path in given.photos:
            with Image.open(path) as file:
                photo = padded(ImageOps.exif_transpose(file).convert("RGB"), height, width)
            image = mediapipe.Image(mediapipe.ImageFormat.SRGB, np.asarray(photo))
            print(json.dumps([person(one) for one in detector.detect(image).detections]))


def person(detection):
    """What is known of one person."""
    box, category = detection.bounding_box, detection.categories[0]
    corners = [box.origin_x, box.origin_y, box.width, box.height]
    return {"box": corners, "score": category.score, "name": category.category_name}


if __name__ == "__main__":
    main()
