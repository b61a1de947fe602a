"""An application: the TensorFlow Lite Task Library over images, run in its own environment.

Its C++ is what Android's `tensorflow-lite-task-vision` wraps. Usage: python task_library_client.py
MODEL.tflite SCORE_THRESHOLD IMAGE..., prints a line of JSON for each image.
"""

import json
import sys

from tflite_support.task import core, processor, vision


def main(model, score_threshold, *images):
    options = vision.ObjectDetectorOptions(
        base_options=core.BaseOptions(file_name=model, num_threads=1),
        detection_options=processor.DetectionOptions(score_threshold=float(score_threshold)),
    )
    detector = vision.ObjectDetector.create_from_options(options)
    for image in images:
        found = detector.detect(vision.TensorImage.create_from_file(image)).detections
        print(json.dumps([person(one) for one in found]))


def person(detection):
    box, category = detection.bounding_box, detection.categories[0]
    corners = [box.origin_x, box.origin_y, box.width, box.height]
    return {"box": corners, "score": category.score, "name": category.category_name}


if __name__ == "__main__":
    main(*sys.argv[1:])
