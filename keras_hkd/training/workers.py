"""Joins the processes that train one model together; tells their number and which one writes.

On TensorFlow they are joined by `tf.distribute.MultiWorkerMirroredStrategy`, on JAX by
`keras.distribution.initialize`. Checkpoints are ours and not those of
`tf.distribute.experimental.PreemptionCheckpointHandler`: that one serves TensorFlow alone, saves
when a notice of preemption comes, which a killed process never gets, and knows neither the history
of a run nor its place in the data. Ours stand after every epoch, whatever ends the process, and the
place in the data is a function of seed and epoch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from keras_hkd.errors import InvalidValueError, MissingPackageError, RunFailedError

_CHUNK = 1 << 21  # int64 numbers that are exchanged at once: 16 MB
# What TensorFlow's and JAX's errors about another process's end are called, or say.
_LOST = ("UnavailableError", "AbortedError", "DeadlineExceededError", "FailedPreconditionError")
_LOST_ON_JAX = re.compile(r"UNAVAILABLE|ABORTED|DEADLINE_EXCEEDED|[Gg]loo|[Cc]onnection|heartbeat")


@dataclasses.dataclass(frozen=True)
class Workers:
    """The processes of a training, seen from one of them; one process alone is its own first.

    Args:
        index: number of this process, from 0 on.
        count: number of processes.
        strategy: a strategy of `tf.distribute`, or None.

    Example:

    >>> Workers().is_first, Workers().broadcast(b"as it is")
    (True, b'as it is')
    """

    index: int = 0
    count: int = 1
    strategy: Any = None

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes."""
        return self.index == 0

    @property
    def share(self) -> tuple[int, int]:
        """`(index, count)`, which rows of a batch this process reads."""
        return self.index, self.count

    def distributed(self, batches: Any) -> Any:
        """Return what `fit` takes, from the `tf.data.Dataset` of this process's rows.

        Args:
            batches: batches of `batch_size / count` rows each.
        """
        if self.strategy is None:
            return batches

        def of_replicas(context: Any) -> Any:
            replicas = context.num_replicas_in_sync // context.num_input_pipelines
            rows = batches.element_spec[0].shape[0]
            return batches if replicas == 1 else batches.rebatch(rows // replicas)

        return self.strategy.distribute_datasets_from_function(of_replicas)

    def broadcast(self, data: bytes) -> bytes:
        """Return what the first process gave, in all of them.

        Args:
            data: anything in the first process; what the others give is not read.
        """
        if self.count == 1:
            return data
        data = data if self.is_first else b""
        (length,) = self._from_first(np.array([len(data)], np.int64))
        numbers = np.zeros(-(-int(length) // 8), np.int64)
        numbers.view(np.uint8)[: len(data)] = np.frombuffer(data, np.uint8)
        parts = [
            self._from_first(numbers[start : start + _CHUNK])
            for start in range(0, len(numbers), _CHUNK)
        ]
        return np.concatenate([*parts, np.zeros(0, np.int64)]).tobytes()[: int(length)]

    def wait(self) -> None:
        """Wait until all processes have come here."""
        self.broadcast(b"")

    @contextlib.contextmanager
    def first_before_others(self) -> Iterator[None]:
        """Run a task in the first process, and in the others once its files are written."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()

    def _from_first(self, numbers: np.ndarray) -> np.ndarray:
        if self.strategy is None:
            from jax.experimental import multihost_utils

            # JAX has no int64 unless told so.
            halves = multihost_utils.broadcast_one_to_all(numbers.view(np.int32))
            return np.asarray(halves).view(np.int64)
        import tensorflow as tf

        def given(context: Any) -> Any:
            first = context.replica_id_in_sync_group == 0
            return tf.constant(numbers if first else np.zeros_like(numbers))

        values = self.strategy.experimental_distribute_values_from_function(given)
        return self.strategy.reduce("SUM", values, axis=None).numpy()


_alone = Workers()


def current_workers() -> Workers:
    """Return the processes that this one was joined with; itself alone before that.

    Example:

    >>> current_workers().count
    1
    """
    return _joined() if _joined.cache_info().currsize else _alone


def join_workers(strategy: str | None) -> Workers:
    """Join the processes of a training, once per process and before TensorFlow or JAX computes.

    Args:
        strategy: as in `TrainingSettings`: "multi_worker" joins, anything else does not.

    Returns:
        The `Workers`, which `current_workers` then gives as well.

    Raises:
        ValueError: the environment does not say who the workers are.
        RuntimeError: TensorFlow or JAX has computed already.
    """
    return _joined() if strategy == "multi_worker" else current_workers()


@functools.cache
def _joined() -> Workers:
    import keras

    backend = keras.backend.backend()
    if backend == "jax":
        return _joined_on_jax()
    from keras_hkd.checks import require_tensorflow

    require_tensorflow('strategy="multi_worker" (or KERAS_BACKEND=jax)')
    import tensorflow as tf

    from keras_hkd.training.devices import grow_memory

    grow_memory()
    resolver = cluster_resolver(os.environ)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except RuntimeError as error:
        if "program startup" not in str(error):
            raise
        raise RunFailedError(
            "Workers must be joined before TensorFlow computes anything: enter "
            "training_scope(settings), or call keras_hkd.training.join_workers('multi_worker'), at "
            f"the start of the program. Received: {error}"
        ) from error
    jobs = resolver.cluster_spec().as_dict()
    before = len(jobs.get("chief", ())) if resolver.task_type == "worker" else 0
    count = sum(len(jobs.get(job, ())) for job in ("chief", "worker"))
    return Workers(before + resolver.task_id, count, strategy)


def cluster_resolver(environment: Mapping[str, str]) -> Any:
    """Make TensorFlow's resolver of the cluster that the environment describes.

    Args:
        environment: variables. `TF_CONFIG` is taken where it is set; otherwise a job step of Slurm
            (`SLURM_PROCID`), or an indexed job of Kubernetes (`JOB_COMPLETION_INDEX`) whose pods
            have the label that `KERAS_HKD_POD_LABEL` gives (default `job-name=keras-hkd`) and
            listen at port `KERAS_HKD_PORT` (default 8470).

    Returns:
        A `tf.distribute.cluster_resolver.ClusterResolver`.

    Raises:
        ValueError: none of these is set, or `TF_CONFIG` names no workers.
        ImportError: on Kubernetes without its Python package.
    """
    import tensorflow as tf

    resolvers = tf.distribute.cluster_resolver
    if environment.get("TF_CONFIG"):
        _workers_of(environment["TF_CONFIG"])
        return resolvers.TFConfigClusterResolver()
    port = int(environment.get("KERAS_HKD_PORT", "8470"))
    if "SLURM_PROCID" in environment:
        has_gpus = shutil.which("nvidia-smi") is not None
        # Without GPUs as many tasks fit a node as Slurm put there.
        gpus = {} if has_gpus else {"gpus_per_node": 1 << 16, "gpus_per_task": 1}
        resolver = resolvers.SlurmClusterResolver(port_base=port, auto_set_gpu=has_gpus, **gpus)
        resolver.cluster_spec()  # only this sets task_type and task_id
        return resolver
    if "JOB_COMPLETION_INDEX" in environment:
        label = environment.get("KERAS_HKD_POD_LABEL", "job-name=keras-hkd")
        try:
            resolver = resolvers.KubernetesClusterResolver({"worker": [label]}, port)
        except ImportError as error:
            raise MissingPackageError(
                "Workers on Kubernetes are found with its Python package: pip install kubernetes; "
                f"or set TF_CONFIG in the pods. Received: {error}"
            ) from error
        resolver.task_type = "worker"
        resolver.task_id = int(environment["JOB_COMPLETION_INDEX"])
        return resolver
    raise InvalidValueError(
        'strategy="multi_worker" (--strategy) needs to be told who the workers are: set TF_CONFIG '
        'in each, such as {"cluster": {"worker": ["host0:8470", "host1:8470"]}, "task": {"type": '
        '"worker", "index": 0}}, or start them as tasks of Slurm or as an indexed job of '
        "Kubernetes. Received: none of TF_CONFIG, SLURM_PROCID and JOB_COMPLETION_INDEX"
    )


def _workers_of(tf_config: str) -> tuple[list[str], int]:
    """Return the addresses of all workers, the first one's first, and the number of this one."""
    try:
        config = json.loads(tf_config)
        jobs, task = config["cluster"], config["task"]
        addresses = [*jobs.get("chief", ()), *jobs.get("worker", ())]
        before = len(jobs.get("chief", ())) if task["type"] == "worker" else 0
        index = before + int(task["index"])
        if task["type"] not in ("chief", "worker") or not 0 <= index < len(addresses):
            raise ValueError("the task is none of the workers")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidValueError(
            'TF_CONFIG must be such as {"cluster": {"worker": ["host0:8470", "host1:8470"]}, '
            f'"task": {{"type": "worker", "index": 0}}}}. Received: {tf_config!r} ({error!r})'
        ) from error
    return addresses, index


def _joined_on_jax() -> Workers:
    import jax
    import keras

    names = ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")
    keras_names = [f"KERAS_DISTRIBUTION_{name}" for name in names]
    if any(name in os.environ for name in keras_names):
        keras.distribution.initialize()
    elif os.environ.get("TF_CONFIG"):
        addresses, index = _workers_of(os.environ["TF_CONFIG"])
        keras.distribution.initialize(addresses[0], len(addresses), index)
    elif "SLURM_PROCID" in os.environ:
        jax.distributed.initialize()
    else:
        raise InvalidValueError(
            'strategy="multi_worker" (--strategy) on JAX needs to be told who the workers are: set '
            f"{', '.join(keras_names)} or TF_CONFIG in each, or start them as tasks of Slurm. "
            "Received: none of these"
        )
    return Workers(jax.process_index(), jax.process_count())


@contextlib.contextmanager
def losses_explained() -> Iterator[None]:
    """Turn the error of a training whose other worker died into one that says what to do.

    Raises:
        RunFailedError: a worker was lost.
    """
    workers = current_workers()
    try:
        yield
    except Exception as error:
        kind, said = type(error).__name__, str(error)
        lost = kind in _LOST or (kind == "JaxRuntimeError" and _LOST_ON_JAX.search(said))
        if workers.count == 1 or not lost:
            raise
        raise RunFailedError(
            f"Worker {workers.index} of {workers.count} lost another one, and cannot go on alone. "
            "Nothing is lost but the epoch that was running: start all workers again with "
            "--resume (resume=True); a scheduler that restarts failed jobs does it by itself. "
            f"Received: {kind}: {said.partition(chr(10))[0][:300]}"
        ) from error
