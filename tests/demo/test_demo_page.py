"""The browser demo, opened in Chromium: its boxes are those of the Python runner."""

import base64
import functools
import http.server
import importlib.util
import itertools
import json
import pathlib
import re
import shutil
import threading
import time

import numpy as np
import pytest
from fixtures.chromium import start_chromium
from PIL import Image

from keras_hkd.data import Letterbox
from keras_hkd.errors import InvalidValueError, MissingFileError
from keras_hkd.inference import TFLiteDetector, load_photo, predict_images, read_metadata
from keras_hkd.zoo import headline, read_card

ROOT = pathlib.Path(__file__).resolve().parents[2]
PHOTOGRAPHS = ROOT.parent / "shared" / "data"
PRESETS = ("person_nano", "person_atto")
LEAST_SCORE = 0.05  # the lowest threshold that the page offers
# Every other name fails, as without a network.
FLAGS = (
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


@pytest.fixture(scope="module")
def builder():
    """The module `demo/build.py`."""
    spec = importlib.util.spec_from_file_location("demo_build", ROOT / "demo" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(builder, tmp_path_factory):
    """The demo with the int8 twins of two presets."""
    if not (ROOT / "demo" / "node_modules" / "@litertjs").is_dir():
        pytest.skip("no LiteRT.js in demo/node_modules (npm ci --prefix demo)")
    return builder.build(tmp_path_factory.mktemp("demo") / "out", PRESETS, ["int8"])


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; `asked` gets the paths, `headers_of_ours` go with every answer."""

    def __init__(self, *given, asked, headers, **folder):
        self.asked, self.headers_of_ours = asked, headers
        super().__init__(*given, **folder)

    def log_message(self, *args):
        self.asked.append(self.path.split("?")[0])

    def end_headers(self):
        for name, value in self.headers_of_ours.items():
            self.send_header(name, value)
        super().end_headers()


class Demo:
    """The page in a browser, read as a visitor reads it."""

    def __init__(self, browser, folder, **headers):
        self.browser, self.folder, self.headers = browser, folder, headers
        self.asked = []
        self.serve()

    def serve(self):
        handler = functools.partial(
            Handler, asked=self.asked, headers=self.headers, directory=self.folder
        )
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def open(self, query=""):
        self.browser.open(f"{self.address}index.html{query}")
        return self.settled()

    def wait(self, condition, seconds=120):
        """Wait for a JavaScript expression to become true."""
        end = time.monotonic() + seconds
        while not self.browser.run(f"return Boolean({condition})"):
            assert time.monotonic() < end, f"{condition}; the page says: {self.status()!r}"
            time.sleep(0.05)

    def settled(self):
        """Wait until both detectors have answered."""
        self.wait("document.querySelector('#panes[aria-busy=false]')")
        return self

    def status(self):
        return self.browser.run("return document.querySelector('#status')?.textContent")

    def click(self, text):
        self.browser.run(
            "[...document.querySelectorAll('button')]"
            ".find((one) => one.textContent === arguments[0]).click()",
            text,
        )

    def threshold(self, value):
        self.browser.run(
            "const slider = document.querySelector('#threshold'); slider.value = arguments[0];"
            "for (const kind of ['input', 'change']) slider.dispatchEvent(new Event(kind))",
            value,
        )

    def choose(self, path):
        self.browser.driver.find_element("id", "file").send_keys(str(path))
        # `send_keys` returns once the change event has run, which sets aria-busy.
        return self.settled()

    def figure(self, pane, name):
        return self.browser.run(
            "return document.querySelectorAll('.pane')[arguments[0]]"
            ".querySelector(`[data-figure=${arguments[1]}]`).textContent",
            pane,
            name,
        )

    def table(self, pane):
        """Rows of the table of boxes: score, left, top, right, bottom."""
        rows = self.browser.run(
            "const pane = document.querySelectorAll('.pane')[arguments[0]];"
            "return [...pane.querySelectorAll('tbody tr')]"
            ".map((row) => [...row.cells].map((cell) => Number(cell.textContent)))",
            pane,
        )
        return np.array(rows, np.float64).reshape(-1, 5)


@pytest.fixture(scope="module")
def demo(folder, tmp_path_factory):
    browser = start_chromium(tmp_path_factory.mktemp("profile"), *FLAGS)
    demo = Demo(browser, folder)
    yield demo
    demo.stop()
    browser.driver.quit()


def expect_same(rows, detector, image):
    """Compare a table of the page with the Python runner: to a pixel, and a hundredth of the score.

    Whoever scores about as much as the threshold may be in one list only.
    """
    assert len(rows), "nobody was found, so nothing is compared"
    theirs = python_rows(detector, image)
    for ours, others in ((rows, theirs), (theirs, rows)):
        same = np.abs(ours[:, None, 0] - others[None, :, 0]) <= 0.01
        same &= within_a_pixel(ours[:, None, 1:], others[None, :, 1:])
        alone = ours[~same.any(axis=1) & (ours[:, 0] > LEAST_SCORE + 0.01)]
        assert not len(alone), (alone.round(3), rows.round(3), theirs.round(3))


def python_rows(detector, image):
    found = predict_images(detector, [image], batch_size=1)[0]
    return np.column_stack([found["confidence"], found["boxes"]])


def within_a_pixel(a, b):
    return np.abs(a - b).max(axis=-1) <= 1.0


def runner(folder, name, kind="int8"):
    return TFLiteDetector(folder / "models" / f"{name}.{kind}.tflite", num_threads=1)


def some_photographs(number):
    """Paths of shared photographs; none where they are absent."""
    found = sorted(PHOTOGRAPHS.glob("coco_person/images/*.jpg"))
    return found[:: max(1, len(found) // number)][:number]


def test_people_are_found_when_the_page_opens(demo, folder):
    demo.open()
    assert re.fullmatch(
        r"person_nano, int8: [3-9] people in [\d.]+ ms\. "
        r"person_atto, int8: \d+ p\w+ in [\d.]+ ms\.",
        demo.status(),
    )
    assert int(demo.figure(0, "people")) == len(demo.table(0)) >= 3
    card = headline(read_card("person_nano"))
    assert demo.figure(0, "parameters") == f"{card['parameters']:,}"
    assert demo.figure(0, "ap") == f"{card['AP_int8']:.3f}"
    small = folder / "models" / "person_atto.int8.tflite"
    assert demo.figure(1, "bytes") == f"{small.stat().st_size / 1000:.0f} kB"
    height, width = read_metadata(small)["image_size"]
    assert demo.figure(1, "input") == f"{width} × {height}"
    assert demo.browser.console() == []
    # Boxes are drawn: pixels of their colour are in the picture of the page.
    assert (
        demo.browser.run(
            "const canvas = document.querySelector('canvas'), { width, height } = canvas;"
            "const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);"
            "let marked = 0;"
            "for (let i = 0; i < data.length; i += 4)"
            "  marked += data[i] === 0x3d && data[i + 1] === 0xf5 && data[i + 2] === 0xd5;"
            "return marked"
        )
        > 500
    )


def test_int8_presets_find_what_the_python_runner_finds(demo, folder):
    demo.open()
    demo.threshold(LEAST_SCORE)
    for scene in json.loads((folder / "models.json").read_text("utf-8"))["scenes"]:
        demo.click(scene["name"])
        demo.settled()
        image = load_photo(folder / scene["file"])
        for pane, name in enumerate(PRESETS):
            expect_same(demo.table(pane), runner(folder, name), image)


@pytest.fixture(scope="module")
def noise(demo, folder, tflite, tmp_path_factory):
    """The demo with a float and an int8 file, and their `TFLiteDetector`s by kind.

    They have weights of noise and an image of 64 x 96. A preset's float twin takes the exporter too
    long here; `test_every_twin` compares those.
    """
    site = shutil.copytree(folder, tmp_path_factory.mktemp("noise") / "site")
    manifest = json.loads((site / "models.json").read_text("utf-8"))
    detectors = {}
    for kind, quantization in (("float32", None), ("int8", "int8")):
        file = f"models/noise.{kind}.tflite"
        shutil.copyfile(tflite("yolo_v8", quantization).path, site / file)
        about = {"name": "noise", "kind": kind, "file": file, "image_size": [64, 96]}
        manifest["models"].append({**manifest["models"][0], **about})
        detectors[kind] = TFLiteDetector(site / file, num_threads=1)
        detectors[kind].antialias = False  # as the page shrinks pictures
    (site / "models.json").write_text(json.dumps(manifest))
    other = Demo(demo.browser, site)  # another port, so nothing that is kept of the first is used
    yield other, detectors
    other.stop()


def test_boxes_on_drawn_scenes_are_those_of_the_python_runner(noise):
    demo, detectors = noise
    demo.open("?a=noise.float32&b=noise.int8")
    demo.threshold(LEAST_SCORE)
    assert demo.figure(0, "input") == "96 × 64"
    for scene in json.loads((demo.folder / "models.json").read_text("utf-8"))["scenes"]:
        demo.click(scene["name"])
        demo.settled()
        image = load_photo(demo.folder / scene["file"])
        for pane, detector in enumerate(detectors.values()):
            expect_same(demo.table(pane), detector, image)


def test_boxes_in_a_turned_photograph_are_those_of_the_python_runner(noise, tmp_path):
    demo, detectors = noise
    scene = Image.open(demo.folder / "scenes" / "street.png").rotate(90, expand=True)
    exif = Image.Exif()
    exif[274] = 6  # shown turned by a quarter
    scene.save(tmp_path / "turned.jpg", quality=95, exif=exif)
    demo.open("?a=noise.float32&b=person_atto.int8")
    demo.threshold(LEAST_SCORE)
    demo.choose(tmp_path / "turned.jpg")
    image = load_photo(tmp_path / "turned.jpg")
    assert image.shape == (480, 640, 3)
    expect_same(demo.table(0), detectors["float32"], image)


def test_boxes_on_photographs_are_those_of_the_python_runner(noise):
    demo, detectors = noise
    paths = some_photographs(3)
    if not paths:
        pytest.skip(f"no photographs in {PHOTOGRAPHS}")
    demo.open("?a=noise.float32&b=person_atto.int8")
    demo.threshold(LEAST_SCORE)
    for path in paths:
        demo.choose(path)
        expect_same(demo.table(0), detectors["float32"], load_photo(path))


def test_the_letterbox_is_that_of_the_package_byte_for_byte(demo):
    """Pictures that shrink, grow, stay as they are, and are a pixel wide."""
    demo.open()
    rng = np.random.default_rng(3)
    sizes = [(48, 64), (33, 50), (64, 64), (1, 7), (90, 1), (31, 20), (501, 333), (65, 64)]
    targets = [(64, 64), (32, 96)]
    script = """
        return (async (text, width, height, targetWidth, targetHeight) => {
          const { letterbox } = await import("./letterbox.js");
          const rgba = Uint8ClampedArray.from(atob(text), (one) => one.charCodeAt(0));
          const image = letterbox(rgba, width, height, targetWidth, targetHeight);
          return btoa(Array.from(image, (one) => String.fromCharCode(one)).join(""));
        })(...arguments);
    """
    for (height, width), target in itertools.product(sizes, targets):
        rgba = rng.integers(0, 256, (height, width, 4), np.uint8)
        text = base64.b64encode(rgba.tobytes()).decode()
        found = demo.browser.run(script, text, width, height, *target[::-1])
        image = np.frombuffer(base64.b64decode(found), np.uint8).reshape(*target, 3)
        expected = Letterbox.fit((height, width), target).resize(rgba[..., :3], antialias=False)
        np.testing.assert_array_equal(image, expected, err_msg=f"{(height, width)} -> {target}")


def test_threads_are_used_where_two_headers_allow_them(demo, folder):
    threaded = "/vendor/wasm/litert_wasm_threaded_internal.wasm"
    demo.open()
    people = demo.figure(0, "people")
    assert threaded not in demo.asked and "/vendor/litert.js" in demo.asked
    headers = {
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
    }
    isolated = Demo(demo.browser, folder, **headers)
    try:
        isolated.open()
        assert threaded in isolated.asked
        assert isolated.figure(0, "people") == people
        assert demo.browser.console() == []
    finally:
        isolated.stop()


def test_the_threshold_leaves_out_who_scores_less(demo):
    demo.open()
    scores = demo.table(0)[:, 0]
    assert scores.min() >= 0.3 and list(scores) == sorted(scores, reverse=True)
    demo.threshold(0.05)
    every = demo.table(0)[:, 0]
    demo.threshold(0.5)
    assert len(every) > len(scores) > len(demo.table(0)) > 0
    assert demo.table(0)[:, 0].min() >= 0.5
    number = len(demo.table(0))
    assert demo.status().startswith(f"person_nano, int8: {number} ")


def test_detectors_can_be_named_in_the_address_and_chosen(demo):
    demo.open("?a=person_atto.int8&b=person_nano.int8")
    assert demo.status().startswith("person_atto, int8: ")
    comparison = "return document.querySelector('#comparison').textContent"
    small, large = (headline(read_card(f"person_{n}"))["parameters"] for n in ("atto", "nano"))
    expected = f"B against A: {large / small:.1f} times more parameters, "
    assert demo.browser.run(comparison).startswith(expected)
    demo.click("Teacher and student")
    demo.settled()
    assert demo.status().startswith("person_nano, int8: ")


def test_what_is_no_picture_is_refused_in_words(demo, tmp_path):
    (tmp_path / "letter.png").write_text("no picture")
    demo.open()
    demo.choose(tmp_path / "letter.png")
    assert demo.status() == "letter.png cannot be opened as a picture here."
    demo.click("Drawn park")
    demo.settled()
    assert demo.status().startswith("person_nano")


def test_the_webcam(demo):
    demo.open()
    demo.click("Webcam")
    demo.wait("document.querySelector('#status').textContent.includes('pictures a second')")
    label = "return document.querySelector('canvas').getAttribute('aria-label')"
    assert demo.browser.run(label).startswith("webcam, ")
    pressed = "return document.querySelector('#webcam').getAttribute('aria-pressed')"
    assert demo.browser.run(pressed) == "true"
    assert float(demo.figure(1, "time").split()[0]) > 0
    demo.click("Drawn park")
    demo.wait("document.querySelector('canvas').ariaLabel.startsWith('Drawn park')")
    assert demo.browser.run(pressed) == "false"
    assert demo.browser.console() == []


def test_it_can_be_used_by_keys_and_by_ear(demo):
    demo.open()
    from selenium.webdriver import ActionChains, Keys

    driver = demo.browser.driver
    tree = driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = {"button", "combobox", "slider", "image", "DisclosureTriangle", "table"}
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree
        if not node["ignored"] and node["role"]["value"] in roles
    ]
    assert all(name for role, name in named if role != "DisclosureTriangle"), named
    names = [name for _, name in named]
    for expected in ("Webcam", "Detector A", "Detector B", "Score threshold", "Drawn square"):
        assert expected in names
    # Tab reaches every control, in the order in which they are seen.
    reached = []
    for _ in range(30):
        ActionChains(driver).send_keys(Keys.TAB).perform()
        here = demo.browser.run(
            "const one = document.activeElement; return one.id || one.textContent.trim()"
        )
        if here in reached or not here:
            break
        reached.append(here)
    assert reached[:3] == ["Drawn square", "Drawn street", "Drawn park"]
    assert reached[3:] == [
        "file", "webcam", "Teacher and student", "threshold",
        "detector-A", "Boxes as a table", "detector-B",
    ]  # fmt: skip
    driver.find_element("id", "threshold").send_keys(Keys.ARROW_RIGHT * 4)
    assert demo.browser.run("return document.querySelector('output').textContent") == "0.50"


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_a_phone_shows_all_of_it_and_text_stands_out(demo, colours):
    demo.open()
    driver = demo.browser.driver
    metrics = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    demo.browser.emulate(colours=colours)
    try:
        assert demo.browser.run("return document.documentElement.scrollWidth") <= 360
        lows = demo.browser.run("""
            const light = (text) => {
              const parts = text.match(/[\\d.]+/g).slice(0, 3).map((one) => one / 255);
              const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
              const [r, g, b] = parts.map(linear);
              return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const ground = (one) => {
              for (; one; one = one.parentElement) {
                const colour = getComputedStyle(one).backgroundColor;
                if (!colour.endsWith(", 0)") && colour !== "transparent") return light(colour);
              }
            };
            const kinds = "h1, p, dt, dd, label, .label, button, select, output, summary";
            return [...document.querySelectorAll(kinds)]
              .filter((one) => one.textContent.trim() && one.offsetParent)
              .map((one) => {
                const pair = [light(getComputedStyle(one).color), ground(one)];
                const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
                return [one.textContent.trim().slice(0, 30), ratio];
              });
        """)
        assert len(lows) > 20
        assert [one for one in lows if one[1] < 4.5] == []  # WCAG 2.2, AA
        narrow = "return getComputedStyle(document.querySelector('#panes')).gridTemplateColumns"
        assert len(demo.browser.run(narrow).split()) == 1
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        demo.browser.emulate()


def test_it_goes_on_and_opens_again_without_a_server(demo):
    demo.open()
    demo.wait("document.querySelector('#offline').textContent.includes('opens again')")
    said = demo.status().split(" in ")[0]
    demo.stop()
    try:
        demo.click("Drawn street")
        demo.settled()
        assert demo.status().startswith("person_nano")
        demo.browser.driver.refresh()
        demo.settled()
        assert demo.status().split(" in ")[0] == said
        assert demo.browser.console() == []
    finally:
        demo.serve()


def test_the_folder_is_of_files_that_it_names(folder):
    script = (folder / "offline.js").read_text("utf-8")
    files = json.loads(re.search(r"^const FILES = (.*);$", script, re.MULTILINE)[1])
    assert files[0] == "./" and all((folder / file).is_file() for file in files[1:])
    assert {"models/person_nano.int8.tflite", "worker.js", "vendor/litert.js"} <= set(files)
    for path in folder.glob("*.*"):
        if path.suffix in (".html", ".js", ".css"):
            addresses = re.findall(r"https?://[\w.]+", path.read_text("utf-8"))
            assert addresses in ([], ["http://www.w3.org"]), path


def test_a_folder_with_something_else_is_left_alone(builder, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InvalidValueError, match="holds something else"):
        builder.build(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_without_npm_it_says_what_to_do(builder, tmp_path, monkeypatch):
    (tmp_path / "page").mkdir()
    (tmp_path / "package-lock.json").write_bytes((ROOT / "demo" / "package-lock.json").read_bytes())
    monkeypatch.setattr(builder, "HERE", tmp_path)
    with pytest.raises(MissingFileError, match="npm ci"):
        builder.build(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_float_twin_is_exported_again_only_for_other_weights(builder, folder, tmp_path):
    """In an earlier build that is pretended the float twin is the int8 file, which is kept."""
    preset = builder.preset_folder("person_atto")
    source = builder.digest([preset / "config.json", preset / "model.weights.h5"])
    out, file = tmp_path / "out", "models/person_atto.float32.tflite"
    (out / "models").mkdir(parents=True)
    (out / file).write_bytes((preset / "int8.tflite").read_bytes())
    manifest = {
        "version": builder.keras_hkd.__version__,
        "models": [{"file": file, "source": source}],
    }
    (out / "models.json").write_text(json.dumps(manifest))
    builder.build(out, ["person_atto"], ["float32"])
    assert (out / file).read_bytes() == (preset / "int8.tflite").read_bytes()
    assert (out / "index.html").is_file()
    assert builder.source_of(out, file) == source
    manifest["version"] = "0.0.1"
    (out / "models.json").write_text(json.dumps(manifest))
    assert builder.source_of(out, file) is None


@pytest.mark.long
def test_every_twin_finds_the_same_in_the_browser(builder, tmp_path):
    if not (ROOT / "demo" / "node_modules" / "@litertjs").is_dir():
        pytest.skip("no LiteRT.js in demo/node_modules (npm ci --prefix demo)")
    folder = tmp_path / "demo"
    if builder.OUT.is_dir():
        shutil.copytree(builder.OUT, folder)  # float twins that are exported already
    builder.build(folder)
    models = json.loads((folder / "models.json").read_text("utf-8"))
    (tmp_path / "profile").mkdir()
    demo = Demo(start_chromium(tmp_path / "profile", *FLAGS), folder)
    try:
        for model in models["models"]:
            key = f"{model['name']}.{model['kind']}"
            demo.open(f"?a={key}&b={key}")
            demo.threshold(LEAST_SCORE)
            detector = runner(folder, model["name"], model["kind"])
            pictures = [folder / scene["file"] for scene in models["scenes"]]
            for path in [*pictures, *some_photographs(10)]:
                demo.choose(path)
                expect_same(demo.table(0), detector, load_photo(path))
        assert demo.browser.console() == []
    finally:
        demo.stop()
        demo.browser.driver.quit()
