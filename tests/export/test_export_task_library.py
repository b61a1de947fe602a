"""The TensorFlow Lite Task Library, which Android apps embed, opens our files and sees the same."""

import json
import pathlib
import subprocess

import numpy as np
import pytest
from fixtures.environments import python_with
from PIL import Image

from keras_hkd.data import Letterbox
from keras_hkd.data.drawn import draw_scene
from keras_hkd.inference import TFLiteDetector
from keras_hkd.zoo import preset_folder

HERE = pathlib.Path(__file__).parent
THRESHOLD = 0.3

pytestmark = [pytest.mark.long, pytest.mark.own_process]


@pytest.fixture(scope="session")
def task_library_python(request):
    """Python of an environment with the library."""
    return python_with(request, HERE / "task_library_requirements.txt", "tflite_support")


@pytest.mark.parametrize("preset", ["person_atto", "person_nano"])
def test_it_finds_what_the_package_finds(preset, task_library_python, tmp_path):
    file = preset_folder(preset) / "int8.tflite"
    detector = TFLiteDetector(file)
    images, names = [], []
    for seed in (396, 104, 397):
        pixels, _ = draw_scene(seed, (480, 640), 1, 0.5, crowd_chance=0, mean_things=3)
        letterbox = Letterbox.fit(pixels.shape[:2], detector.image_size)
        images.append(letterbox.resize(pixels, detector.antialias))
        names.append(tmp_path / f"{seed}.png")
        Image.fromarray(images[-1]).save(names[-1])
    words = [task_library_python, HERE / "task_library_client.py", file, THRESHOLD, *names]
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = [json.loads(line) for line in done.stdout.splitlines()]
    ours = detector.predict(np.stack(images))
    assert sum(len(found) for found in theirs) >= 10
    for row, found in enumerate(theirs):
        sure = ours["confidence"][row] >= THRESHOLD
        boxes = ours["boxes"][row][sure]
        boxes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        assert len(found) == len(boxes)
        # It cuts corners down to whole pixels, and sizes up.
        np.testing.assert_allclose([one["box"] for one in found], boxes, atol=1.01)
        scores = [one["score"] for one in found]
        np.testing.assert_allclose(scores, ours["confidence"][row][sure], atol=1e-5)
        assert {one["name"] for one in found} == {"person"}
