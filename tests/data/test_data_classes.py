"""Names of classes: which categories of a file are the class that is wanted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_hkd.data.classes import (
    UnknownClassError,
    WantedClass,
    canonical,
    resolve_classes,
    wanted_classes,
)

PERSON = wanted_classes("person")


@pytest.mark.parametrize(
    "name", ["person", "Pedestrian", " PERSON ", "people", "Humans", "persons", "PEDESTRIANS"]
)
def test_all_words_for_people_are_one_class(name):
    assert canonical(name) == "person"


@pytest.mark.parametrize("name", ["car", "person rider", "personal", "peopleless", "ignore"])
def test_other_words_are_not(name):
    assert canonical(name) != "person"


@pytest.mark.parametrize(
    "given_names, expected",
    [
        ("person", [("person", ("person",))]),
        ("pedestrian", [("pedestrian", ("person",))]),
        ("Walker,rider", [("Walker", ("walker", "rider"))]),
        ("people,rider", [("person", ("person", "rider"))]),
        ("person=walker,2", [("person", ("walker", "2"))]),
        (["person", "car"], [("person", ("person",)), ("car", ("car",))]),
        ({"person": ["a", "b"], "car": "c"}, [("person", ("a", "b")), ("car", ("c",))]),
    ],
)
def test_what_is_asked_for(given_names, expected):
    assert wanted_classes(given_names) == tuple(WantedClass(*one) for one in expected)


@pytest.mark.parametrize(
    "names", [(), "", ["person", "pedestrian"], "a,,b", ["a", "x=a"], ["x=a", "x=b"], {"a": []}]
)
def test_what_cannot_be_asked_for(names):
    if names == {"a": []}:
        assert wanted_classes(names)[0].accepted == ()
        return
    with pytest.raises(ValueError, match="`class_names` must be"):
        wanted_classes(names)


CASES = [
    # categories, boxes of each, asked, index, keys
    ({1: "person"}, {1: 4}, "person", {1: 0}, ((1,),)),
    ({0: "person", 1: "person"}, {1: 4}, "person", {1: 0, 0: 0}, ((1, 0),)),
    (
        {1: "People", 2: "car", 5: "pedestrian"},
        {1: 1, 2: 9, 5: 3},
        "person",
        {5: 0, 1: 0},
        ((5, 1),),
    ),
    ({1: "walker", 2: "car"}, {}, "person=walker", {1: 0}, ((1,),)),
    ({1: "walker", 2: "car"}, {}, "2", {2: 0}, ((2,),)),
    ({1: "2", 2: "car"}, {}, "2", {1: 0}, ((1,),)),  # a name goes before an id
    ({"person": "person"}, {"person": 1}, "human", {"person": 0}, (("person",),)),
]


@pytest.mark.parametrize("categories, num_boxes, asked, index, keys", CASES)
def test_categories_of_the_wanted_class(categories, num_boxes, asked, index, keys):
    found = resolve_classes(categories, num_boxes, wanted_classes(asked))
    assert found.index == index and found.keys == keys


def test_every_class_those_of_one_name_together():
    found = resolve_classes({1: "Person", 2: "car", 3: "person"}, {3: 1}, None)
    assert found.names == ("Person", "car") and found.keys == ((3, 1), (2,))


def test_an_unknown_class_names_those_there_are_and_the_option():
    with pytest.raises(UnknownClassError, match=r"--class NAME .*only car \(7 boxes\), bus"):
        resolve_classes({1: "bus", 2: "car"}, {2: 7}, PERSON)
    with pytest.raises(UnknownClassError, match="Did you mean 'pedestrain'"):
        resolve_classes({1: "pedestrain"}, {}, wanted_classes("pedestrian walking"))


names = st.text(min_size=1, max_size=6).filter(lambda text: text.strip())


@given(
    st.dictionaries(st.integers(0, 9), names, max_size=5),
    st.dictionaries(st.integers(0, 9), st.integers(1, 9)),
)
def test_a_category_is_of_one_class_at_most(categories, num_boxes):
    everything = resolve_classes(categories, num_boxes, None)
    assert sorted(key for keys in everything.keys for key in keys) == sorted(categories)
    try:
        found = resolve_classes(categories, num_boxes, PERSON)
    except UnknownClassError:
        assert categories and not any(canonical(name) == "person" for name in categories.values())
        return
    people = {key for key, name in categories.items() if canonical(name) == "person"}
    assert set(found.index) == people
