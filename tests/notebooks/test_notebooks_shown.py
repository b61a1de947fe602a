"""What notebooks showed is kept and stands in their pages, until their code changes."""

import importlib.util
import json
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOTEBOOK = """# ---
# %% [markdown]
# # 9. A notebook
#
# Words.

# %% tags=["parameters"]
NUMBER = 2

# %%
print("twice", 2 * NUMBER)
import matplotlib.pyplot as plt

_, axes = plt.subplots()
axes.plot([1, 2])

# %%
from matplotlib.figure import Figure

Figure()
"""


def hook(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "hooks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def notebooks(tmp_path, monkeypatch):
    """The module `run_notebooks`, which keeps what is shown in an empty folder."""
    module = hook("run_notebooks")
    monkeypatch.setattr(module, "SHOWN", tmp_path / "shown")
    return module


def test_what_cells_print_and_draw_is_kept_until_the_code_changes(notebooks, tmp_path):
    path = tmp_path / "9_mine.py"
    path.write_text(NOTEBOOK)
    assert notebooks.shown_by(path) == {}
    notebooks.run(path, tmp_path / "work")
    shown = notebooks.shown_by(path)
    assert shown == {
        2: {"text": "twice 4\n", "figures": ["9_mine_2_0.webp"]},
        3: {"text": "", "figures": ["9_mine_3_0.webp"]},
    }
    assert all((tmp_path / "shown" / one["figures"][0]).stat().st_size for one in shown.values())
    path.write_text(NOTEBOOK.replace("Words", "Other words"))
    assert notebooks.shown_by(path) == shown
    path.write_text(NOTEBOOK.replace("NUMBER = 2", "NUMBER = 3"))
    assert notebooks.shown_by(path) == {}


def test_the_page_shows_it_below_the_cell():
    page = hook("pages").notebook_page(
        NOTEBOOK, {2: {"text": "twice 4\n", "figures": ["mine.webp"]}}
    )
    head, _, rest = page.partition("NUMBER = 2\n```\n")
    assert head.startswith("# 9. A notebook\n\nWords.")
    below = "axes.plot([1, 2])\n```\n\n```text\ntwice 4\n```\n\n![What the cell above draws]("
    assert below + "shown/mine.webp)\n\n```python\nfrom matplotlib" in rest


def test_what_is_kept_is_of_a_notebook_and_there():
    shown = hook("run_notebooks").SHOWN
    files = {file.name for file in shown.iterdir()}
    named = set()
    for file in shown.glob("*.json"):
        assert (shown.parent / f"{file.stem}.py").is_file()
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"].values()
        named |= {file.name, *(name for cell in cells for name in cell["figures"])}
    assert files == named
