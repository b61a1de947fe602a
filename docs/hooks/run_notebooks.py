"""Runs notebooks and keeps what their cells show, for the site.

    python docs/hooks/run_notebooks.py [--folder FOLDER] notebooks/2_distil_your_own.py ...

`make notebooks` runs all of them, in about half an hour. What is printed and drawn is written to
`notebooks/shown`, with a digest of the code: of a notebook whose code has changed since, the site
shows no results.
"""

import argparse
import ast
import contextlib
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import sys
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOTEBOOKS, SHOWN = ROOT / "notebooks", ROOT / "notebooks" / "shown"
_DPI, _WIDEST = 80, 1000  # of figures, in pixels


def cells_of(code: str) -> list[tuple[bool, str]]:
    r"""Split a notebook in the percent format into `(is it code, text)`.

    Example:
        >>> cells_of("# ---\n# %% [markdown]\n# # Title\n\n# %%\nx = 1\n")
        [(False, '# # Title\n\n'), (True, 'x = 1\n')]
    """
    cells = []
    for cell in re.split(r"^# %%", code, flags=re.MULTILINE)[1:]:
        kind, _, text = cell.partition("\n")
        cells.append((kind.strip() != "[markdown]", text))
    return cells


def digest(code: str) -> str:
    """Compute a digest of the cells with code: words between them may change."""
    texts = [text.strip() for is_code, text in cells_of(code) if is_code]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


def shown_by(path: pathlib.Path) -> dict[int, dict[str, Any]]:
    """Give what the cells of a notebook showed, by their number; nothing if its code has changed.

    Args:
        path: the notebook.

    Returns:
        dict of the number of a cell, from 0, to `{"text": str, "figures": [name, ...]}`; figures
        lie in `SHOWN`.
    """
    kept = SHOWN / f"{path.stem}.json"
    if not kept.is_file():
        return {}
    found = json.loads(kept.read_text(encoding="utf-8"))
    if found["code"] != digest(path.read_text(encoding="utf-8")):
        return {}
    return {int(number): cell for number, cell in found["cells"].items()}


def run(path: pathlib.Path, folder: pathlib.Path) -> None:
    """Run a notebook in a folder and keep what it shows.

    Args:
        path: the notebook.
        folder: where it writes its own files; a training that it has finished there is taken up.
    """
    import matplotlib

    matplotlib.use("Agg")
    code = path.read_text(encoding="utf-8")
    before, variables = pathlib.Path.cwd(), {"__name__": "notebook"}
    shown: dict[int, tuple[str, list[Any]]] = {}
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    try:
        for number, (is_code, text) in enumerate(cells_of(code)):
            if is_code:
                shown[number] = _run_cell(text, f"{path.name}, cell {number}", variables)
    finally:
        os.chdir(before)
    _keep(path, digest(code), shown)


def _run_cell(text: str, name: str, variables: dict[str, Any]) -> tuple[str, list[Any]]:
    """Run a cell; returns what it printed and drew, as a notebook would show it."""
    import matplotlib.figure
    import matplotlib.pyplot as plt

    tree, last = ast.parse(text, name), None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, name, "exec"), variables)
        value = None if last is None else eval(compile(last, name, "eval"), variables)
    figures = [plt.figure(number) for number in plt.get_fignums()]
    if isinstance(value, matplotlib.figure.Figure) and value not in figures:
        figures.append(value)
    drawn = [_picture(figure) for figure in figures]
    plt.close("all")
    return printed.getvalue(), drawn


def _picture(figure: Any) -> Any:
    from PIL import Image

    content = io.BytesIO()
    figure.savefig(content, dpi=_DPI, bbox_inches="tight", facecolor="white")
    picture = Image.open(content).convert("RGB")
    picture.thumbnail((_WIDEST, 10 * _WIDEST))
    return picture


def _keep(path: pathlib.Path, code: str, shown: dict[int, tuple[str, list[Any]]]) -> None:
    SHOWN.mkdir(exist_ok=True)
    for old in SHOWN.glob(f"{path.stem}_*.webp"):
        old.unlink()
    cells = {}
    for number, (text, pictures) in shown.items():
        names = [f"{path.stem}_{number}_{n}.webp" for n in range(len(pictures))]
        for name, picture in zip(names, pictures, strict=True):
            picture.save(SHOWN / name, quality=80, method=6)
        if text or names:
            cells[str(number)] = {"text": text, "figures": names}
    found = {"code": code, "cells": cells}
    (SHOWN / f"{path.stem}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Run the notebooks that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("notebooks", nargs="*", type=pathlib.Path, help="all by default")
    parser.add_argument("--folder", type=pathlib.Path, help="where they run; kept then")
    given = parser.parse_args()
    paths = given.notebooks or sorted(NOTEBOOKS.glob("*.py"))
    folder = given.folder or ROOT / "build" / "notebooks"
    for path in paths:
        print(path.name, flush=True)
        run(path.resolve(), folder.resolve())
    if given.folder is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
