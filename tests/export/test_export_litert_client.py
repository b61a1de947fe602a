"""`examples/litert_client.py` finds what the package finds, here and on emulated aarch64."""

import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from fixtures.environments import kept
from PIL import Image

from keras_hkd.data.drawn import draw_scene
from keras_hkd.inference import TFLiteDetector, predict_images
from keras_hkd.zoo import preset_folder

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
THRESHOLD = 0.3

pytestmark = pytest.mark.own_process


@pytest.fixture(scope="session")
def aarch64_python(request):
    """Python of an emulated arm64 Debian with LiteRT, built once and kept in pytest's cache."""
    script = EXAMPLES / "aarch64.sh"
    for program in ("qemu-aarch64-static", "apt-get", "dpkg-deb"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed (apt install qemu-user-static, on Debian)")
    folder = kept(
        request,
        "aarch64",
        script.read_text(),
        lambda folder: [["env", f"PYTHON={sys.executable}", "sh", script, folder / "arm64"]],
    )
    return folder / "arm64" / "python"


def client(python, file, photo):
    """What the client prints: boxes, scores and names."""
    words = [python, EXAMPLES / "litert_client.py", file, photo, "--score-threshold", THRESHOLD]
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="session")
def photo(tmp_path_factory):
    pixels, _ = draw_scene(104, (480, 640), 1, 0.5, crowd_chance=0, mean_things=3)
    path = tmp_path_factory.mktemp("photo") / "scene.png"
    Image.fromarray(pixels).save(path)
    return path


def assert_the_same_people(preset, found, photo):
    detector = TFLiteDetector(preset_folder(preset) / "int8.tflite")
    (ours,) = predict_images(detector, [np.asarray(Image.open(photo))], score_threshold=THRESHOLD)
    assert len(found) == len(ours["boxes"]) >= 4
    np.testing.assert_allclose([one["box"] for one in found], ours["boxes"], atol=0.01)
    np.testing.assert_allclose([one["score"] for one in found], ours["confidence"], atol=1e-5)
    assert {one["name"] for one in found} == {"person"}


def test_the_client_finds_what_the_package_finds(photo):
    found = client(sys.executable, preset_folder("person_atto") / "int8.tflite", photo)
    assert_the_same_people("person_atto", found, photo)


def test_the_client_turns_photographs_upright_and_copes_with_one_pixel(photo, tmp_path):
    file = preset_folder("person_atto") / "int8.tflite"
    with Image.open(photo) as upright:
        exif = upright.getexif()
        exif[0x0112] = 8  # to be turned by a quarter to be seen
        upright.rotate(-90, expand=True).save(tmp_path / "turned.png", exif=exif)
    assert client(sys.executable, file, tmp_path / "turned.png") == client(
        sys.executable, file, photo
    )
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    for one in client(sys.executable, file, tmp_path / "dot.png"):
        assert 0 <= min(one["box"]) <= max(one["box"]) <= 1


@pytest.mark.long
@pytest.mark.parametrize("preset", ["person_atto", "person_femto"])
def test_aarch64_finds_the_same(preset, photo, aarch64_python):
    found = client(aarch64_python, preset_folder(preset) / "int8.tflite", photo)
    assert_the_same_people(preset, found, photo)
