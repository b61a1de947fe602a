"""Whether pictures to measure on are among those to train on."""

from pathlib import Path

from keras_hkd.data.duplicate_images import SharedPicture, find_shared
from keras_hkd.doctor.case import Case
from keras_hkd.doctor.declared import check
from keras_hkd.doctor.finding import Finding, fault, note, ok, warning
from keras_hkd.report import save_contact_sheet

_MANY_NEAR = 0.01
_MOST_SHOWN = 8


@check(order=80, needs=("test",))
def leakage(case: Case) -> Finding:
    """Compare all pictures by their bytes and by hashes of their look."""
    shared = find_shared(case.dataset, case.test)
    identical = {one.second for one in shared if one.identical}
    near = {one.second for one in shared} - identical
    total = len(case.test)
    figures = {
        "num_test_images": total,
        "num_identical": len(identical),
        "num_near_duplicates": len(near),
        "files": [_name(case.test[index]) for index in sorted(identical | near)[:20]],
    }
    if not shared:
        return ok(f"None of {total} images to measure on is among those to train on.", **figures)
    text = (
        f"Of {total} images to measure on {len(identical)} are among those to train on as the same "
        f"file, and {len(near)} nearly so (stored anew, resized, or a frame of the same film)."
    )
    advice = "Take them out of the training images; `keras-hkd check TRAIN TEST` lists them all."
    pictures = _pictures(case, shared)
    if identical:
        return fault(text, advice, pictures, **figures)
    make = warning if len(near) >= _MANY_NEAR * total else note
    return make(text, advice, pictures, **figures)


def _name(annotation: object) -> str:
    return getattr(annotation, "file_name", "")


def _pictures(case: Case, shared: list[SharedPicture]) -> tuple[Path, ...]:
    path = case.picture("leakage.png")
    if path is None:
        return ()
    images, entries, captions = [], [], []
    for one in shared[:_MOST_SHOWN]:
        sides = (("train", case.dataset, one.first), ("test", case.test, one.second))
        for name, dataset, index in sides:
            images.append(dataset.load_image(index))
            entries.append({"boxes": dataset[index].boxes, "ignore": dataset[index].ignore})
            captions.append(f"{name}: {_name(dataset[index])}")
    return (save_contact_sheet(images, entries, captions, path),)
