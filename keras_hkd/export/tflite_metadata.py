"""What a TFLite file says about itself: TFLite metadata for other programs, JSON for ours.

TFLite metadata is a flatbuffer of the published schema `metadata_schema.fbs` (TensorFlow Lite
Support), written here field by field, because the packages that carry generated code for it
(mediapipe wants absl-py 2) cannot be installed beside tensorflow-model-optimization (absl-py 1).
The files it mentions, and our JSON, are a zip archive behind the model, as the format wants.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from typing import Any

import flatbuffers

from keras_hkd.inference.tflite_metadata import OURS

LABELS = "labels.txt"
BUFFER_NAME = "TFLITE_METADATA"
_CONTENT_IMAGE, _CONTENT_BOXES, _CONTENT_FEATURE = 2, 3, 1
_UNIT_NORMALIZATION, _UNIT_THRESHOLD = 1, 3
_RGB, _BOUNDARIES, _RATIO, _VALUE_LABELS = 1, 1, 0, 3


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """What a file says to people.

    Args:
        name: name of the model.
        description: what it does, on what it was trained.
        version: version of the model.
        author: who made it.
        license: under which it may be used.

    Example:

    >>> ModelCard(name="Crossing camera", version="3").license
    ''
    """

    name: str = "Pedestrian detector"
    description: str = "Finds people in photographs."
    version: str = "1"
    author: str = ""
    license: str = ""


def model_metadata(
    card: ModelCard,
    image_size: tuple[int, int],
    outputs: Sequence[tuple[str, str]],
    score_threshold: float | None,
) -> bytes:
    """Build the TFLite metadata of a detector.

    Args:
        card: a `ModelCard`.
        image_size: `(height, width)` in pixels.
        outputs: `[(name, description)]` of the output tensors, in order; those called "location",
            "category" and "score" get the meaning that MediaPipe reads from these names.
        score_threshold: that the file applies itself.

    Returns:
        A flatbuffer of `metadata_schema.fbs`.
    """
    build = _Builder()
    tensors = [
        build.output_tensor(name, description, score_threshold) for name, description in outputs
    ]
    groups = []
    if outputs[0][0] == "location":
        names = build.offsets([build.text(name) for name, _ in outputs[:3]])
        groups = [build.table(2, {0: build.text("detection_result"), 1: names})]
    subgraph = build.table(
        10,
        {
            0: build.text("detector"),
            2: build.offsets([build.image_tensor(image_size)]),
            3: build.offsets(tensors),
            **({8: build.offsets(groups)} if groups else {}),
        },
    )
    texts = {0: card.name, 1: card.description, 2: card.version, 4: card.author, 5: card.license}
    root = {slot: build.text(text) for slot, text in texts.items() if text}
    root |= {3: build.offsets([subgraph]), 7: build.text("1.0.0")}
    return build.finish(build.table(8, root))


def append_files(content: bytes, ours: dict, class_names: Sequence[str]) -> bytes:
    """Append the label file and the package's JSON to a model.

    Args:
        content: bytes of a TFLite model.
        ours: what `read_metadata` will give.
        class_names: one to a line of the label file.
    """
    ours = {**ours, "sha256": hashlib.sha256(content).hexdigest()}
    with io.BytesIO() as file:
        file.write(content)
        # Stored, not deflated: MediaPipe maps the label file as it lies.
        with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
            for name, text in (
                (LABELS, "\n".join(class_names) + "\n"),
                (OURS, json.dumps(ours, indent=1)),
            ):
                archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), text)
        return file.getvalue()


class _Builder:
    """Tables of the metadata schema; slots are numbered as its fields are."""

    def __init__(self) -> None:
        self.flat = flatbuffers.Builder(1024)

    def text(self, value: str) -> int:
        return self.flat.CreateString(value)

    def offsets(self, values: Any) -> int:
        self.flat.StartVector(4, len(values), 4)
        for value in reversed(values):
            self.flat.PrependUOffsetTRelative(value)
        return self.flat.EndVector()

    def floats(self, values: Any) -> int:
        self.flat.StartVector(4, len(values), 4)
        for value in reversed(values):
            self.flat.PrependFloat32(value)
        return self.flat.EndVector()

    def integers(self, values: Any) -> int:
        self.flat.StartVector(4, len(values), 4)
        for value in reversed(values):
            self.flat.PrependUint32(value)
        return self.flat.EndVector()

    def table(self, num_fields: int, offsets: Any, small: Any = ()) -> int:
        """Write a table of offsets, and of `(slot, type, value)` for bytes and numbers."""
        self.flat.StartObject(num_fields)
        for slot, value in offsets.items():
            self.flat.PrependUOffsetTRelativeSlot(slot, value, 0)
        for slot, kind, value in small:
            getattr(self.flat, f"Prepend{kind}Slot")(slot, value, 0)
        return self.flat.EndObject()

    def content(self, kind: Any, properties: Any) -> int:
        return self.table(3, {1: properties}, [(0, "Uint8", kind)])

    def unit(self, kind: Any, options: Any) -> int:
        return self.table(2, {1: options}, [(0, "Uint8", kind)])

    def image_tensor(self, image_size: tuple[int, int]) -> int:
        height, width = image_size
        size = self.table(2, {}, [(0, "Uint32", width), (1, "Uint32", height)])
        image = self.table(2, {1: size}, [(0, "Int8", _RGB)])
        # The graph rescales: pixels go in as they are.
        options = self.table(2, {0: self.floats([0.0]), 1: self.floats([1.0])})
        return self.table(
            7,
            {
                0: self.text("image"),
                1: self.text(f"RGB photograph of {height} x {width} pixels, values 0 to 255."),
                3: self.content(_CONTENT_IMAGE, image),
                4: self.offsets([self.unit(_UNIT_NORMALIZATION, options)]),
                5: self.table(2, {0: self.floats([255.0]), 1: self.floats([0.0])}),
            },
        )

    def output_tensor(self, name: str, description: str, score_threshold: float | None) -> int:
        fields = {0: self.text(name), 1: self.text(description)}
        if name == "location":
            order = self.integers([1, 0, 3, 2])  # where left, top, right and bottom stand
            small = [(1, "Int8", _BOUNDARIES), (2, "Int8", _RATIO)]
            fields[3] = self.content(_CONTENT_BOXES, self.table(3, {0: order}, small))
        else:
            fields[3] = self.content(_CONTENT_FEATURE, self.table(0, {}))
        if name == "category":
            small = [(2, "Int8", _VALUE_LABELS)]
            texts = {0: self.text(LABELS), 1: self.text("Names of the classes, one a line.")}
            fields[6] = self.offsets([self.table(5, texts, small)])
        if name == "score":
            options = self.table(1, {}, [(0, "Float32", score_threshold)])
            fields[4] = self.offsets([self.unit(_UNIT_THRESHOLD, options)])
        return self.table(7, fields)

    def finish(self, root: Any) -> bytes:
        self.flat.Finish(root, b"M001")
        return bytes(self.flat.Output())
