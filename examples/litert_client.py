"""The smallest client of an exported file: LiteRT, NumPy and Pillow, and nothing of this package.

    pip install ai-edge-litert numpy pillow
    python examples/litert_client.py student.tflite photo.jpg

To be copied to a Raspberry Pi or another board; `docs/guides/app.md` runs it for aarch64. It
prints a line of JSON for each person: box (left, top, right, bottom in pixels of the photograph),
score and name.
"""

import argparse
import json
import zipfile

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps

PADDING_GREY = 114


def letterbox(photo, height, width, smooth):
    """The photograph as large as it fits, top left, the rest grey; and pixels per its pixel."""
    scale = min(height / photo.height, width / photo.width)
    size = max(1, int(photo.width * scale + 0.5)), max(1, int(photo.height * scale + 0.5))
    if smooth:
        photo = photo.resize(size, Image.Resampling.BILINEAR)
    elif size != photo.size:
        # The last row and column are repeated, so that nothing is read beyond them.
        photo = Image.fromarray(np.pad(photo, ((0, 1), (0, 1), (0, 0)), mode="edge"))
        steps = (1 / scale, 0, 0, 0, 1 / scale, 0)
        photo = photo.transform(size, Image.Transform.AFFINE, steps, Image.Resampling.BILINEAR)
    image = np.full((height, width, 3), PADDING_GREY, np.uint8)
    image[: size[1], : size[0]] = photo
    return image, scale


def find(path, photo, score_threshold):
    """People of a photograph, best first: a dict of `box`, `score` and `name` each."""
    with zipfile.ZipFile(path) as archive:  # the file says of itself what it needs
        about = json.loads(archive.read("keras_hkd.json"))
    if not about["nms"]:
        raise SystemExit(f"{path} holds raw heads: export it without --no-nms.")
    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    height, width = given["shape"][1:3]
    image, scale = letterbox(photo, int(height), int(width), about["antialias"])
    interpreter.set_tensor(given["index"], image[None].astype(given["dtype"]))
    interpreter.invoke()
    outputs = (interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details())
    boxes, classes, scores, count = outputs
    found = []
    for box, number, score in zip(boxes[0], classes[0], scores[0][: int(count[0])], strict=False):
        top, left, bottom, right = box * [height, width, height, width] / scale
        corners = np.clip([left, top, right, bottom], 0, [photo.width, photo.height] * 2)
        if score >= score_threshold and (corners[2:] > corners[:2]).all():
            name = about["class_names"][int(number)]
            found.append({"box": corners.tolist(), "score": float(score), "name": name})
    return found


def main():
    """Finds people in one photograph."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="a .tflite file that keras-hkd wrote")
    parser.add_argument("photo", help="a picture that Pillow opens")
    parser.add_argument("--score-threshold", type=float, default=0.3)
    given = parser.parse_args()
    with Image.open(given.photo) as file:
        photo = ImageOps.exif_transpose(file).convert("RGB")
    for person in find(given.model, photo, given.score_threshold):
        print(json.dumps(person))


if __name__ == "__main__":
    main()
