"""Whether a stored teacher is this teacher, on these images."""

from keras_hkd.distillation.teachers import weights_hash
from keras_hkd.doctor.case import Case
from keras_hkd.doctor.declared import check
from keras_hkd.doctor.finding import Finding, fault, ok
from keras_hkd.training.batches import check_cache


@check(order=12, needs=("teacher_cache",))
def teacher_cache(case: Case) -> Finding:
    """Compare what the cache was made from with what training will show."""
    cache = case.teacher_cache
    check_cache(cache, case.dataset, case.settings)  # refuses other images, size or augmentation
    stored = f"{cache.num_images} images, {cache.num_bytes / 2**20:.0f} MiB"
    if case.teacher is None or not cache.teacher.levels:  # of detections any program may have made
        return ok(f"The teacher cache was built for these images ({stored}).")
    if weights_hash(case.teacher) != cache.teacher_hash:
        return fault(
            "The teacher cache was built by another teacher than the given one.",
            "Build it anew with `keras-hkd cache`, or give the teacher that it was built with.",
            cache=cache.teacher_hash,
        )
    return ok(f"The teacher cache was built by this teacher for these images ({stored}).")
