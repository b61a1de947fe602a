"""Pages of the documentation: their code runs, their commands exist, their links lead to files."""

import contextlib
import io
import json
import pathlib
import re
import shlex
import shutil

import onnx
import pytest
import yaml
from fixtures.published_rtmdet import PublishedGraph
from fixtures.small_videos import write_video

import keras_hkd
from keras_hkd.cli.main import load_command, main

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
GUIDES = [
    *(ROOT / "README.md", ROOT / "docs" / "getting-started.md"),
    *sorted((ROOT / "docs" / "guides").glob("*.md")),
    *(ROOT / "docs" / "concepts" / f"{name}.md" for name in ("index", "losses", "pairs")),
]
# Notebooks and tests of the commands do the same as most of these.
LONG_GUIDES = ("compress", "distil", "phone", "rtmdet", "teacher-cache")
BLOCK = re.compile(r"^```(?P<language>python|sh)\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)
# What a page says -> what a test has time for: the same code on images of 64 px, for a few steps.
SMALLER = [
    (r"yolo_v8_(mobilenet_v2_[\d.]+|small)", "yolo_v8_micro"),
    (r"retinanet_(mobilenet_v2_[\d.]+|resnet\w+)", "retinanet_micro"),
    (r"\((1, )?(\d\d\d), \2(?=[,)])", r"(\g<1>64, 64"),
    (r"(height|width)=\d+", r"\1=64"),
    (r"num_images=\d+", "num_images=4"),
    (r"(epochs|steps_per_epoch)=\d+", r"\1=1"),
    (r"batch_size=\d+", "batch_size=2"),
    (r"num_batches=\d+", "num_batches=1"),
    (r"target_parameters=0\.\d+", "target_parameters=0.9"),
    (r"--(epochs|views) \d+", r"--\1 1"),
    (r"--batch-size \d+", "--batch-size 2"),
    (r"--image-size \d+", "--image-size 64"),
]
# Commands that a test has time for, with what leaves timings out; the others are parsed alone.
QUICK = {
    "check": [],
    "compare": ["--repeats", "0"],
    "convert": [],
    "detect": [],
    "evaluate": ["--no-cost"],
    "export": [],
    "score": [],
}


def name_of(page: pathlib.Path) -> str:
    return page.relative_to(ROOT).as_posix()


def smaller(code: str) -> str:
    for pattern, replacement in SMALLER:
        code = re.sub(pattern, replacement, code)
    return code


def commands_in(block: str) -> list[list[str]]:
    """Words of each `keras-hkd` command of a shell block, without the program's name."""
    lines = re.sub(r"\\\n\s*", " ", block).splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [line[1:] for line in words if line[:1] == ["keras-hkd"]]


@pytest.fixture(scope="session")
def material(made_once):
    """A folder with all that the pages name: photographs of 64 px with labels, trained models."""
    return made_once("material", make_material)


def make_material(folder):
    from PIL import Image

    from keras_hkd.data import synthetic_dataset
    from keras_hkd.detectors import build
    from keras_hkd.export.representative import sample_images

    scenes = synthetic_dataset(6, (64, 64), seed=0)
    for place in ("photos/images", "photos/splits", "holiday_pictures"):
        (folder / place).mkdir(parents=True)
    records, boxes = [], []
    for index in range(6):
        name = f"{index}.png"
        Image.fromarray(scenes.load_image(index)).save(folder / "photos/images" / name)
        records.append({"id": index, "file_name": name, "width": 64, "height": 64})
        for left, top, right, bottom in scenes[index].boxes.tolist():
            box = {"bbox": [left, top, right - left, bottom - top], "category_id": 1}
            boxes.append({"id": len(boxes) + 1, "image_id": index, **box})
    categories = [{"id": 1, "name": "person"}]
    truth = {"images": records, "annotations": boxes, "categories": categories}
    (folder / "photos/annotations.json").write_text(json.dumps(truth))
    for split, numbers in {"train": range(4), "val": [4], "test": [5]}.items():
        names = "".join(f"{number}.png\n" for number in numbers)
        (folder / f"photos/splits/{split}.txt").write_text(names)
    detections = [{**box, "score": 0.9} for box in boxes]
    (folder / "detections.json").write_text(json.dumps(detections))
    for number in range(2):
        picture = folder / f"photos/images/{number}.png"
        shutil.copy(picture, folder / f"holiday_pictures/{number}.png")
    Image.fromarray(scenes.load_image(0)).save(folder / "photo.jpg")
    write_video(folder / "in.mp4", [0, 100, 200])
    detector = build("yolo_v8_micro", image_size=(64, 64), seed=1)
    for name in ("teacher.keras", "student.keras", "coco_detector.keras"):
        detector.save(folder / name)
    for name in ("teacher/detector", "alone/detector", "student/student"):
        (folder / f"runs/{name}.keras").parent.mkdir(parents=True)
        shutil.copy(folder / "student.keras", folder / f"runs/{name}.keras")
    onnx.save(PublishedGraph().model(sides=(64, 64)), folder / "rtmdet_nano_person.onnx")
    nano = keras_hkd.detectors.import_rtmdet(
        folder / "rtmdet_nano_person.onnx", image_size=(64, 64), images=sample_images((64, 64), 4)
    )
    nano.save(folder / "nano.keras")
    (folder / "runs/int8").mkdir()
    keras_hkd.quantize(detector).save(folder / "runs/int8/student.keras")
    weights = folder / "benchmarks" / "weights"
    weights.mkdir(parents=True)
    shutil.copy(ROOT / "benchmarks" / "weights" / "student_coco_person.keras", weights)


@pytest.fixture
def workplace(material, tmp_path, monkeypatch):
    """A copy of the material to work in; Keras traces nothing, which would take the longest."""
    import tensorflow as tf

    folder = tmp_path / "workplace"
    shutil.copytree(material, folder)
    monkeypatch.chdir(folder)
    tf.config.run_functions_eagerly(True)
    yield folder
    tf.config.run_functions_eagerly(False)


def run_command(words: list[str]) -> None:
    said = io.StringIO()
    with contextlib.redirect_stderr(said), pytest.raises(SystemExit) as end:
        main([*words, *QUICK[words[0]]])
    assert end.value.code == 0, f"keras-hkd {shlex.join(words)}\n{said.getvalue()}"


# After one step on two pictures a teacher may find nobody, and then a term has nothing to teach.
@pytest.mark.filterwarnings("ignore:The term .* has no finite gradient:RuntimeWarning")
@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.long) if page.stem in LONG_GUIDES else page
        for page in GUIDES
    ],
    ids=name_of,
)
def test_what_a_guide_shows_runs_from_top_to_bottom(page, workplace):
    text, names = page.read_text(encoding="utf-8"), {}
    for block in BLOCK.finditer(text):
        code = smaller(block["code"])
        if block["language"] == "sh":
            for words in commands_in(code):
                if words[0] in QUICK:
                    run_command(words)
        else:  # behind as many empty lines as errors need to name the line of the page
            lines_above = text.count("\n", 0, block.start("code"))
            exec(compile("\n" * lines_above + code, str(page), "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_have_the_options_that_a_page_gives_them(page, material, monkeypatch):
    monkeypatch.chdir(material)
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        for name, *words in commands_in(block["code"]):
            load_command(name).make_context(name, words)


@pytest.mark.parametrize("page", [p for p in PAGES if p.parent == ROOT], ids=name_of)
def test_links_lead_to_files(page):
    # Those inside docs are checked, with their anchors, when the site is built.
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{name_of(page)} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_nothing_outside_the_repository_is_named(page):
    assert not re.findall(r"\.\./shared|/home/|/tmp/|/root/", page.read_text(encoding="utf-8"))


def test_the_readme_stays_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_the_citation_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == keras_hkd.__version__
