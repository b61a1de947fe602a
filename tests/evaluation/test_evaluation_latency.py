import numpy as np
import pytest

from keras_hkd.evaluation import latency
from keras_hkd.evaluation.latency import Latencies, measure_latencies, measure_latency_ms


class Clock:
    """Time that passes only where a call says so."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now

    def takes(self, *milliseconds):
        left = list(milliseconds)

        def call():
            self.now += left.pop(0) / 1000

        return call


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(latency, "time", clock)
    return clock


def test_calls_take_turns_and_neither_warm_up_nor_first_calls_are_counted(clock):
    calls = {
        "a": clock.takes(900, 900, 9, 1, 9, 2, 9, 3),
        "b": clock.takes(900, 900, 9, 4, 9, 4, 9, 6),
    }
    measured = measure_latencies(calls, rounds=3, warm_up=1, progress=False)
    np.testing.assert_allclose(measured.times_ms["a"], [1, 2, 3])
    np.testing.assert_allclose(measured.times_ms["b"], [4, 4, 6])
    assert measured.median_ms("a") == pytest.approx(2)
    assert measured.p90_ms("a") == pytest.approx(2.8)


def test_speed_up_is_taken_round_by_round():
    """The machine gets ten times slower on the way; the ratio stays what it is."""
    slow = np.array([2.0, 2.0, 20.0, 20.0])
    measured = Latencies({"slow": slow, "fast": slow / 2})
    assert measured.speed_up("fast", "slow") == 2.0
    assert measured.speed_up("slow", "fast") == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [({"rounds": 0}, "`rounds`.*Received: 0"), ({"warm_up": -1}, "`warm_up`.*Received: -1")],
)
def test_rounds_must_make_sense(options, message):
    with pytest.raises(ValueError, match=message):
        measure_latencies({"a": print}, **options)


def test_something_must_be_called():
    with pytest.raises(ValueError, match="at least one call to time"):
        measure_latencies({})


def test_models_predict_in_turn_after_the_warm_up():
    class Model:
        image_size = (8, 8)

        def __init__(self, calls):
            self.calls = calls

        def predict_on_batch(self, images):
            self.calls.append((self, images.shape))

    calls = []
    one, other = Model(calls), Model(calls)
    found = measure_latency_ms({"one": one, "other": other}, repeats=5, warm_up=2)
    assert list(found) == ["one", "other"]
    assert all(0 <= latency_ms < 1000 for latency_ms in found.values())
    turn = [(model, (1, 8, 8, 3)) for model in (one, one, other, other)]  # untimed, timed
    assert calls == turn * 7
    with pytest.raises(ValueError, match="repeats"):
        measure_latency_ms({"one": one}, repeats=0)
