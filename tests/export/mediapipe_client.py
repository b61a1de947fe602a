"""An application: MediaPipe Tasks' ObjectDetector over images, run in its own environment.

Usage: python mediapipe_client.py MODEL.tflite IMAGES.npz SCORE_THRESHOLD, prints one JSON object:
`detections`, for each image a list of [left, top, width, height, score, name]; `metadata`, what
MediaPipe's own schema modules read from the file.
"""

import json
import sys

import mediapipe
import numpy as np
from mediapipe.tasks.metadata import metadata_schema_py_generated as metadata_schema
from mediapipe.tasks.metadata import schema_py_generated as model_schema
from mediapipe.tasks.python import BaseOptions, vision


def text(value):
    return value.decode() if value else ""


def read_metadata(content):
    model = model_schema.Model.GetRootAs(content, 0)
    entries = {
        text(model.Metadata(i).Name()): model.Metadata(i) for i in range(model.MetadataLength())
    }
    buffer = model.Buffers(entries["TFLITE_METADATA"].Buffer()).DataAsNumpy().tobytes()
    assert metadata_schema.ModelMetadata.ModelMetadataBufferHasIdentifier(buffer, 0)
    about = metadata_schema.ModelMetadataT.InitFromObj(
        metadata_schema.ModelMetadata.GetRootAs(buffer, 0)
    )
    (subgraph,) = about.subgraphMetadata
    (image,) = subgraph.inputTensorMetadata
    options = image.processUnits[0].options
    by_name = {text(one.name): one for one in subgraph.outputTensorMetadata}
    labels = by_name["category"].associatedFiles[0]
    return {
        "card": [text(v) for v in (about.name, about.version, about.author, about.license)],
        "mean": [float(v) for v in options.mean],
        "std": [float(v) for v in options.std],
        "color_space": int(image.content.contentProperties.colorSpace),
        "outputs": list(by_name),
        "box_order": [int(v) for v in by_name["location"].content.contentProperties.index],
        "threshold": by_name["score"].processUnits[0].options.globalScoreThreshold,
        "labels": [text(labels.name), int(labels.type)],
    }


def main(model, images, score_threshold):
    options = vision.ObjectDetectorOptions(
        base_options=BaseOptions(model_asset_path=model),
        running_mode=vision.RunningMode.IMAGE,
        score_threshold=float(score_threshold),
    )
    found = []
    with vision.ObjectDetector.create_from_options(options) as detector:
        with np.load(images) as archive:
            for name in archive.files:
                image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=archive[name])
                found.append([row(one) for one in detector.detect(image).detections])
    with open(model, "rb") as file:
        metadata = read_metadata(file.read())
    print(json.dumps({"detections": found, "metadata": metadata}))


def row(detection):
    box, category = detection.bounding_box, detection.categories[0]
    return [
        *(box.origin_x, box.origin_y, box.width, box.height),
        category.score,
        category.category_name,
    ]


if __name__ == "__main__":
    main(*sys.argv[1:])
