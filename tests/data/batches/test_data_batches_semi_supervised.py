"""Two sets of images as one training set."""

import pytest

from keras_hkd.data.batches.pipeline import steps_per_epoch
from keras_hkd.data.batches.semi_supervised import SemiSupervisedDataset
from keras_hkd.data.dataset import Dataset
from keras_hkd.data.drawn.scenes import synthetic_dataset


def test_both_sets_are_there_and_both_decide_the_hash():
    first, second, third = (synthetic_dataset(3, (64, 64), seed=seed) for seed in (1, 2, 3))
    dataset = SemiSupervisedDataset(first, second)
    assert len(dataset.images) == 6
    assert dataset.class_names == ("person",)
    assert first.source in dataset.source
    hashes = {
        one.content_hash
        for one in (
            dataset,
            SemiSupervisedDataset(second, first),
            SemiSupervisedDataset(first, third),
            dataset.images,
        )
    }
    assert len(hashes) == 4
    assert dataset.content_hash == SemiSupervisedDataset(first, second).content_hash


def test_empty_sets_and_too_large_batches_are_refused():
    scenes = synthetic_dataset(3, (64, 64), seed=1)
    empty = Dataset((), ("person",), "", "")
    with pytest.raises(ValueError, match="`pseudo_labelled` must hold at least one image"):
        SemiSupervisedDataset(scenes, empty)
    with pytest.raises(ValueError, match="the dataset holds 3 images"):
        steps_per_epoch(SemiSupervisedDataset(scenes, synthetic_dataset(9, (64, 64), 2)), 4)
