"""The record checks, and what each mode does with a bad record."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_hkd.data.formats import bad_records
from keras_hkd.data.formats.bad_records import BadRecords, RecordProblem, Unique

ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=5),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    st.sampled_from([10**400, "9" * 5000, b"x"]),
)


@pytest.mark.parametrize("check", ["number", "integer", "flag", "words", "identifier", "mapping"])
@given(value=ANYTHING)
def test_checks_take_a_value_or_raise_a_record_problem(check, value):
    try:
        result = getattr(bad_records, check)(value, "it")
    except RecordProblem as problem:
        assert "it must be" in str(problem) and len(str(problem)) < 250
        return
    if check == "number":
        assert isinstance(result, float) and math.isfinite(result)
    if check == "integer":
        assert isinstance(result, int) and result >= 0 and not isinstance(value, bool)


def test_unique_says_where_the_first_was():
    seen = Unique("image id")
    seen.add(7, "images[0]")
    seen.add("7", "images[1]")
    with pytest.raises(
        RecordProblem, match=r"image id .* Received: 7 again \(first in images\[0\]\)"
    ):
        seen.add(7, "images[2]")


def test_an_equal_record_is_no_second_one():
    seen = Unique("category id")
    assert seen.add(7, "categories[0]", "person")
    assert not seen.add(7, "categories[1]", "person")
    with pytest.raises(RecordProblem, match="must be used once"):
        seen.add(7, "categories[2]", "car")


@pytest.mark.parametrize(
    "value, expected",
    [(0, False), (1.0, True), ("0", False), ("1", True), (True, True), ("False", False)],
)
def test_flags_come_as_numbers_and_as_text(value, expected):
    assert bad_records.flag(value, "it") is expected


def test_numbers_come_as_text():
    assert bad_records.number(" 12.5", "it") == 12.5
    assert bad_records.integer("30", "it") == 30
    assert bad_records.identifier(3.0, "it") == 3


def test_mode_must_be_known():
    with pytest.raises(ValueError, match="one of .*'raise', 'skip'.* Received: 'ignore'"):
        BadRecords("ignore")
