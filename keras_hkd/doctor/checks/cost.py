"""How long the training will take, what of it is the teacher, and whether memory will do."""

from typing import Any

import numpy as np
from keras import ops

from keras_hkd.data import steps_per_epoch
from keras_hkd.data.batches.free_memory import available_memory_bytes
from keras_hkd.data.batches.image_cache import decoded_bytes
from keras_hkd.data.batches.pipeline import CACHE_OVERSIZE
from keras_hkd.distillation.gradient_norms import norms_of
from keras_hkd.doctor.case import Case
from keras_hkd.doctor.declared import check
from keras_hkd.doctor.finding import Finding, note, ok, warning
from keras_hkd.evaluation import latency
from keras_hkd.evaluation.peak_memory import peak_bytes
from keras_hkd.hierarchies.shared_view import resize_view
from keras_hkd.tensors import Tensor, TensorDict

_WORTH_A_CACHE = 0.2


@check(order=90, cheap=True)
def memory(case: Case) -> Finding:
    """Compare what the decoded images take with the memory that is free."""
    if case.settings.cache in ("none", "disk"):
        return ok("Decoded images are not kept in memory.")
    height, width = (int(CACHE_OVERSIZE * side) for side in case.image_size)
    needed = 2 * decoded_bytes(case.dataset, (height, width))  # TensorFlow copies them
    free = available_memory_bytes()
    figures = {"decoded_images_bytes": needed, "free_bytes": free}
    text = f"Loading the decoded images takes {needed / 2**30:.2g} GiB of memory"
    if free is None:
        return note(f"{text}; the system does not say how much is free.", **figures)
    text += f", of {free / 2**30:.2g} GiB that are free."
    if needed <= free:
        return ok(text, **figures)
    if case.settings.cache == "auto":
        return ok(f"{text} They will be kept on disk, or decoded in each epoch.", **figures)
    return warning(
        text, "Keep them elsewhere (--cache auto, disk or none), or take a smaller size.", **figures
    )


@check(order=95, needs=("teacher",))
def time_per_step(case: Case) -> Finding:
    """Time a step as training runs it, without the optimizer's own work, and the teacher alone."""
    distiller, (images, labels) = case.distiller, case.batches[0]

    def whole(terms: TensorDict) -> list[Tensor]:
        weighted = zip(distiller.term_weights(), terms.values(), strict=True)
        return [sum(weight * value for weight, value in weighted)]

    step = norms_of(distiller, whole, training=True, compiled=True)
    shown = _for_teacher(case, images)
    calls = {
        "step": lambda: step(images, labels),
        "teacher": lambda: case.teacher.network.predict_on_batch(shown),
    }
    times = latency.measure_latencies(calls, rounds=3, warm_up=1, progress=False)
    batch_size = case.settings.batch_size
    scale = batch_size / len(images) / 1000
    seconds, of_teacher = (scale * times.median_ms(name) for name in ("step", "teacher"))
    share = min(1.0, of_teacher / seconds)
    num_steps = case.settings.epochs * steps_per_epoch(case.dataset, batch_size)
    figures = {
        "seconds_per_step": seconds,
        "share_of_teacher": share,
        "num_steps": num_steps,
        "hours": num_steps * seconds / 3600,
        "hours_with_cache": num_steps * seconds * (1 - share) / 3600,
        "peak_memory_bytes": peak_bytes(),
    }
    text = (
        f"A step of {batch_size} images takes about {seconds:.2g} s, of which {share:.0%} is the "
        f"teacher; {case.settings.epochs} epochs ({num_steps} steps) take about "
        f"{_duration(num_steps * seconds)}. Peak memory so far {peak_bytes() / 2**30:.1f} GiB."
    )
    if share < _WORTH_A_CACHE or case.teacher_cache is not None:
        return note(text, **figures)
    saved = _duration(num_steps * seconds * share)
    return note(
        text,
        f"A teacher cache (keras-hkd cache) would save up to {saved} of that, less one pass of "
        "the teacher over each stored view of the images.",
        **figures,
    )


def _for_teacher(case: Case, images: np.ndarray) -> Any:
    size = case.distiller.teacher_image_size
    tensor = ops.convert_to_tensor(images)
    if size is not None and np.ndim(size) == 1:
        tensor = resize_view(tensor, tuple(size))
    return ops.convert_to_numpy(case.teacher.rescaled(tensor))


def _duration(seconds: float) -> str:
    """Tell a time for people.

    Example:

    >>> _duration(59), _duration(600), _duration(9000)
    ('59 s', '10 min', '2.5 h')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
