"""What tests need before TensorFlow loads: a quiet log, a fair share of the cores, shared data."""

import contextlib
import functools
import gc
import inspect
import os
import pathlib
import re
import subprocess
import sys
import textwrap

import pytest


def _limit_threads() -> None:
    """Split the cores between the xdist workers: TensorFlow in each would claim them all."""
    num_workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    threads = str(max(1, (os.cpu_count() or 1) // num_workers))
    for variable in (
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
    ):
        os.environ.setdefault(variable, threads)


# Set here, at import, because child processes of the tests inherit them and because TensorFlow and
# Matplotlib read them once, when they load.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
if "PYTEST_XDIST_WORKER" in os.environ:
    _limit_threads()


def pytest_configure(config: pytest.Config) -> None:
    """Choose the hypothesis profile: no deadline (first calls compile), the same cases in CI."""
    import hypothesis

    common = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
    hypothesis.settings.register_profile("local", print_blob=True, **common)
    hypothesis.settings.register_profile("ci", derandomize=True, **common)
    hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")
    # Graphs are millions of objects that live on: looking through them took 5 % of the tests' time.
    gc.set_threshold(20_000, 20, 20)


# Imports and calls, not words: `Letterbox.fit` trains nothing, and names of modules stand in texts.
NETWORKS = re.compile(
    r"^\s*(?:from|import) (?:keras_hkd\.(?:detectors|classifiers)|keras_cv|keras_hub)\b"
    r"|\bkeras_hkd\.(?:detectors|classifiers)\.\w+\("
    r"|(?<!\bLetterbox)\.fit\(",
    re.MULTILINE,
)


@functools.cache
def _file_builds_networks(path: str) -> bool:
    return bool(NETWORKS.search(pathlib.Path(path).read_text(encoding="utf-8")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark with `network` what builds or trains one: its file says so, or that of a fixture."""
    for item in items:
        fixtures = getattr(item, "_fixtureinfo", None)
        definitions = fixtures.name2fixturedefs.values() if fixtures else ()
        files = {str(item.path), *(inspect.getfile(d[-1].func) for d in definitions)}
        if any(_file_builds_networks(file) for file in files if "/tests/" in file):
            item.add_marker("network")


@pytest.fixture(scope="session")
def fresh_python():
    """Give `run(code, *words, cwd=None, timeout=900, **environment)`: code in its own Python.

    What it printed comes back; where it failed, the test does, with the end of what it said.
    Keras is on TensorFlow unless told otherwise. Variables of the environment are set, or taken
    away where None.
    """

    def run(code, *words, cwd=None, timeout=900, **environment):
        variables = {**os.environ, "KERAS_BACKEND": "tensorflow", **environment}
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), *map(str, words)],
            env={name: value for name, value in variables.items() if value is not None},
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    return run


@pytest.fixture(scope="session")
def made_once(tmp_path_factory, worker_id):
    """Give `folder(name, make)`: the folder that `make(folder)` filled, once for all processes.

    Tests leave it as it is.
    """

    def folder(name, make):
        base = tmp_path_factory.getbasetemp()
        shared = (base if worker_id == "master" else base.parent) / f"{name}_made_once"
        if not shared.exists():  # whole or not at all
            made = tmp_path_factory.mktemp(name)
            make(made)
            with contextlib.suppress(OSError):  # another process was first
                made.rename(shared)
        return shared

    return folder


@pytest.fixture(scope="session")
def shared_dir() -> pathlib.Path:
    """Give the folder of real data and weights beside the clone, or skip where there is none.

    `KERAS_HKD_SHARED` names another place.
    """
    beside = pathlib.Path(__file__).resolve().parents[2] / "shared"
    folder = pathlib.Path(os.environ.get("KERAS_HKD_SHARED", beside))
    if not (folder / "data").is_dir():
        pytest.skip(
            f"no shared data at {folder}: this test needs real images or weights "
            "(set KERAS_HKD_SHARED to the folder that holds data/ and weights/)"
        )
    return folder
