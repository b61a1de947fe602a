import threading
import time

import pytest

from keras_hkd.inference.pipelined import pipelined


def test_results_come_in_order_whatever_stage_is_slow():
    def slow(number):
        time.sleep(0.002 * (number % 3))
        return 2 * number

    assert list(pipelined(range(30), slow, str)) == [str(2 * n) for n in range(30)]
    assert list(pipelined([])) == [] and list(pipelined("ab")) == ["a", "b"]


def test_stages_work_at_the_same_time():
    """Each stage waits for the other to be at work on another item."""
    meeting = threading.Barrier(2, timeout=20)

    def first(number):
        if number > 0:
            meeting.wait()
        return number

    def second(number):
        if number < 4:
            meeting.wait()
        return number

    assert list(pipelined(range(5), first, second)) == [0, 1, 2, 3, 4]


def test_little_waits_between_stages_however_long_the_input():
    taken = []

    def endless():
        number = 0
        while True:
            taken.append(number)
            yield number
            number += 1

    results = pipelined(endless(), lambda n: n, depth=2)
    assert [next(results) for _ in range(10)] == list(range(10))
    time.sleep(0.2)
    assert len(taken) <= 10 + 2 * (2 + 1) + 1  # two queues, and one item in each thread's hand
    results.close()
    before = len(taken)
    time.sleep(0.1)
    assert len(taken) == before


@pytest.mark.parametrize("where", ["reading", "first", "last"])
def test_an_error_comes_after_what_went_before_and_ends_all_threads(where):
    def fails(place):
        def stage(number):
            if place == where and number == 3:
                raise KeyError("three")
            return number

        return stage

    threads = threading.active_count()
    results = pipelined(map(fails("reading"), range(9)), fails("first"), fails("last"))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError, match="three"):
        next(results)
    assert threading.active_count() == threads
