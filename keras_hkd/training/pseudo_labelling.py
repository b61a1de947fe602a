"""Labels images with a teacher, once, and keeps the labels in a file."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_hkd.data.annotations import BadDataError, ImageAnnotation
from keras_hkd.data.batches.semi_supervised import SemiSupervisedDataset
from keras_hkd.data.dataset import Dataset
from keras_hkd.data.pseudo_labels import boxes_per_image, matching_threshold, pseudo_labelled
from keras_hkd.distillation.teachers import weights_hash
from keras_hkd.errors import InvalidValueError
from keras_hkd.evaluation.prediction import predict_dataset
from keras_hkd.inference.prediction import input_size
from keras_hkd.json_files import plain, read_json, write_json
from keras_hkd.parts import Parts, Shard
from keras_hkd.progress import image_progress
from keras_hkd.training.identity import require_same


def semi_supervised(
    teacher: Any,
    labelled: Dataset,
    unlabelled: Dataset,
    file: str | Path,
    *,
    score_threshold: float | None = None,
    image_size: tuple[int, int] | None = None,
    batch_size: int = 16,
) -> SemiSupervisedDataset:
    """Make the training set of SAD: labelled images, and unlabelled ones with pseudo-labels.

    The teacher runs over the unlabelled images once. Its labels are written to `file`, all or
    nothing, as COCO annotations with their scores; a run that resumes reads them from there. Until
    then what it found stands in parts beside `file`: a pass that was killed goes on behind them,
    and several processes can share it, see `label_shard`.

    Args:
        teacher: a trained detector, or anything that `predict_dataset` takes.
        labelled: labelled images.
        unlabelled: images to be labelled; boxes that they have are not looked at. Those in which
            the teacher finds nobody are left out.
        file: where the pseudo-labels stand, or are to be written.
        score_threshold: detections from this score on are labels; None for the score that gives as
            many boxes per image as the labelled images have.
        image_size: `(height, width)` in pixels that the teacher sees; its own if None.
        batch_size: images that the teacher sees at a time.

    Returns:
        What `train_model` takes in place of a `Dataset`.

    Raises:
        ValueError: the teacher finds nobody, or `score_threshold` is not in [0, 1].
        DifferentRunError: `file` holds the labels of another teacher, of other images, or by
            another threshold.
        FileExistsError: the folder for the parts holds other files.
        BadDataError: `file` is no such file, or an image cannot be read.

    Reference:
        Tang et al., BMVC 2019, https://arxiv.org/abs/1901.00366; the threshold is that of
        Radosavovic et al., Data Distillation, CVPR 2018, https://arxiv.org/abs/1712.04440.
    """
    if score_threshold is not None and not 0 <= score_threshold <= 1:
        raise InvalidValueError(
            f"`score_threshold` must be None or in [0, 1]. Received: {score_threshold!r}"
        )
    labelling = _Labelling(teacher, unlabelled, file, image_size, batch_size)
    facts = plain(
        {
            **labelling.facts,
            "given_score_threshold": score_threshold,
            "boxes_per_labelled_image": (
                boxes_per_image(labelled) if score_threshold is None else None
            ),
        }
    )
    file = Path(file)
    if file.exists():
        recorded, results = _read(file)
        require_same(recorded["asked"], facts, file)
    else:
        results = labelling.results()
        if not results:  # `_threshold` says so; whatever mends it, the parts are of no use
            labelling.parts.remove()
        _write(file, facts, unlabelled, results, _threshold(facts, unlabelled, results))
        labelling.parts.remove()
        recorded, results = _read(file)
    pseudo = pseudo_labelled(unlabelled, results, recorded["score_threshold"])
    return SemiSupervisedDataset(labelled, pseudo)


def label_shard(
    teacher: Any,
    unlabelled: Dataset,
    file: str | Path,
    shard: Shard,
    *,
    image_size: tuple[int, int] | None = None,
    batch_size: int = 16,
) -> int:
    """Let the teacher look at one share of the unlabelled images, for `semi_supervised`.

    Args:
        teacher: as of `semi_supervised`, and all others.
        unlabelled: all images to be labelled.
        file: where the pseudo-labels are to be written. If it is there, nothing is done.
        shard: which share, such as `keras_hkd.parts.Shard(2, 8)`.
        image_size: `(height, width)` in pixels that the teacher sees; its own if None.
        batch_size: images that the teacher sees at a time.

    Returns:
        How many images the teacher looked at now; those that were done are skipped.

    Raises:
        DifferentPassError: beside `file` stand parts of another teacher or of other images.
        FileExistsError: the folder for the parts holds other files.
        BadDataError: an image cannot be read.
    """
    if Path(file).exists():
        return 0
    return _Labelling(teacher, unlabelled, file, image_size, batch_size).run(shard)


class _Labelling:
    """The pass of a teacher over unlabelled images, in parts."""

    def __init__(
        self,
        teacher: Any,
        unlabelled: Dataset,
        file: str | Path,
        image_size: tuple[int, int] | None,
        batch_size: int,
    ) -> None:
        self.teacher, self.unlabelled = teacher, unlabelled
        self.image_size, self.batch_size = image_size, batch_size
        self.facts = {
            "teacher_hash": weights_hash(teacher),
            "unlabelled_hash": unlabelled.content_hash,
            "class_names": unlabelled.class_names,
            "image_size": input_size(teacher, image_size),
        }
        self.parts = Parts(
            Path(file).with_suffix(".parts"), self.facts, len(unlabelled), batch_size
        )

    def run(self, shard: Shard | None = None) -> int:
        """Compute the parts that are missing; give the number of their images."""
        self.parts.begin()
        missing = self.parts.missing(shard)
        total = sum(len(self.parts.items(number)) for number in missing)
        with image_progress("Labelling", total) as advance:
            for number in missing:
                items = self.parts.items(number)
                results = predict_dataset(
                    self.teacher,
                    self.unlabelled.select(items),
                    self.image_size,
                    self.batch_size,
                    progress=False,
                )
                self.parts.write(number, {"results": results})
                advance(len(items))
        return total

    def results(self) -> list[dict]:
        """Give what the teacher finds in all images."""
        self.run()
        return [one for part in self.parts.read_all() for one in part["results"]]


def pseudo_label_facts(file: str | Path) -> dict[str, object]:
    """Read the score threshold of a file of pseudo-labels and the numbers of its images and boxes.

    Args:
        file: that `semi_supervised` wrote.

    Returns:
        dict of `score_threshold`, `num_images` (with a box), `num_images_without_box` and
        `num_boxes`.

    Raises:
        BadDataError: it is no such file.
    """
    recorded, _ = _read(Path(file))
    return {name: value for name, value in recorded.items() if name != "asked"}


def _threshold(
    facts: Mapping[str, Any], unlabelled: Dataset, results: Sequence[Mapping[str, Any]]
) -> float:
    given = facts["given_score_threshold"]
    if not any(given is None or result["score"] >= given for result in results):
        raise InvalidValueError(
            f"The teacher finds nobody in {len(unlabelled)} images"
            f"{'' if given is None else f' with a score of at least {given}'}: no pseudo-label. "
            "Is it trained? Lower the threshold, or give other images."
        )
    if given is not None:
        return given
    scores = [result["score"] for result in results]
    return matching_threshold(scores, len(unlabelled), facts["boxes_per_labelled_image"])


def _write(
    file: Path,
    facts: Mapping[str, Any],
    unlabelled: Dataset,
    results: Sequence[Mapping[str, Any]],
    threshold: float,
) -> None:
    kept = [result for result in results if result["score"] >= threshold]
    with_box = {result["image_id"] for result in kept}
    images = [image for image in unlabelled if image.image_id in with_box]
    info = {
        "description": "Pseudo-labels: what a teacher found, not what a person saw.",
        "score_threshold": threshold,
        "num_images": len(images),
        "num_images_without_box": len(unlabelled) - len(images),
        "num_boxes": len(kept),
        "asked": facts,
    }
    content = {
        "info": info,
        "images": [
            {"id": image.image_id, "file_name": name, "width": image.width, "height": image.height}
            for image, name in zip(images, _file_names(images), strict=True)
        ],
        "categories": [
            {"id": ids[0], "name": name}
            for ids, name in zip(unlabelled.category_ids, facts["class_names"], strict=True)
        ],
        "annotations": [
            {"id": number, **result, "area": result["bbox"][2] * result["bbox"][3], "iscrowd": 0}
            for number, result in enumerate(kept, start=1)
        ],
    }
    write_json(file, content)


def _file_names(images: Sequence[ImageAnnotation]) -> list[str]:
    """Name the images relative to the folder that holds them all."""
    paths = [image.image_path for image in images]
    if not all(paths):
        return [f"{image.image_id}" for image in images]
    folder = os.path.commonpath([os.path.dirname(path) for path in paths])
    return [Path(os.path.relpath(path, folder)).as_posix() for path in paths]


def _read(file: Path) -> tuple[dict, list[dict]]:
    try:
        content = read_json(file)
        keys = ("image_id", "category_id", "bbox", "score")
        results = [{key: row[key] for key in keys} for row in content["annotations"]]
        info = {key: value for key, value in content["info"].items() if key != "description"}
        info["asked"], info["score_threshold"] = dict(info["asked"]), float(info["score_threshold"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        problem = (
            "expected pseudo-labels as keras_hkd writes them: delete the file to have the images "
            f"labelled anew. Received: {type(error).__name__}: {error}"
        )
        raise BadDataError(file, "the whole file", problem) from error
    return info, results
