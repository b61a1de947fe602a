"""Shards beside one `.npy` file per tensor for the rows of a teacher cache: ratios of one run.

A teacher cache packs all outputs for one view of an image into a row, and rows into shards, which
are mapped into memory: what a batch needs of an image lies in one place. The obvious alternative is
one `.npy` for each tensor, read through `numpy.memmap`. Both hold the same numbers here, drawn at
random, and both are written, checked, resumed and read in batches of shuffled rows by a `tf.data`
pipeline; rounds alternate between them. A ratio above 1.0 means that the `.npy` files take longer.

- `read`: all batches once, files in the page cache, nothing else running;
- `read beside Python`: the same while another thread runs Python, as a training loop does;
- `write`, `check` (SHA-256 of everything), `resume` (finding what a build killed half-way lacks).
"""

import argparse
import dataclasses
import functools
import hashlib
import json
import pathlib
import tempfile
import threading
import time

import numpy as np
import tensorflow as tf

from keras_hkd.json_files import write_json
from keras_hkd.teacher_cache.batch_reader import stored_rows
from keras_hkd.teacher_cache.row_format import HALF, Field, RowFormat
from keras_hkd.teacher_cache.shards import Shards
from keras_hkd.training.run_folder import versions

RESULTS = pathlib.Path(__file__).resolve().parent / "results" / "cache_layout.json"
# What HKD reads of a detector with three levels at 128 px: detections, predictions and maps.
FIELDS = (
    Field("detections/boxes", (100, 4), "uint16"),
    Field("detections/confidence", (100,), "uint16"),
    Field("class_logits", (336, 1)),
    Field("box_outputs", (336, 64)),
    Field("pyramid/P3", (16, 16, 32)),
    Field("pyramid/P4", (8, 8, 64)),
    Field("pyramid/P5", (4, 4, 128)),
)


@dataclasses.dataclass(frozen=True)
class Column:
    """One `.npy` file: what it holds of a row of two-byte numbers."""

    name: str
    shape: tuple
    dtype: str
    start: int
    stop: int

    def of(self, rows):
        """The part of packed rows `(n, row length)` that belongs to this file."""
        part = np.ascontiguousarray(rows[:, self.start : self.stop])
        return part.view(self.dtype).reshape(len(rows), *self.shape)


def columns_of(row_format):
    """The files that hold the fields of a row, each half field with its mean and scale apart."""
    columns, start = [], 0
    for field in row_format.fields:
        stop = start + field.length
        if field.dtype == HALF:
            columns.append(Column(f"{field.name}.mean_and_scale", (2,), "<f4", start, start + 4))
            columns.append(Column(f"{field.name}.halves", field.shape, "<f2", start + 4, stop))
        else:
            columns.append(Column(field.name, field.shape, "<u2", start, stop))
        start = stop
    return columns


