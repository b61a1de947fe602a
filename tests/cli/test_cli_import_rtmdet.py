import json

import numpy as np
import pytest
from fixtures.published_rtmdet import onnx_file  # noqa: F401
from PIL import Image

import keras_hkd

DATA = "synthetic:train?num_images=3&seed=1&height=64&width=64"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def imported(onnx_file, tmp_path_factory):  # noqa: F811
    """The file that the command wrote to a folder, and what it said."""
    from keras_hkd.cli.main import main

    folder = tmp_path_factory.mktemp("imported") / "new"
    said = {}
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.setattr("keras_hkd.cli.import_rtmdet.print_json", said.update)
        main(
            ["import-rtmdet", str(onnx_file(num_classes=3)), "--out", str(folder), "--json"]
            + ["--statistics", DATA, "--image-size", "64", "--person-class", "1"]
        )
    assert stop.value.code == 0
    return folder, said


def test_what_it_writes_and_says(imported):
    folder, said = imported
    assert [path.name for path in folder.iterdir()] == ["rtmdet.keras"]
    assert said["path"] == folder / "rtmdet.keras"
    assert (said["size"], said["classes"]) == ("RTMDet-nano", ["person"])
    assert 0 < said["largest_difference_from_onnxruntime"] < 1e-4
    assert said["compared_at"] in ("64x96", "320x320 (of an open size)")
    assert said["photographs_of_statistics"] == 3
    detector = keras_hkd.load_detector(said["path"])
    assert said["parameters"] == detector.count_params()
    assert (detector.class_indices, detector.image_size) == ((1,), (64, 64))
    assert not detector.antialias


def test_the_detector_is_evaluated(imported, command):
    folder, _ = imported
    code, out, err = command(
        "evaluate", folder / "rtmdet.keras", "--data", DATA, "--json", "--no-cost"
    )
    assert code == 0, err
    assert json.loads(out)["num_images"] == 3


@pytest.mark.long
def test_the_detector_is_trained_on(imported, command, tmp_path):
    folder, _ = imported
    words = ["train", "--detector", folder / "rtmdet.keras", "--data", DATA, "--epochs", 1]
    code, out, err = command(*words, "--batch-size", 3, "--out", tmp_path / "run", "--json")
    assert code == 0, err
    trained = keras_hkd.load_detector(tmp_path / "run" / "detector.keras")
    assert trained.class_names == ("person",)


def test_a_table_and_a_file_of_ones_own_name(onnx_file, command, tmp_path):  # noqa: F811
    photos = tmp_path / "photos"
    photos.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    Image.fromarray(noise).save(photos / "one.png")
    code, out, err = command(
        *("import-rtmdet", onnx_file(num_classes=3), "--out", tmp_path / "mine.keras"),
        *("--statistics", photos, "--image-size", 64),
    )
    assert code == 0, err
    assert "class_0, class_1, class_2" in out and "RTMDet-nano" in out
    assert keras_hkd.load_detector(tmp_path / "mine.keras").num_classes == 3


def test_bad_input(onnx_file, command, tmp_path):  # noqa: F811
    code, _, err = command("import-rtmdet", tmp_path / "none.onnx", "--out", tmp_path / "x.keras")
    assert code == 2 and "No ONNX file" in err
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(onnx_file(num_classes=3).read_bytes()[:5000])
    code, _, err = command("import-rtmdet", damaged, "--out", tmp_path / "x.keras")
    assert code == 2 and "is damaged" in err
    code, _, err = command("import-rtmdet", damaged, "--out", damaged)
    assert code == 2 and "must be a folder or end in .keras" in err
    assert [path.name for path in tmp_path.iterdir()] == ["damaged.onnx"]


def test_other_files_are_refused_by_name(onnx_file, command, tmp_path):  # noqa: F811
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kernel = numpy_helper.from_array(np.ones((8, 3, 3, 3), "float32"), "kernel")
    other = tmp_path / "other.onnx"
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
        for name, shape in (("images", [1, 3, 64, 64]), ("out", None))
    ]
    node = helper.make_node("Conv", ["images", "kernel"], ["out"], kernel_shape=[3, 3])
    graph = helper.make_graph([node], "one", *ends, [kernel])
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), other)
    code, _, err = command("import-rtmdet", other, "--out", tmp_path / "x.keras")
    assert code == 2 and "another architecture: expected RTMDet" in " ".join(err.split())
    model = onnx.load(onnx_file(num_classes=3))
    model.graph.node.append(helper.make_node("ConvInteger", ["images", "images"], ["rounded"]))
    dynamic = tmp_path / "dynamic.onnx"
    onnx.save(model, dynamic)
    code, _, err = command("import-rtmdet", dynamic, "--out", tmp_path / "x.keras")
    assert code == 2 and "is quantised; give the float export" in " ".join(err.split())
    assert not (tmp_path / "x.keras").exists()
