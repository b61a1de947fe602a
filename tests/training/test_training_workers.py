"""Several processes on the loopback device train what one trains."""

import importlib.util
import json
import os
import pathlib
import signal

import numpy as np
import pytest
from fixtures import worker_program
from fixtures.workers import results_of, run_workers, start_workers  # noqa: F401 (a fixture)

import keras_hkd.training.workers as workers_module
from keras_hkd.data import load_dataset, training_batches
from keras_hkd.errors import RunFailedError, UserError
from keras_hkd.training import RunFolder, current_workers, join_workers
from keras_hkd.training.checkpoint import list_checkpoints
from keras_hkd.training.workers import Workers, _workers_of, cluster_resolver

PROGRAM = pathlib.Path(worker_program.__file__)


def assert_same_training(several, one):
    """Every worker ends with the weights and, where it measures, the figures of one process."""
    assert one["moved"] > 4e-5  # or weights that were never trained would pass
    for index, result in enumerate(several):
        assert result["worker"] == [index, len(several)]
        assert result["replicas"] == len(several)
        assert result["rows_predicted"] == (2 if index == 0 else 0)
        assert_same_weights(result, one)


def assert_same_weights(result, one):
    """Weights and what BatchNorm averages are equal to 1e-5."""
    for kind in ("weights", "statistics"):
        for a, b in zip(result[kind], one[kind], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(result["history"]["loss"], one["history"]["loss"], rtol=1e-4)


@pytest.mark.slow
@pytest.mark.own_process
def test_two_workers_train_as_one_process(tmp_path, run_workers):  # noqa: F811
    several = run_workers(PROGRAM, 2, "tiny", tmp_path / "two")
    one = worker_program.train(None, "tiny", tmp_path / "one")
    assert_same_training(several, one)
    assert len(list_checkpoints(tmp_path / "two" / "checkpoints")) == 2
    record = json.loads((tmp_path / "two" / "run.json").read_text())
    assert len(record["sessions"]) == 1  # one process wrote it


@pytest.mark.long
@pytest.mark.own_process
@pytest.mark.parametrize("case", ["yolo_v8", "retinanet", "rtmdet", "live", "balanced", "cached"])
def test_two_workers_train_detectors_and_distillers_as_one_process(
    tmp_path,
    run_workers,  # noqa: F811
    case,
    monkeypatch,
):
    if case == "cached":
        cache = tmp_path / "cache"
        store_teacher(cache)
        monkeypatch.setenv("TEACHER_CACHE", str(cache))
    one = worker_program.train(None, case, tmp_path / "one")
    several = run_workers(PROGRAM, 2, case, tmp_path / "two")
    assert_same_training(several, one)
    if case == "yolo_v8":  # only the first one measured
        assert "val_AP" not in several[1]["history"]
    if case == "balanced":
        assert_balanced_anew(tmp_path / "two", tmp_path / "one")


def assert_balanced_anew(*runs):
    """The runs found the same scales, before the first step and after the first epoch."""
    first, *others = (json.loads((run / "balance.json").read_text()) for run in runs)
    (anew,) = first["rebalanced"]
    assert anew["after_epoch"] == 1 and anew["scales"] != first["scales"]
    for other in others:
        (other_anew,) = other["rebalanced"]
        assert other["scales"] == pytest.approx(first["scales"], rel=1e-3)
        assert other_anew["scales"] == pytest.approx(anew["scales"], rel=1e-3)


@pytest.mark.long
@pytest.mark.own_process
def test_four_workers_train_as_one_process(tmp_path, run_workers):  # noqa: F811
    one = worker_program.train(None, "tiny", tmp_path / "one")
    assert_same_training(run_workers(PROGRAM, 4, "tiny", tmp_path / "four"), one)


def store_teacher(folder):
    """Store what the teacher of `worker_program` says of all views of its images."""
    teacher = worker_program.build("yolo_v8_micro", image_size=worker_program.SIZE, seed=1)
    worker_program.TeacherCache.build(
        teacher, load_dataset(worker_program.DATA), folder, views=2, progress=False
    )


@pytest.mark.long
@pytest.mark.own_process
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize("killed", [0, 1])
def test_a_worker_killed_in_mid_epoch_loses_nothing(tmp_path, killed):
    logs = tmp_path / "logs"
    logs.mkdir()
    words = ("tiny", tmp_path / "broken", 4)
    processes = start_workers(PROGRAM, 2, *words, log_folder=logs, PAUSE="0.3")
    for line in processes[killed].stdout:
        if line == b"epoch 2 batch 0\n":
            break
    processes[killed].send_signal(signal.SIGKILL)
    other = processes[1 - killed]
    other.communicate(timeout=600)
    assert other.returncode not in (0, None)  # it ends by itself, so that a scheduler sees it
    processes[killed].communicate()
    done = list_checkpoints(tmp_path / "broken" / "checkpoints")
    assert done[0].name == "epoch_0002.npz"
    again = results_of(start_workers(PROGRAM, 2, *words, log_folder=logs), logs)
    one = worker_program.train(None, "tiny", tmp_path / "one", epochs=4)
    assert_same_training(again, one)
    assert len(again[0]["history"]["loss"]) == 4


HAS_JAX = importlib.util.find_spec("jax") is not None
TWO_DEVICES = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "STRATEGY": "mirrored"}


