import numpy as np
import pytest

from keras_hkd.teacher_cache.features import FeatureStore, principal_components

MAPS = np.random.default_rng(0).normal(size=(2, 5, 3, 4)).astype("float32")


def test_whole_maps_pass_through():
    store = FeatureStore()
    assert store.stored_shape((5, 3, 4)) == (5, 3, 4)
    there = store.restore(store.compress(MAPS, None), None, (5, 3, 4))
    np.testing.assert_array_equal(there, MAPS)


def test_pooled_maps_hold_the_means_of_their_blocks():
    store = FeatureStore(pooling=2)
    pooled = np.asarray(store.compress(MAPS, None))
    assert pooled.shape[1:] == store.stored_shape((5, 3, 4)) == (3, 2, 4)
    np.testing.assert_allclose(pooled[:, 0, 0], MAPS[:, :2, :2].mean(axis=(1, 2)), atol=1e-6)
    np.testing.assert_allclose(pooled[:, 2, 1], MAPS[:, 4, 2], atol=1e-6)  # the rest of the map
    there = np.asarray(store.restore(pooled, None, (5, 3, 4)))
    assert there.shape == MAPS.shape
    np.testing.assert_array_equal(there[:, 1, 1], pooled[:, 0, 0])


def test_projected_maps_keep_what_lies_in_few_directions():
    flat = MAPS[..., :2] @ np.random.default_rng(1).normal(size=(2, 4)) + 3.0
    store = FeatureStore(channels=2)
    basis = principal_components(flat, 2)
    there = store.restore(store.compress(flat, basis), basis, flat.shape[1:])
    np.testing.assert_allclose(there, flat, atol=1e-5)
    assert not store.projects(2)


def test_numbers_below_one_are_refused():
    with pytest.raises(ValueError, match="feature_pooling"):
        FeatureStore(pooling=0)
    with pytest.raises(ValueError, match="feature_channels"):
        FeatureStore(channels=0)
