import json
import math

import pytest
from fixtures.presets import FACTS, MEASURED

from keras_hkd.checked_folder import check_folder
from keras_hkd.zoo import read_card, write_card
from keras_hkd.zoo.cards import headline, size_text


def test_a_card_is_read_as_it_was_written(little_preset):
    assert {"card.json", "card.md", "int8.tflite"} <= check_folder(little_preset)
    assert read_card(little_preset) == {"facts": FACTS, "measured": MEASURED}


def test_the_text_has_every_fact_and_figure(little_preset):
    text = (little_preset / "card.md").read_text()
    assert text.startswith("# little\n")
    for words in (
        *("A detector for tests.", "Tests. Not photographs.", "Apache-2.0", "random weights"),
        *("drawn scenes", "Nothing was done.", "Seeds: 0.", "it has learnt nothing", "a CPU"),
        *("1,000 parameters", "1,200", "`int8.tflite` 1,300 bytes", "0.125 at 64x96", "50 rounds"),
        "| drawn | 8 | 64x96 | int8 | 0.438 | 0.750 | 0.250 | – | 0.500 | 0.625 | 0.900 |",
        "| int8 | 64x96 | 2 | 1.00 | 4.00 |",
    ):
        assert words in text


def test_the_figures_of_a_table():
    card = {"facts": FACTS, "measured": MEASURED}
    assert headline(card) == {
        "parameters": 1000,
        "image_size": [64, 96],
        "int8_bytes": 1300,
        "photographs": "drawn",
        "AP": 0.5,
        "AP_int8": 0.4375,
        "AP50": 0.75,
        "MR2": 0.9,
        "latency_ms": 2.0,
    }
    others = [{**row, "image_size": "96x96", "AP": 0.9} for row in MEASURED["scores"]]
    more = {**MEASURED, "scores": [*others, *MEASURED["scores"]]}
    assert headline({**card, "measured": more})["AP"] == 0.5
    assert headline(None) == {}
    assert "AP" not in headline({**card, "measured": {**MEASURED, "scores": []}})
    assert size_text((64, 96)) == "64x96"


@pytest.mark.parametrize("name", FACTS)
def test_a_missing_fact_is_named(preset, name):
    facts = {key: value for key, value in FACTS.items() if key != name}
    with pytest.raises(ValueError, match=f"must also have: {name} "):
        write_card(preset, facts, MEASURED)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"licences": "MIT"}, "Did you mean 'licence'"),
        ({"seeds": 0}, "`seeds` must be a list"),
        ({"recipe": []}, "`recipe` must be a list"),
        ({"photographs": [{"name": "mine"}]}, "`photographs` must be a list of"),
        ({"start": ["RTMDet"]}, "`start` must be a list of"),
    ],
)
def test_facts_of_another_form_are_refused_and_the_preset_stays(preset, change, message):
    before = (preset / "card.json").read_bytes()
    with pytest.raises(ValueError, match=message):
        write_card(preset, {**FACTS, **change}, MEASURED)
    assert (preset / "card.json").read_bytes() == before
    check_folder(preset)


def test_what_was_not_measured_is_refused(preset):
    measured = {key: value for key, value in MEASURED.items() if key != "latency"}
    with pytest.raises(ValueError, match="must also have: latency"):
        write_card(preset, FACTS, measured)
    with pytest.raises(ValueError, match="JSON"):
        write_card(preset, FACTS, {**MEASURED, "parameters": math.nan})


def test_a_new_card_takes_the_place_of_the_old(preset):
    write_card(preset, {**FACTS, "summary": "Another."}, MEASURED)
    assert json.loads((preset / "card.json").read_text())["facts"]["summary"] == "Another."
    assert "Another." in (preset / "card.md").read_text()
    check_folder(preset)


def test_a_preset_without_card(preset):
    from keras_hkd.checked_folder import replacing_folder

    with replacing_folder(preset, keep=True) as partial:
        (partial / "card.json").unlink()
    assert read_card(preset) is None


def test_no_card_for_what_is_no_preset(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_card(tmp_path, FACTS, MEASURED)
