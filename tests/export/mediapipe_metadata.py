"""An application: what MediaPipe's own schema modules read of a file, run in its environment.

Usage: python mediapipe_metadata.py MODEL.tflite, prints one JSON object.
"""

import json
import sys

from mediapipe.tasks.metadata import metadata_schema_py_generated as metadata_schema
from mediapipe.tasks.metadata import schema_py_generated as model_schema


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


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as model:
        print(json.dumps(read_metadata(model.read())))
