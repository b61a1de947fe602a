import pytest

from keras_hkd.metrics.protocols import get_protocol, protocol_names
from keras_hkd.metrics.subsets import Subset


@pytest.mark.parametrize("name", protocol_names())
def test_every_protocol(name):
    protocol = get_protocol(name)
    assert protocol.name == name
    assert get_protocol(protocol) is protocol
    assert len(protocol.references) == 9
    assert protocol.references[0] == pytest.approx(0.01)
    assert protocol.references[-1] == pytest.approx(1.0)
    names = [subset.name for subset in protocol.subsets]
    assert "all" in names
    assert len(set(names)) == len(names)


def test_pinned_subset_names():
    names = {name: [s.name for s in get_protocol(name).subsets] for name in protocol_names()}
    assert names["citypersons"] == ["reasonable", "reasonable_small", "heavy_occlusion", "all"]
    assert names["kaist"] == ["all", "day", "night"]


def test_caltech_is_marked_as_unverified():
    verified = {name: get_protocol(name).verified for name in protocol_names()}
    assert verified == {"citypersons": True, "kaist": True, "caltech": False}


def test_subsets_pass_through():
    subset = Subset("mine")
    assert get_protocol("kaist").subset(subset) is subset


def test_unknown():
    with pytest.raises(ValueError, match="Did you mean 'caltech'"):
        get_protocol("caltec")
    with pytest.raises(ValueError, match="Did you mean 'night'"):
        get_protocol("kaist").subset("nigth")
