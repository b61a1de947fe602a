"""Build the browser demo: a folder of static files that any web server can serve.

    npm ci --prefix demo && python demo/build.py        (`make web` does both)

It holds the page (`demo/page`), LiteRT.js from `demo/node_modules`, the TFLite twins of the presets
and drawn scenes. A float twin takes the exporter a quarter of a minute; one whose preset has not
changed is taken from the last build. `python -m http.server --directory build/demo` shows it.
"""

import argparse
import hashlib
import json
import pathlib
import shutil
import sys

from PIL import Image

import keras_hkd
from keras_hkd.atomic_write import replacing
from keras_hkd.data.drawn import draw_scene
from keras_hkd.errors import InvalidValueError, MissingFileError
from keras_hkd.inference import read_metadata
from keras_hkd.progress import image_progress
from keras_hkd.zoo import headline, list_presets, preset_folder, read_card

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE.parent / "build" / "demo"
KINDS = ("float32", "int8")
# Name and seed, picked among 400: person_nano finds all people in them. They measure nothing.
SCENES = (("Drawn square", 396), ("Drawn street", 104), ("Drawn park", 397))
PERSON_HEIGHT = 0.5
SCENE_SIZE = (480, 640)
MARK = "models.json"


def build(out=OUT, presets=None, kinds=KINDS):
    """Writes the demo.

    Args:
        out: the folder, which is replaced; it must be absent, empty or an earlier build.
        presets: names of presets; all by default.
        kinds: twins to carry, of "float32" and "int8".

    Returns:
        The folder.

    Raises:
        MissingFileError: npm has not installed LiteRT.js.
        InvalidValueError: the folder holds something else, or a preset needs what the page lacks.
    """
    out = pathlib.Path(out)
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).is_file():
        raise InvalidValueError(
            f"The folder of the demo is replaced as a whole: name a new one. Received: '{out}', "
            "which holds something else."
        )
    names = list(presets or list_presets())
    with replacing(out, replaces_folder=True) as partial:
        partial.mkdir()
        shutil.copytree(HERE / "page", partial, dirs_exist_ok=True)
        copy_runtime(partial / "vendor")
        (partial / "models").mkdir()
        twins = [(name, kind) for name in names for kind in kinds]
        with image_progress("Models of the demo", len(twins), unit="models") as advance:
            models = []
            for name, kind in twins:
                models.append(copy_model(name, kind, partial, out))
                advance(1)
        models.sort(key=lambda model: (-model["parameters"], model["kind"]))
        manifest = {
            "version": keras_hkd.__version__,
            "models": models,
            "comparisons": comparisons(models),
            "scenes": draw_scenes(partial),
        }
        (partial / MARK).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        write_service_worker(partial)
    return out


