"""House rules that can be read off the sources: which libraries where, no asserts, lengths."""

import ast
import pathlib
import re

import pytest

import keras_hkd

PACKAGE = pathlib.Path(keras_hkd.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# Library -> the parts of keras_hkd, by first path component, that may import it.
ALLOWED = {
    "tensorflow": {
        *("teacher_cache", "data", "export", "compression", "training", "replicas"),
        *("base_model", "multi_worker"),  # a step for each size of batches; several processes
        "batch_norm",  # the fused kernel
        *("distillation", "methods"),
        "evaluation",  # counts operations with the profiler of TensorFlow
    },
    "tensorflow_model_optimization": {"compression"},
    "keras_cv": {"detectors"},
    "keras_hub": {"detectors"},
    "jax": {"distillation", "training", "multi_worker"},  # gradients of terms; several processes
    "torch": set(),
    "typer": {"cli"},
}
# Parts that work on NumPy alone, or on whichever library the caller passes.
NO_KERAS = {"metrics", "boxes", "inference", "cli", "_lazy", "__init__"}
NO_KERAS_EXCEPT = {"boxes/suppression.py"}


def name_of(file: pathlib.Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


def imported_libraries(file: pathlib.Path) -> set[str]:
    """Give the first components of all absolute imports in a file, those inside functions too."""
    libraries = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            libraries.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            libraries.add(node.module.split(".")[0])
    return libraries


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_libraries_are_imported_only_in_their_place(file):
    part = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    libraries = imported_libraries(file)
    for library, parts in ALLOWED.items():
        assert library not in libraries or part in parts, f"{name_of(file)} imports {library}"
    if part in NO_KERAS and name_of(file) not in NO_KERAS_EXCEPT:
        assert "keras" not in libraries


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_no_assert_answers_a_user(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    lines = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    assert not lines, f"{name_of(file)} asserts in lines {lines}: raise ValueError or TypeError"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_files_stay_under_400_lines(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) < 400


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_sections_of_docstrings_have_one_layout(file):
    """As in Keras: a blank line behind `Example:`; a line of its own for `Reference:`."""
    documented = (ast.FunctionDef, ast.ClassDef, ast.Module)
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        text = (ast.get_docstring(node) if isinstance(node, documented) else None) or ""
        assert not re.search(r"^(Paper|Reference): |^Example:\n(?!\n)", text, re.MULTILINE), text


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_no_file_is_named_for_nothing(file):
    vague = {"utils", "util", "core", "common", "misc", "helpers"}
    assert not vague & {part.removesuffix(".py") for part in file.relative_to(PACKAGE).parts}


def test_every_folder_is_a_package():
    # The wheel leaves out a folder without one, while a clone imports it all the same.
    folders = {file.parent for file in FILES}
    assert not [name_of(folder) for folder in folders if not (folder / "__init__.py").exists()]
