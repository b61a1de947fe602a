import itertools

import keras
import numpy as np
import pytest

from keras_hkd.compression import gradient_worth, prune_channels, prune_gradually
from keras_hkd.compression.channel_groups import ChannelGroups
from keras_hkd.compression.channel_pruning import group_costs, least_groups_of_all
from keras_hkd.data import synthetic_dataset, training_batches
from keras_hkd.detectors.rtmdet import RTMDet, RTMDetConfig


@pytest.fixture
def detector():
    keras.utils.set_random_seed(3)
    config = RTMDetConfig(width=0.125, pyramid_channels=32, num_classes=1)
    return RTMDet(config, image_size=(64, 64))


@pytest.fixture
def batches():
    dataset = synthetic_dataset(num_images=4, image_size=(64, 64), seed=0)
    return training_batches(dataset, image_size=(64, 64), batch_size=2, seed=0, max_boxes=8)


def norm_of_maker(groups, number):
    """The BatchNorm behind a layer that makes a group, and which of its channels that is."""
    for call in groups.makers():
        places = np.flatnonzero(groups.made_by(call.operation) == number)
        following = groups.graph.only_consumer(call.outputs[0])
        if len(places) and isinstance(following.operation, keras.layers.BatchNormalization):
            yield following.operation, int(places[0])


@pytest.mark.long
def test_worth_is_the_slope_of_the_loss_along_a_channels_scale_and_shift(detector, batches):
    images, labels = next(iter(batches))
    worth = gradient_worth(detector, [(images, labels)], num_batches=1)
    groups = ChannelGroups(detector.network)

    def loss():
        return float(detector.compute_loss(images, labels, detector(images, training=False)))

    checked = 0
    for number in np.argsort(-worth)[:200]:
        norms = list(norm_of_maker(groups, number))
        if number in groups.fixed or len(norms) != 1:
            continue
        norm, channel = norms[0]
        slopes = 0.0
        for variable in (norm.gamma, norm.beta):
            value = keras.ops.convert_to_numpy(variable).copy()
            sides = []
            for change in (1e-2, -1e-2):
                moved = value.copy()
                moved[channel] += change
                variable.assign(moved)
                sides.append(loss())
            variable.assign(value)
            slopes += value[channel] * (sides[0] - sides[1]) / 2e-2
        assert worth[number] == pytest.approx(slopes**2, rel=0.2, abs=1e-9)
        checked += 1
        if checked == 3:
            break
    assert checked == 3


def test_a_gate_is_removed_with_the_channels_that_it_scales(detector):
    groups = ChannelGroups(detector.network)
    calls = {call.operation.name: call for call in groups.graph.calls}
    gated = groups.of(calls["stage2_weighted"].outputs[0])
    assert not set(gated.tolist()) & groups.fixed
    assert gated.tolist() == groups.of(calls["stage2_attention"].outputs[0]).tolist()


def test_channels_worth_nothing_go_first_and_leave_the_outputs_as_they_were(detector):
    groups = ChannelGroups(detector.network)
    norm = detector.network.get_layer("stage4_spp1_norm")
    gamma, beta = (keras.ops.convert_to_numpy(v).copy() for v in (norm.gamma, norm.beta))
    gamma[:8], beta[:8] = 0.0, 0.0
    norm.gamma.assign(gamma)
    norm.beta.assign(beta)
    worth = np.ones(groups.count)
    maker = next(c for c in groups.makers() if c.operation.name == "stage4_spp1_conv")
    worth[groups.made_by(maker.operation)[:8]] = 0.0
    removed = least_groups_of_all(groups, 0.002, 4, 8, worth)
    assert removed and removed <= set(groups.made_by(maker.operation)[:8].tolist())
    smaller = prune_channels(
        detector, 0.002, worth=worth, across_layers=True, multiple_of=4, min_channels=8
    )
    assert type(smaller) is RTMDet
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    ours, theirs = smaller(images), detector(images)
    for name in ("class_logits", "box_outputs"):
        np.testing.assert_allclose(ours[name], theirs[name], atol=2e-4)


def test_costs_count_the_weights_that_go(detector):
    groups = ChannelGroups(detector.network)
    costs = group_costs(groups)
    removed = least_groups_of_all(groups, 0.1, 4, 8, np.arange(groups.count, dtype=float))
    smaller = prune_channels(
        detector,
        0.1,
        worth=np.arange(groups.count, dtype=float),
        across_layers=True,
        multiple_of=4,
        min_channels=8,
    )
    freed = detector.count_params() - smaller.count_params()
    # Each weight between two removed channels is counted twice; BatchNorm's are not counted.
    assert 0.6 * sum(costs[one] for one in removed) < freed < 1.4 * sum(costs[n] for n in removed)


def test_worth_of_another_model_is_refused(detector):
    with pytest.raises(ValueError, match="number for each of the"):
        prune_channels(detector, 0.1, worth=np.ones(3))


@pytest.mark.long
def test_rounds_end_at_the_target_and_hand_over_each_smaller_model(detector, batches):
    seen = []
    smaller = prune_gradually(
        detector,
        0.7 * detector.count_params(),
        batches=batches,
        recover=lambda student, number: seen.append((number, student.count_params())),
        amount=0.1,
        num_batches=1,
    )
    counts = [count for _, count in seen]
    assert [number for number, _ in seen] == list(range(1, len(seen) + 1))
    assert all(later < earlier for earlier, later in itertools.pairwise(counts))
    assert counts[-1] == smaller.count_params() <= 0.7 * detector.count_params() < counts[-2]


@pytest.mark.long
def test_a_target_that_cannot_be_reached_is_refused(detector, batches):
    with pytest.raises(ValueError, match="No more channels can be removed"):
        prune_gradually(
            detector,
            10,
            batches=batches,
            recover=lambda student, number: None,
            amount=0.5,
            num_batches=1,
            min_channels=200,
        )
