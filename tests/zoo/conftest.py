"""What the tests of the zoo share."""

from fixtures.presets import little_preset, preset, presets_of_little  # noqa: F401
