import numpy as np
import pytest

from keras_hkd.data import StoredViews, synthetic_dataset
from keras_hkd.data.batches.epoch_plan import EpochPlan


def plan(epoch, seed, views=None):
    order, draws = EpochPlan(range(6), 2, seed, views).epoch(np.int64(epoch))
    ranks = np.argsort(order.numpy())
    return order.numpy().tolist(), draws.numpy()[ranks]


def test_views_come_again_after_count_epochs_in_another_order():
    views = StoredViews(count=2, seed=5)
    (first, one), (second, two), (third, three) = (plan(e, 0, views) for e in range(3))
    np.testing.assert_array_equal(one, three)
    assert not np.allclose(one, two)
    assert first != third
    assert first == plan(0, 0)[0], "the order is that of a run without stored views"


def test_runs_of_other_seeds_share_the_views():
    views = StoredViews(count=2, seed=5)
    np.testing.assert_array_equal(plan(1, 0, views)[1], plan(1, 9, views)[1])
    np.testing.assert_array_equal(plan(0, 5)[1], plan(0, 1, views)[1])


def test_stored_views_are_the_images_that_training_shows():
    from keras_hkd.data import Augmentation, stored_view_batches, training_batches

    images, views = synthetic_dataset(4, image_size=(40, 48), seed=1), StoredViews(2, seed=3)
    given = {"image_size": (32, 32), "augmentation": Augmentation()}
    rows = next(iter(stored_view_batches(images, range(4, 8), batch_size=4, views=views, **given)))
    # A run whose own seed is that of the views, without stored views, shows them in its epoch 1.
    run = training_batches(images, batch_size=4, seed=3, first_epoch=1, **given)
    shown, _ = next(iter(run))
    order = EpochPlan(images, 4, 3).epoch(np.int64(1))[0].numpy()
    np.testing.assert_allclose(shown.numpy(), rows.numpy()[order], atol=1e-3)


@pytest.mark.parametrize("values", [{"count": 0}, {"count": 1.5}, {"count": 1, "seed": -1}])
def test_numbers_out_of_range_are_refused(values):
    with pytest.raises(ValueError, match="whole number"):
        StoredViews(**values)
