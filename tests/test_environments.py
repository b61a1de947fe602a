"""Where an environment of a test's own cannot be built, the test is skipped and says why."""

import sys
import types

import pytest
from fixtures.environments import kept

PYTHON = sys.executable


@pytest.fixture
def in_a_cache(tmp_path):
    """Something like pytest's request, with an empty cache."""

    def mkdir(name):
        (tmp_path / name).mkdir(exist_ok=True)
        return tmp_path / name

    cache = types.SimpleNamespace(mkdir=mkdir)
    return types.SimpleNamespace(config=types.SimpleNamespace(cache=cache))


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (
            [PYTHON, "-c", "import sys; sys.exit('no such package')"],
            "ended with 1.*no such package",
        ),
        ([PYTHON, "-c", "print('apt install it'); raise SystemExit(3)"], "with 3.*apt install it"),
        (["/no/such/pip", "install"], "`pip install` cannot be run: No such file"),
    ],
    ids=["stderr", "stdout", "no program"],
)
def test_what_fails_is_said_and_built_again_next_time(in_a_cache, command, reason):
    tries = []

    def commands(folder):
        tries.append(folder)
        yield command

    for _ in range(2):
        with pytest.raises(pytest.skip.Exception, match=f"no_library is not .* built: .*{reason}"):
            kept(in_a_cache, "no_library", "recipe", commands)
    assert len(tries) == 2
    assert not (tries[0] / "built.txt").exists()


def test_what_is_built_is_kept_until_the_recipe_changes(in_a_cache):
    built = []

    def commands(folder):
        built.append(folder)
        yield [PYTHON, "-c", "pass"]

    for one in ("recipe", "recipe", "another"):
        kept(in_a_cache, "a_library", one, commands)
    assert len(built) == 2