def copy_runtime(folder):
    """Copies LiteRT.js as it is, but for the one name that browsers cannot resolve."""
    packages = HERE / "node_modules" / "@litertjs"
    locked = json.loads((HERE / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    for name in ("core", "wasm-utils"):
        found = packages / name / "package.json"
        wanted = locked[f"node_modules/@litertjs/{name}"]["version"]
        version = json.loads(found.read_text("utf-8"))["version"] if found.is_file() else "none"
        if version != wanted:
            raise MissingFileError(
                f"The demo needs @litertjs/{name} {wanted} in demo/node_modules: npm ci --prefix "
                f"demo. Received: {version}"
            )
    (folder / "wasm").mkdir(parents=True)
    for variant in ("", "_compat", "_threaded"):
        for suffix in ("js", "wasm"):
            name = f"litert_wasm{variant}_internal.{suffix}"
            shutil.copyfile(packages / "core" / "wasm" / name, folder / "wasm" / name)
    code = (packages / "core" / "dist" / "index.js").read_text(encoding="utf-8")
    bare = 'from "@litertjs/wasm-utils"'
    if code.count(bare) != 1:
        raise InvalidValueError(f"LiteRT.js must import its loader once, by {bare}.")
    code = code.replace(bare, 'from "./litert_loader.js"')
    loader = (packages / "wasm-utils" / "dist" / "index.js").read_text(encoding="utf-8")
    for name, text in (("litert.js", code), ("litert_loader.js", loader)):
        text = "\n".join(line for line in text.splitlines() if "sourceMappingURL" not in line)
        (folder / name).write_text(text + "\n", encoding="utf-8")
    versions = {name: locked[f"node_modules/@litertjs/{name}"] for name in ("core", "wasm-utils")}
    lines = [f"@litertjs/{n} {v['version']}, {v['license']}" for n, v in versions.items()]
    source = "https://github.com/google-ai-edge/LiteRT"
    (folder / "README.txt").write_text("\n".join([*lines, source, ""]), encoding="utf-8")


def copy_model(name, kind, partial, out):
    """Puts a twin into the demo; gives its entry in the list that the page reads."""
    file = f"models/{name}.{kind}.tflite"
    target, folder = partial / file, preset_folder(name)
    if kind == "int8":
        shutil.copyfile(folder / "int8.tflite", target)
        source = None
    else:
        source = digest([folder / "config.json", folder / "model.weights.h5"])
        if source_of(out, file) == source:
            shutil.copyfile(out / file, target)
        else:
            keras_hkd.export_tflite(keras_hkd.from_preset(name), target)
    about = read_metadata(target)
    if about["antialias"] or not about["nms"]:
        raise InvalidValueError(
            "The page shrinks pictures without smoothing and reads detections: only detectors with "
            f"antialias=False, exported with nms=True, can be carried. Received: {name}, "
            f"antialias={about['antialias']}, nms={about['nms']}"
        )
    figures = headline(read_card(name))
    return {
        "name": name,
        "kind": kind,
        "file": file,
        "bytes": target.stat().st_size,
        "parameters": figures["parameters"],
        "image_size": about["image_size"],
        "class_names": about["class_names"],
        "ap": figures.get("AP" if kind == "float32" else "AP_int8"),
        "photographs": figures.get("photographs"),
        "source": source,
    }


def source_of(out, file):
    """Digest of what an earlier build exported a file from; None if it has no such file."""
    if not (out / MARK).is_file() or not (out / file).is_file():
        return None
    manifest = json.loads((out / MARK).read_text(encoding="utf-8"))
    if manifest["version"] != keras_hkd.__version__:
        return None
    return {model["file"]: model["source"] for model in manifest["models"]}.get(file)


def comparisons(models):
    """Pairs that a button offers, the first one shown at the start: `{name, files}` each."""
    offered = []
    by_kind = {kind: [m for m in models if m["kind"] == kind] for kind in KINDS}
    kind = "float32" if by_kind["float32"] else "int8"
    by_size = sorted(by_kind[kind], key=lambda model: -model["parameters"])
    large, small = by_size[0], by_size[-1]
    offered.append({"name": "Teacher and student", "files": [large["file"], small["file"]]})
    twins = [m for m in by_kind["int8"] if m["name"] == large["name"]]
    if kind == "float32" and twins:
        offered.append({"name": "Float and int8", "files": [large["file"], twins[0]["file"]]})
    return offered


def draw_scenes(partial):
    """Draws the scenes; PNG, so that the browser sees the pixels that Python drew."""
    scenes = []
    (partial / "scenes").mkdir()
    for name, seed in SCENES:
        image, _ = draw_scene(seed, SCENE_SIZE, 1, PERSON_HEIGHT, crowd_chance=0, mean_things=3)
        file = f"scenes/{name.split()[-1]}.png"
        Image.fromarray(image).save(partial / file, optimize=True)
        scenes.append({"name": name, "file": file})
    return scenes


def write_service_worker(partial):
    """Tells the service worker what to keep: all but the builds of LiteRT, of which one runs."""
    script = partial / "offline.js"
    files = sorted(path for path in partial.rglob("*") if path.is_file() and path != script)
    version = digest([*files, script])[:16]
    kept = [p.relative_to(partial).as_posix() for p in files if p.parent.name != "wasm"]
    head = f"const VERSION = {json.dumps(version)};\nconst FILES = {json.dumps(['./', *kept])};\n"
    script.write_text(head + script.read_text(encoding="utf-8"), encoding="utf-8")


def digest(files):
    """SHA-256 of files, one after the other."""
    digests = [hashlib.sha256(path.read_bytes()).digest() for path in files]
    return hashlib.sha256(b"".join(digests)).hexdigest()


def main():
    """Builds what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=pathlib.Path, default=OUT, help="folder, replaced as a whole")
    parser.add_argument("--presets", nargs="+", help="presets to carry; all by default")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="twins to carry")
    given = parser.parse_args()
    try:
        out = build(given.out, given.presets, given.kinds)
    except keras_hkd.errors.UserError as error:
        sys.exit(f"Error: {error}")
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{out}: {size / 1e6:.1f} MB. To see it: python -m http.server --directory {out}")


if __name__ == "__main__":
    main()
