"""Small COCO detectors that others trained: YOLOX-Nano, NanoDet-m and SSD MobileNet v1.

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
        self.cells, self.strides = _cells()

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


class NanoDet:
    """NanoDet-m: `detector(image) -> boxes (3549, 4) xyxy pixels, scores (3549, 80)`.

    Args:
        path: `nanodet_m.onnx`; needs onnxruntime (`pip install keras_hkd[onnx]`).
        num_threads: of the session.
    """

    def __init__(self, path, num_threads=None):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # the file lists its weights as inputs, a warning for each
        options.intra_op_num_threads = num_threads or 0
        self.session = onnxruntime.InferenceSession(str(path), options)
        self.input = {self.session.get_inputs()[0].name: np.zeros((1, 3, SIDE, SIDE), np.float32)}
        self.cells, self.strides = _cells()

    def __call__(self, image):
        height, width = image.shape[:2]
        pixels = np.asarray(Image.fromarray(image).resize((SIDE, SIDE)), np.float32)[:, :, ::-1]
        pixels = (pixels - (103.53, 116.28, 123.675)) / (57.375, 57.12, 58.395)
        (name,) = self.input
        self.input = {name: pixels.astype(np.float32).transpose(2, 0, 1)[None]}
        found = self.invoke()
        found = [array.reshape(-1, array.shape[-1]) for array in found]
        scores = [array for array in found if array.shape[1] == len(CLASS_NAMES)]
        edges = [array for array in found if array.shape[1] == 32]
        scores, edges = (
            np.concatenate(sorted(arrays, key=len, reverse=True)) for arrays in (scores, edges)
        )
        bins = np.exp(edges.reshape(-1, 4, 8) - edges.reshape(-1, 4, 8).max(-1, keepdims=True))
        distances = (bins / bins.sum(-1, keepdims=True)) @ np.arange(8.0) * self.strides
        centres = (self.cells + 0.5) * self.strides
        boxes = np.concatenate([centres - distances[:, :2], centres + distances[:, 2:]], axis=1)
        return boxes * np.tile((width / SIDE, height / SIDE), 2), scores

    def invoke(self):
        """The network alone."""
        return self.session.run(None, self.input)


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
        scores = np.zeros((len(boxes), 91), np.float32)
        scores[np.arange(len(boxes)), classes.astype(int)] = confidence
        return boxes[:, [1, 0, 3, 2]] * np.tile(image.shape[1::-1], 2), scores


def _interpreter(path, num_threads):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=num_threads)
    interpreter.allocate_tensors()
    return interpreter


def detect(detector, image, score_threshold, iou_threshold=0.6, max_detections=100):
    """Boxes `(n, 4)`, classes `(n,)` and scores `(n,)` of a picture, best first."""
    boxes, scores = detector(image)
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


def _cells():
    """Cell indices `(3549, 2)` and strides `(3549, 1)` of all maps, row by row."""
    cells, strides = [], []
    for stride in STRIDES:
        side = SIDE // stride
        y, x = np.divmod(np.arange(side * side), side)
        cells.append(np.stack([x, y], axis=1))
        strides.append(np.full((side * side, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)
