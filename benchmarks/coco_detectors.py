"""Small detectors that others trained: RTMDet-nano, PicoDet-S, DEIMv2, YOLOX-Nano, NanoDet-m, SSD.

Each is a function from a picture to `(boxes, scores)`, people being class 0; `invoke` runs the bare
network once more on what it saw last, to be timed. They are files of `shared/weights` (see its
README for origin and licence) and no part of the package.
"""

import numpy as np
from keras import ops
from PIL import Image

from keras_hkd.boxes.suppression import non_max_suppression
from keras_hkd.data.batches.letterbox import Letterbox

SIDE = 416
STRIDES = (8, 16, 32)
RGB_MEAN = np.array((123.675, 116.28, 103.53), np.float32)
RGB_DEVIATION = np.array((58.395, 57.12, 57.375), np.float32)
CLASS_NAMES = (
    "person bicycle car motorcycle airplane bus train truck boat traffic_light fire_hydrant "
    "stop_sign parking_meter bench bird cat dog horse sheep cow elephant bear zebra giraffe "
    "backpack umbrella handbag tie suitcase frisbee skis snowboard sports_ball kite baseball_bat "
    "baseball_glove skateboard surfboard tennis_racket bottle wine_glass cup fork knife spoon bowl "
    "banana apple sandwich orange broccoli carrot hot_dog pizza donut cake chair couch "
    "potted_plant bed dining_table toilet tv laptop mouse remote keyboard cell_phone microwave "
    "oven toaster sink refrigerator book clock vase scissors teddy_bear hair_drier toothbrush"
).split()


class YoloxNano:
    """YOLOX-Nano: `detector(image) -> boxes (3549, 4) xyxy pixels, scores (3549, 80)`.

    Args:
        path: `yolox_nano_float16.tflite`.
        num_threads: of the interpreter.
    """

    def __init__(self, path, num_threads=None):
        self.interpreter = _interpreter(path, num_threads)
        self.invoke = self.interpreter.invoke
        self.cells, self.strides = _cells(STRIDES)

    def __call__(self, image):
        letterbox = Letterbox.fit(image.shape[:2], (SIDE, SIDE))
        pixels = letterbox.resize(image)[:, :, ::-1].astype(np.float32).transpose(2, 0, 1)[None]
        self.interpreter.set_tensor(self.interpreter.get_input_details()[0]["index"], pixels)
        self.interpreter.invoke()
        rows = self.interpreter.get_tensor(self.interpreter.get_output_details()[0]["index"])[0]
        centres = (rows[:, :2] + self.cells) * self.strides
        sides = np.exp(rows[:, 2:4]) * self.strides
        boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
        return letterbox.invert(boxes), rows[:, 4:5] * rows[:, 5:]


class _Onnx:
    """A file for onnxruntime (`pip install keras_hkd[onnx]`).

    Args:
        path: the `.onnx` file.
        num_threads: of the session.
        side: of the square that it sees, in pixels.
    """

    def __init__(self, path, num_threads=None, side=SIDE):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # some list their weights as inputs, a warning for each
        options.intra_op_num_threads = num_threads or 0
        self.session = onnxruntime.InferenceSession(str(path), options)
        self.side, self.inputs = side, {}

    def run(self, pixels, **more):
        """Outputs for pixels `(height, width, 3)`, the network's first input."""
        first = self.session.get_inputs()[0].name
        pixels = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)
        self.inputs = {first: pixels, **more}
        return self.invoke()

    def invoke(self):
        """The network alone."""
        return self.session.run(None, self.inputs)

    def stretched(self, image):
        """The picture as a square, in RGB 0..255."""
        return np.asarray(Image.fromarray(image).resize((self.side, self.side)), np.float32)


class _BinsDetector(_Onnx):
    """A detector whose box edges are distributions over eight bins, level by level."""

    strides, mean, deviation = STRIDES, RGB_MEAN, RGB_DEVIATION
    bgr = False

    def __call__(self, image):
        pixels = (self.stretched(image) - self.mean) / self.deviation
        found = self.run(pixels[:, :, ::-1] if self.bgr else pixels)
        found = [array.reshape(-1, array.shape[-1]) for array in found]
        scores = [array for array in found if array.shape[1] == len(CLASS_NAMES)]
        edges = [array for array in found if array.shape[1] == 32]
        scores, edges = (
            np.concatenate(sorted(arrays, key=len, reverse=True)) for arrays in (scores, edges)
        )
        cells, strides = _cells(self.strides)
        bins = np.exp(edges.reshape(-1, 4, 8) - edges.reshape(-1, 4, 8).max(-1, keepdims=True))
        distances = (bins / bins.sum(-1, keepdims=True)) @ np.arange(8.0) * strides
        centres = (cells + 0.5) * strides
        boxes = np.concatenate([centres - distances[:, :2], centres + distances[:, 2:]], axis=1)
        height, width = image.shape[:2]
        return boxes * np.tile((width / self.side, height / self.side), 2), scores


