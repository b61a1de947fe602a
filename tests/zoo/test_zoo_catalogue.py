import pytest

import keras_hkd
from keras_hkd.zoo import catalogue
from keras_hkd.zoo.catalogue import is_preset, preset_folder


def test_presets_are_the_folders(presets_of_little):
    assert keras_hkd.list_presets() == ["little"]
    assert preset_folder("little") == presets_of_little
    assert is_preset("little") and not is_preset("large")


def test_what_is_half_written_or_none_is_not_listed(preset, monkeypatch):
    preset.rename(preset.with_name(".little.partial-7"))
    (preset.parent / "notes").mkdir()
    (preset.parent / "readme.txt").write_text("")
    monkeypatch.setattr(catalogue, "PRESETS", preset.parent)
    assert keras_hkd.list_presets() == []
    monkeypatch.setattr(catalogue, "PRESETS", preset.parent / "nowhere")
    assert keras_hkd.list_presets() == []


def test_an_unknown_name_shows_the_nearest(presets_of_little):
    with pytest.raises(FileNotFoundError, match="'litle'. Did you mean 'little'.*Presets: little"):
        preset_folder("litle")


def test_a_folder_is_a_preset_and_a_name_goes_before_it(presets_of_little, preset, monkeypatch):
    assert preset_folder(preset) == preset
    monkeypatch.chdir(preset.parent)
    assert preset_folder("little") == presets_of_little
    assert preset_folder("./little").resolve() == preset
    with pytest.raises(FileNotFoundError):
        preset_folder(preset.parent)
