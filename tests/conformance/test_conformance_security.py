"""Nothing that is read can run code: in the sources, and with files made to do so."""

import ast
import pathlib
import pickle

import numpy as np
import pytest

import keras_hkd

FILES = sorted(pathlib.Path(keras_hkd.__file__).parent.rglob("*.py"))
FORBIDDEN_MODULES = {
    *("pickle", "dill", "joblib", "shelve", "marshal"),
    *("socket", "requests", "urllib.request", "http.client"),
}
FORBIDDEN_CALLS = {"eval", "exec", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load"}
FORBIDDEN_ARGUMENTS = {("allow_pickle", True), ("shell", True), ("safe_mode", False)}


class Bomb:
    """Creates a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_sources_call_nothing_that_runs_what_it_reads(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not {alias.name for alias in node.names} & FORBIDDEN_MODULES
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert node.module not in FORBIDDEN_MODULES
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            assert name not in FORBIDDEN_CALLS, f"line {node.lineno}"
            constants = {
                (word.arg, word.value.value)
                for word in node.keywords
                if isinstance(word.value, ast.Constant)
            }
            assert not constants & FORBIDDEN_ARGUMENTS, f"line {node.lineno}"
            if name in ("np.load", "numpy.load"):  # the default is safe; it is to be seen as well
                assert ("allow_pickle", False) in constants, f"line {node.lineno}"


def test_a_model_with_code_inside_is_refused(tmp_path):
    import keras

    proof = tmp_path / "proof"
    inputs = keras.Input((4,))
    code = f"lambda x: (__import__('pathlib').Path({str(proof)!r}).touch(), x)[1]"
    outputs = keras.layers.Lambda(eval(code), output_shape=(4,))(inputs)
    proof.unlink(missing_ok=True)  # building the layer has called it
    keras.Model(inputs, outputs).save(tmp_path / "hostile.keras")
    for load in (keras_hkd.load_detector, keras_hkd.load_classifier):
        with pytest.raises(ValueError, match="could not be read as a Keras model"):
            load(tmp_path / "hostile.keras")
    assert not proof.exists()


def test_a_pickle_in_a_cache_is_refused(tmp_path):
    from keras_hkd.teacher_cache.manifest import read_bases

    proof, file = tmp_path / "proof", tmp_path / "bases.npz"
    bomb = np.empty(1, object)
    bomb[0] = Bomb(proof)
    np.savez(file, **{"P3|mean": bomb, "P3|axes": bomb})
    assert read_bases(file) == {}
    file.write_bytes(pickle.dumps(Bomb(proof)))
    assert read_bases(file) == {}
    assert not proof.exists()


@pytest.mark.parametrize("name", ["data.yaml", "config.yaml"])
def test_a_yaml_tag_that_builds_objects_is_refused(name, tmp_path):
    proof = tmp_path / "proof"
    tag = f"!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [{proof}]]"
    (tmp_path / name).write_text(f"names: {tag}\nseed: {tag}\n")
    if name == "data.yaml":
        with pytest.raises(keras_hkd.data.BadDataError):
            keras_hkd.data.load_dataset(tmp_path, format="yolo")
    else:
        from keras_hkd.cli.main import main

        with pytest.raises(SystemExit) as end:
            main(
                [
                    "score",
                    "a.json",
                    "b.json",
                    "--protocol",
                    "coco",
                    "--config",
                    str(tmp_path / name),
                ]
            )
        assert end.value.code == 2
    assert not proof.exists()


def test_an_external_entity_is_not_read(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("TOP SECRET")
    (tmp_path / "a.xml").write_text(
        f'<!DOCTYPE a [<!ENTITY e SYSTEM "file://{secret}">]>'
        "<annotation><filename>&e;</filename></annotation>"
    )
    with pytest.raises(keras_hkd.data.BadDataError) as refusal:
        keras_hkd.data.load_dataset(tmp_path, format="voc")
    assert "TOP SECRET" not in str(refusal.value)