class NanoDet(_BinsDetector):
    """NanoDet-m: `detector(image) -> boxes (3549, 4) xyxy pixels, scores (3549, 80)`."""

    bgr = True


class PicoDet(_BinsDetector):
    """PicoDet-S: `detector(image) -> boxes (3598, 4) xyxy pixels, scores (3598, 80)`."""

    strides = (8, 16, 32, 64)


class DeimV2(_Onnx):
    """DEIMv2 (Atto, Femto): the most certain boxes `(n, 4)`, each once, and scores `(n, 80)`."""

    suppresses = True

    def __call__(self, image):
        sides = np.array([[self.side, self.side]], np.int64)
        labels, boxes, confidence = self.run(self.stretched(image) / 255, orig_target_sizes=sides)
        height, width = image.shape[:2]
        boxes = boxes[0] * np.tile((width / self.side, height / self.side), 2)
        return boxes, _rows(labels[0], confidence[0], len(CLASS_NAMES))


class RTMDetNano(_Onnx):
    """RTMDet-nano for persons, with its suppression: boxes `(n, 4)`, scores `(n, 1)`."""

    suppresses = True

    def __call__(self, image):
        letterbox = Letterbox.fit(image.shape[:2], (self.side, self.side))
        pixels = (letterbox.resize(image, antialias=False) - RGB_MEAN) / RGB_DEVIATION
        found, labels = self.run(pixels[:, :, ::-1])
        return letterbox.invert(found[0, :, :4]), _rows(labels[0], found[0, :, 4], 1)


class SsdMobileNet:
    """SSD MobileNet v1 in 8 bit: `detector(image) -> boxes (10, 4) xyxy pixels, scores (10, 91)`.

    Its file suppresses by itself and gives ten boxes.

    Args:
        path: `ssd_mobilenet_v1_coco_quant.tflite`.
        num_threads: of the interpreter.
    """

    def __init__(self, path, num_threads=None):
        self.interpreter = _interpreter(path, num_threads)
        self.invoke = self.interpreter.invoke

    def __call__(self, image):
        details = self.interpreter.get_input_details()[0]
        height, width = details["shape"][1:3]
        pixels = np.asarray(Image.fromarray(image).resize((width, height)))
        self.interpreter.set_tensor(details["index"], pixels[None])
        self.invoke()
        indices = [one["index"] for one in self.interpreter.get_output_details()]
        boxes, classes, confidence, _ = (self.interpreter.get_tensor(index)[0] for index in indices)
        boxes = boxes[:, [1, 0, 3, 2]] * np.tile(image.shape[1::-1], 2)
        return boxes, _rows(classes.astype(int), confidence, 91)


def _interpreter(path, num_threads):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=num_threads)
    interpreter.allocate_tensors()
    return interpreter


def detect(detector, image, score_threshold, iou_threshold=0.6, max_detections=100):
    """Boxes `(n, 4)`, classes `(n,)` and scores `(n,)` of a picture, best first."""
    boxes, scores = detector(image)
    if getattr(detector, "suppresses", False):
        iou_threshold = 1.0
    found = non_max_suppression(
        ops.convert_to_tensor(boxes[None], "float32"),
        ops.convert_to_tensor(scores[None], "float32"),
        max_detections=max_detections,
        iou_threshold=iou_threshold,
        score_threshold=score_threshold,
    )
    found = {key: ops.convert_to_numpy(value)[0] for key, value in found.items()}
    kept = found["classes"] >= 0
    return found["boxes"][kept], found["classes"][kept], found["confidence"][kept]


def _rows(classes, confidence, num_classes):
    """Scores `(n, num_classes)` that are 0 but for each box's class."""
    scores = np.zeros((len(classes), num_classes), np.float32)
    scores[np.arange(len(classes)), classes] = confidence
    return scores


def _cells(strides):
    """Cell indices `(n, 2)` and strides `(n, 1)` of all maps of a picture of 416 px, row by row."""
    cells, sides = [], []
    for stride in strides:
        side = -(-SIDE // stride)
        y, x = np.divmod(np.arange(side * side), side)
        cells.append(np.stack([x, y], axis=1))
        sides.append(np.full((side * side, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(sides).astype(np.float32)