class FieldFiles:
    """The rows of a cache in one `.npy` file per tensor, with checksums of chunks of rows.

    A killed build leaves files of the final size, so what is finished stands in a file beside them.
    """

    def __init__(self, folder, row_format, num_rows, chunk_rows):
        self.folder, self.num_rows, self.chunk_rows = folder, num_rows, chunk_rows
        self.count = -(-num_rows // chunk_rows)
        self.arrays = {}
        for column in columns_of(row_format):
            path = folder / f"{column.name.replace('/', '.')}.npy"
            shape = (num_rows, *column.shape)
            if not path.exists():
                np.lib.format.open_memmap(path, "w+", column.dtype, shape).flush()
            self.arrays[column] = np.load(path, mmap_mode="r+")
        self.sums = folder / "checksums.json"

    def rows_of(self, number):
        start = number * self.chunk_rows
        return slice(start, min(start + self.chunk_rows, self.num_rows))

    def write(self, number, rows):
        for column, array in self.arrays.items():
            array[self.rows_of(number)] = column.of(rows)
            array.flush()
        write_json(self.sums, {**self._written(), str(number): self._digest(number)})

    def missing(self):
        written = self._written()
        return [
            n
            for n in range(self.count)
            if str(n) not in written or written[str(n)] != self._digest(n)
        ]

    def gather(self, rows):
        arrays = list(self.arrays.values())
        return tf.numpy_function(
            lambda numbers: [array[numbers] for array in arrays],
            [rows],
            [array.dtype for array in arrays],
            stateful=False,
        )

    def _written(self):
        return json.loads(self.sums.read_text()) if self.sums.exists() else {}

    def _digest(self, number):
        digest = hashlib.sha256(str(number).encode())
        for array in self.arrays.values():
            digest.update(np.ascontiguousarray(array[self.rows_of(number)]))
        return digest.hexdigest()


def random_rows(row_format, num_rows):
    """Packed rows of normal numbers, and of whole numbers where fields are whole."""
    generator = np.random.default_rng(0)
    packed = []
    for _ in range(0, num_rows, 64):
        values = {}
        for field in row_format.fields:
            shape = (64, *field.shape)
            whole = field.dtype != HALF
            values[field.name] = (
                generator.integers(0, 65536, shape) if whole else generator.normal(-3, 2, shape)
            )
        packed.append(row_format.pack(values))
    return np.concatenate(packed)[:num_rows]


def seconds(action):
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def read_all(read, num_rows, batch_size):
    """Reads every row once, in an order of chance, as training does."""
    order = np.random.default_rng(1).permutation(num_rows)
    batches = tf.data.Dataset.from_tensor_slices(order).batch(batch_size, drop_remainder=True)
    # What is read must be touched: a mapped page is not read before that.
    touched = batches.map(read, num_parallel_calls=2).map(
        lambda *found: tf.add_n(
            [tf.reduce_sum(tf.cast(x, tf.float32)) for x in tf.nest.flatten(found)]
        )
    )
    return sum(1 for _ in touched.prefetch(2))


class BusyThread:
    """Runs Python in another thread, which the interpreter shares with whatever else does."""

    def __enter__(self):
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def __exit__(self, *error):
        self.stop.set()
        self.thread.join()

    def _work(self):
        while not self.stop.is_set():
            sum(range(1000))


class Round:
    """One build and reading of both stores, in folders of their own; what it takes is noted.

    Args:
        folder: an empty folder.
        row_format: the `RowFormat` of the rows.
        rows: packed rows.
        chunk_rows: rows of a shard, and between checksums of the `.npy` files.
    """

    def __init__(self, folder, row_format, rows, chunk_rows):
        self.rows, self.chunk_rows = rows, chunk_rows
        self.folders = {name: pathlib.Path(folder, name) for name in ("shards", "npy")}
        for one in self.folders.values():
            one.mkdir()
        shards = Shards(self.folders["shards"], "key", len(rows), row_format.row_bytes, chunk_rows)
        files = FieldFiles(self.folders["npy"], row_format, len(rows), chunk_rows)
        self.stores = {"shards": shards, "npy": files}
        self.reads = {
            "shards": functools.partial(stored_rows, row_format, shards),
            "npy": files.gather,
        }

    def measure(self, names, batch_size, note):
        """Measures the stores in the order of `names`; calls `note(what, name, seconds)`."""
        for name in names:
            half = range(self.stores[name].count // 2)
            note("write", name, seconds(functools.partial(self._write, name, half)))
        for name in names:
            note("resume", name, seconds(self.stores[name].missing))
            self._write(name, self.stores[name].missing())
        for name in names:
            note("check", name, seconds(self.stores[name].missing))
        for name in names:
            read = functools.partial(read_all, self.reads[name], len(self.rows), batch_size)
            read()  # traced and in the page cache
            note("read", name, seconds(read))
            with BusyThread():
                note("read beside Python", name, seconds(read))

    def bytes_on_disk(self):
        """Size of the files of each store."""
        return {
            name: sum(path.stat().st_size for path in one.iterdir())
            for name, one in self.folders.items()
        }

    def _write(self, name, numbers):
        for one in numbers:
            start = one * self.chunk_rows
            self.stores[name].write(one, self.rows[start : start + self.chunk_rows])


def ratios_of(measured):
    """Prints and gives quartiles of how many times as long the `.npy` files take."""
    ratios = {}
    for what, found in measured.items():
        values = np.divide(found["npy"], found["shards"])
        low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
        ratios[what] = {"median": median, "low": low, "high": high}
        print(f"{what:20} npy / shards {median:8.3f}   ({low:.3f} to {high:.3f})")
    return ratios


def main(num_rows, chunk_rows, batch_size, rounds, out):
    """Measures and writes the ratios and the sizes."""
    row_format = RowFormat(FIELDS)
    rows = random_rows(row_format, num_rows)
    measured, disk = {}, {}

    def note(what, name, taken):
        measured.setdefault(what, {}).setdefault(name, []).append(taken)

    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            one = Round(folder, row_format, rows, chunk_rows)
            names = sorted(one.stores, reverse=number % 2 == 0)  # neither is always the first
            one.measure(names, batch_size, note)
            disk = one.bytes_on_disk()
    ratios = ratios_of(measured)
    print(f"{'bytes':20} npy / shards {disk['npy'] / disk['shards']:8.3f}")
    write_json(
        out,
        {
            "command": f"python benchmarks/cache_layout.py  ({num_rows} rows of "
            f"{row_format.row_bytes} bytes, {chunk_rows} a shard, batch {batch_size}, {rounds} "
            "rounds)",
            "versions": versions(),
            "npy_over_shards": ratios,
            "bytes": disk,
        },
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num-rows", type=int, default=4096)
    parser.add_argument("--chunk-rows", type=int, default=512)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS)
    given = parser.parse_args()
    main(given.num_rows, given.chunk_rows, given.batch_size, given.rounds, given.out.absolute())
