"""MediaPipe Tasks opens our files and sees what we see."""

import json
import pathlib
import subprocess

import numpy as np
import pytest
from fixtures.environments import python_with
from PIL import Image

import keras_hkd
from keras_hkd.boxes import pairwise_iou
from keras_hkd.export import export_tflite
from keras_hkd.export.tflite_metadata import ModelCard

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
EXAMPLES = ROOT / "examples"
STUDENT = ROOT / "benchmarks" / "weights" / "student_coco_person.keras"
CARD = ModelCard("Demo teacher", "Finds drawn people.", "2", "The maintainers", "Apache-2.0")
THRESHOLD = 0.2

# Half a minute for pip to install MediaPipe, which no other test asks for.
pytestmark = [pytest.mark.long, pytest.mark.own_process]


@pytest.fixture(scope="session")
def mediapipe_python(request):
    """Python of an environment with MediaPipe."""
    return python_with(request, HERE / "mediapipe_requirements.txt", "mediapipe")


def run(*words):
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="session")
def mediapipe_detects(mediapipe_python, tmp_path_factory):
    """Function from a file and images to what MediaPipe finds in each."""

    def detect(path, images):
        folder = tmp_path_factory.mktemp("images")
        names = [folder / f"{number}.png" for number in range(len(images))]
        for name, image in zip(names, images, strict=True):
            Image.fromarray(image).save(name)
        words = ["--score-threshold", THRESHOLD]
        return run(mediapipe_python, EXAMPLES / "mediapipe_client.py", path, *names, *words)

    return detect


@pytest.fixture(scope="session")
def scenes():
    from keras_hkd.data.drawn.scenes import synthetic_dataset

    dataset = synthetic_dataset(20, (160, 160), seed=21)
    return np.stack([dataset.load_image(i) for i in range(len(dataset))])


@pytest.fixture(scope="session", params=[None, "int8"], ids=["float32", "int8"])
def demo_file(request, tmp_path_factory, scenes):
    """The demo's trained teacher as a file, float and int8."""
    detector = keras_hkd.load_detector(ROOT / "examples" / "demo_teacher.keras")
    path = tmp_path_factory.mktemp("demo") / f"{request.param}.tflite"
    images = scenes if request.param == "int8" else None
    return export_tflite(
        detector, path, quantization=request.param, representative_images=images, card=CARD
    ).path


def corners(found):
    """Boxes as left, top, right, bottom."""
    boxes = np.array([one["box"] for one in found], float).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def found_again(ours, theirs, score_tolerance):
    """For each of our detections whether MediaPipe has it: the place, the score, the name.

    MediaPipe cuts corners and sizes down to whole pixels. Its kernels differ from LiteRT's by a
    step of int8 here and there, which shifts a score by a hundredth or two.
    """
    again = []
    for row, found in enumerate(theirs):
        sure = ours["confidence"][row] > THRESHOLD + 2 * score_tolerance
        overlaps = pairwise_iou(ours["boxes"][row][sure].astype(float), corners(found))
        scores = ours["confidence"][row][sure]
        near = np.abs(scores[:, None] - [one["score"] for one in found]) <= score_tolerance
        again += ((overlaps > 0.7) & near).any(axis=1).tolist()
        assert {one["name"] for one in found} <= {"person"}
    return again


def assert_seen_alike(path, ours, theirs):
    again = found_again(ours, theirs, 0.002 if "int8" not in path.name else 0.035)
    assert len(again) >= 6
    assert np.mean(again) >= (1.0 if "int8" not in path.name else 0.85)


def test_drawn_scenes(demo_file, mediapipe_detects, scenes):
    theirs = mediapipe_detects(demo_file, scenes[:6])
    ours = keras_hkd.TFLiteDetector(demo_file).predict(scenes[:6])
    assert_seen_alike(demo_file, ours, theirs)


def test_what_mediapipe_reads_of_the_file(demo_file, mediapipe_python):
    (metadata,) = run(mediapipe_python, HERE / "mediapipe_metadata.py", demo_file)
    assert metadata == {
        "card": ["Demo teacher", "2", "The maintainers", "Apache-2.0"],
        "mean": [0.0],
        "std": [1.0],
        "color_space": 1,
        "outputs": ["location", "category", "score", "number of detections"],
        "box_order": [1, 0, 3, 2],
        "threshold": pytest.approx(0.01),
        "labels": ["labels.txt", 3],
    }


def trained_student(shared_dir):
    if not STUDENT.is_file():
        pytest.skip(f"the trained student {STUDENT.relative_to(ROOT)} is not there")
    return keras_hkd.load_detector(STUDENT)


def published_rtmdet(shared_dir):
    from keras_hkd.detectors.rtmdet import import_rtmdet

    file = shared_dir / "weights" / "rtmdet_nano_person_raw_320.onnx"
    if not file.is_file():
        pytest.skip(f"the published file {file.name} is not among the shared weights")
    return import_rtmdet(file)


@pytest.mark.parametrize(
    ("trained", "quantization"),
    [(trained_student, None), (trained_student, "int8"), (published_rtmdet, None)],
)
def test_people_in_real_photographs(trained, quantization, shared_dir, tmp_path, mediapipe_detects):
    from keras_hkd.data import load_dataset
    from keras_hkd.data.batches.letterbox import Letterbox

    student = trained(shared_dir)
    size = student.image_size
    source = shared_dir / "data" / "coco_person"
    images = None
    if quantization == "int8":
        images = load_dataset(f"{source}:train").subset(64)
    file = tmp_path / f"student_{quantization}.tflite"
    export_tflite(student, file, quantization=quantization, representative_images=images)
    photos, people = [], []
    dataset = load_dataset(f"{source}:test")
    for index, annotation in enumerate(dataset):
        heights = annotation.boxes[:, 3] - annotation.boxes[:, 1]
        large = (heights > 0.4 * annotation.height) & ~annotation.ignore
        if large.any() and len(photos) < 20:
            letterbox = Letterbox.fit((annotation.height, annotation.width), size)
            photos.append(letterbox.resize(dataset.load_image(index), student.antialias))
            people.append(letterbox.apply(annotation.boxes[large]))
    theirs = mediapipe_detects(file, photos)
    ours = keras_hkd.TFLiteDetector(file).predict(np.stack(photos))
    hits = []
    assert_seen_alike(file, ours, theirs)
    for found, boxes in zip(theirs, people, strict=True):
        overlaps = pairwise_iou(boxes, corners(found))
        hits += (overlaps.max(axis=1, initial=0.0) > 0.5).tolist()
    assert len(hits) >= 15
    assert np.mean(hits) > 0.5