@pytest.mark.long
@pytest.mark.own_process
@pytest.mark.skipif(not HAS_JAX, reason="JAX is not installed")
@pytest.mark.parametrize("case", ["tiny", "live", "balanced"])
def test_on_jax_two_devices_and_two_processes_train_as_one(tmp_path, run_workers, case):  # noqa: F811
    (one,) = run_workers(PROGRAM, 1, case, tmp_path / "one", backend="jax")
    (devices,) = run_workers(PROGRAM, 1, case, tmp_path / "d", backend="jax", **TWO_DEVICES)
    assert devices["replicas"] == 2
    processes = run_workers(PROGRAM, 2, case, tmp_path / "processes", backend="jax")
    assert [result["worker"] for result in processes] == [[0, 2], [1, 2]]
    assert processes[0]["rows_predicted"] == devices["rows_predicted"] == 2
    for result in (devices, *processes):
        assert_same_weights(result, one)
    if case == "balanced":
        assert_balanced_anew(tmp_path / "one", tmp_path / "d", tmp_path / "processes")


@pytest.mark.parametrize("stream", ["augmented", "plain"])
def test_the_shares_of_workers_make_up_the_batches_of_one(stream):
    import tensorflow as tf

    scenes = load_dataset("synthetic:train?num_images=9&height=64&width=64")
    options = {"image_size": (64, 64), "batch_size": 4, "seed": 1, "first_epoch": 1}
    if stream == "plain":
        options["augmentation"] = None
    whole = list(training_batches(scenes, **options).take(3))
    shares = [list(training_batches(scenes, share=(i, 2), **options).take(3)) for i in (0, 1)]
    for (images, labels), (first, of_first), (second, of_second) in zip(
        whole, *shares, strict=True
    ):
        np.testing.assert_array_equal(tf.concat([first, second], 0), images)
        for name in labels:
            parts = tf.concat([of_first[name], of_second[name]], 0)
            np.testing.assert_array_equal(parts, labels[name])


def test_a_batch_that_does_not_divide_is_refused():
    scenes = load_dataset("synthetic:train?num_images=6&height=64&width=64")
    with pytest.raises(ValueError, match="3 processes.*batch_size=4"):
        training_batches(scenes, image_size=(64, 64), batch_size=4, seed=0, share=(0, 3))


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (type("UnavailableError", (Exception,), {})("peer is down\nand more"), True),
        (type("JaxRuntimeError", (Exception,), {})("UNAVAILABLE: Gloo all-reduce failed"), True),
        (type("JaxRuntimeError", (Exception,), {})("RESOURCE_EXHAUSTED: out of memory"), False),
        (ValueError("a fault of its own"), False),
    ],
)
def test_the_loss_of_another_worker_is_told_from_a_fault_of_its_own(error, lost, monkeypatch):
    monkeypatch.setattr(workers_module, "current_workers", lambda: Workers(1, 2))
    with pytest.raises(RunFailedError if lost else type(error)) as caught:
        with workers_module.losses_explained():
            raise error
    if lost:
        assert "--resume" in str(caught.value) and "and more" not in str(caught.value)
    monkeypatch.setattr(workers_module, "current_workers", Workers)
    with pytest.raises(type(error)), workers_module.losses_explained():
        raise error


def test_one_process_is_its_own_first_worker():
    assert join_workers(None) == join_workers("mirrored") == current_workers() == Workers()
    assert current_workers().broadcast(b"\x00\x01") == b"\x00\x01"


def test_a_worker_that_is_not_the_first_writes_nothing(tmp_path, monkeypatch):
    import keras_hkd.training.run_folder as module

    RunFolder(tmp_path / "run").begin({"seed": 0})
    before = (tmp_path / "run" / "run.json").read_bytes()
    monkeypatch.setattr(module, "current_workers", lambda: Workers(1, 2))
    run = RunFolder(tmp_path / "run")
    run.require_free()  # the first one's folder is no other run
    run.begin({"seed": 0})
    run.write_json("history.json", {})
    run.save_model(None, "student.keras")
    run.finish({"AP": 1.0})
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.json"]
    assert (tmp_path / "run" / "run.json").read_bytes() == before


@pytest.mark.parametrize(
    ("task", "index"),
    [(("chief", 0), 0), (("worker", 0), 1), (("worker", 1), 2)],
)
def test_a_chief_comes_before_the_workers(task, index):
    cluster = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    config = json.dumps({"cluster": cluster, "task": {"type": task[0], "index": task[1]}})
    assert _workers_of(config) == (["a:1", "b:1", "c:1"], index)


@pytest.mark.parametrize(
    "config",
    [
        "",
        "no json",
        "[]",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
    ],
)
def test_an_environment_without_workers_is_refused(config):
    with pytest.raises(UserError, match="TF_CONFIG.*Received"):
        cluster_resolver({"TF_CONFIG": config})


def test_slurm_says_who_the_workers_are(monkeypatch):
    slurm = {
        "SLURM_PROCID": "1",
        "SLURM_STEP_NODELIST": "node[3-4]",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_TASKS_PER_NODE": "1(x2)",
        "SLURM_LOCALID": "0",
        "SLURM_NTASKS": "2",
    }
    for name, value in slurm.items():
        monkeypatch.setenv(name, value)
    resolver = cluster_resolver({**os.environ, "TF_CONFIG": "", "KERAS_HKD_PORT": "9000"})
    assert resolver.cluster_spec().as_dict() == {"worker": ["node3:9000", "node4:9000"]}
    assert (resolver.task_type, resolver.task_id) == ("worker", 1)
