"""Adds the pages that are made while the site is built: packages, commands, the root's files.

None of them is kept under `docs`, so they cannot lag behind the code: packages, their public names
and the commands are asked of the package itself, docstrings are read by mkdocstrings.
"""

import importlib
import inspect
import pathlib
import pkgutil
import re
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import keras_hkd

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from run_notebooks import SHOWN, cells_of, shown_by

LEFT_OUT = {"keras_hkd.cli"}  # the command line has pages of its own
ROOT = pathlib.Path(__file__).resolve().parents[2]
ROOT_PAGES = ("CHANGELOG", "CONTRIBUTING", "SECURITY")
DEMO, DEMO_MARK = ROOT / "build" / "demo", "<!-- the demo -->"
OPTIONS = "    options:\n      heading: {0}\n      toc_label: {0}\n"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Append the generated pages to the navigation."""
    from keras_hkd.cli.main import COMMANDS

    packages = [{name: f"reference/{name}.md"} for name in package_names()]
    commands = [{f"keras-hkd {name}": f"commands/{name}.md"} for name in COMMANDS]
    notebooks = [path for path in notebook_pages() if path != "notebooks/index.md"]
    config.nav += [
        {"Notebooks": ["notebooks/index.md", *notebooks]},
        {"Commands": ["commands/index.md", *commands]},
        {"Reference": ["reference/index.md", *packages]},
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to the files of the site, and the browser demo where it is built."""
    pages = {**root_pages(), **notebook_pages(), **command_pages(), **reference_pages()}
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    for path in sorted(SHOWN.glob("*.webp")):
        uri = f"notebooks/shown/{path.name}"
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    for path in demo_files():
        uri = f"demo/app/{path.relative_to(DEMO).as_posix()}"
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def demo_files() -> list[pathlib.Path]:
    """Files of the browser demo, if `make web` has built it."""
    if not (DEMO / "models.json").is_file():
        return []
    return sorted(path for path in DEMO.rglob("*") if path.is_file())


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Write into the page of the browser demo where it is: here, or how to build it."""
    if DEMO_MARK not in markdown:
        return markdown
    text = (
        "[Open the demo](demo/app/index.html){ .md-button .md-button--primary }"
        if demo_files()
        else "This copy of the documentation was built without the demo: `make web` builds it, and "
        "`make docs` then carries it."
    )
    return markdown.replace(DEMO_MARK, text)


def root_pages() -> dict[str, str]:
    """Path of a page -> its text, for the files of the root folder; links lead within the site."""
    pages = {}
    for name in ROOT_PAGES:
        text = (ROOT / f"{name}.md").read_text(encoding="utf-8").replace("](docs/", "](")
        for other in ROOT_PAGES:
            text = text.replace(f"]({other}.md)", f"]({other.lower()}.md)")
        pages[f"{name.lower()}.md"] = text
    return pages


def notebook_pages() -> dict[str, str]:
    """Path of a page -> its text, for every notebook, and the page that lists them."""
    pages, rows = {}, []
    for path in sorted((ROOT / "notebooks").glob("*.py")):
        page = notebook_page(path.read_text(encoding="utf-8"), shown_by(path))
        pages[f"notebooks/{path.stem}.md"] = page
        rows.append(f"- [{page.splitlines()[0].lstrip('# ')}]({path.stem}.md)")
    lines = [
        "# Notebooks",
        "",
        "They lie in `notebooks/` as text, in jupytext's percent format. Editors that know it open",
        "them as notebooks, `python notebooks/1_find_people.py` runs one as a program, and",
        "`pip install jupytext && jupytext --to ipynb notebooks/*.py` writes `.ipynb` files. What",
        "cells show here comes from one run, by `make notebooks`; another differs a little.",
        "",
        *rows,
        "",
    ]
    return {"notebooks/index.md": "\n".join(lines), **pages}


def notebook_page(code: str, shown: Mapping[int, Mapping[str, Any]] | None = None) -> str:
    r"""Write a notebook in the percent format as Markdown, each cell with what it showed.

    Args:
        code: text of the notebook.
        shown: what its cells showed, as `run_notebooks.shown_by` gives it.

    Example:
        >>> print(notebook_page("# ---\\n# %% [markdown]\\n# # Title\\n\\n# %%\\nx = 1\\n"))
        # Title
        <BLANKLINE>
        ```python
        x = 1
        ```
        <BLANKLINE>
    """
    parts = []
    for number, (is_code, text) in enumerate(cells_of(code)):
        if not is_code:
            parts.append(re.sub(r"^# ?", "", text, flags=re.MULTILINE).strip())
            continue
        parts.append(f"```python\n{text.strip()}\n```")
        cell = (shown or {}).get(number, {"text": "", "figures": []})
        if cell["text"].strip():
            parts.append(f"```text\n{cell['text'].rstrip()}\n```")
        parts += [f"![What the cell above draws](shown/{name})" for name in cell["figures"]]
    return "\n\n".join(parts) + "\n"


def package_names() -> list[str]:
    """Names of the packages that list public names, the top one first."""
    found = pkgutil.walk_packages(keras_hkd.__path__, "keras_hkd.")
    names = [module.name for module in found if module.ispkg and module.name not in LEFT_OUT]
    return ["keras_hkd", *(n for n in names if getattr(importlib.import_module(n), "__all__", []))]


def reference_pages() -> dict[str, str]:
    """Path of a page -> its text, for every package, and the page that lists them."""
    packages = [importlib.import_module(name) for name in package_names()]
    owners = page_owners(packages)
    pages = {f"reference/{p.__name__}.md": package_page(p, owners) for p in packages}
    rows = [f"| [`{p.__name__}`]({p.__name__}.md) | {summary(p)} |" for p in packages]
    pages["reference/index.md"] = "\n".join(
        ["# Reference", "", "Written from the docstrings of the package.", ""]
        + ["| package | what it holds |", "|:--|:--|", *rows, ""]
    )
    return pages


def page_owners(packages: list[ModuleType]) -> dict[str, str]:
    """Dotted path of what is offered -> the package whose page shows it in full.

    Of several that offer it, the outermost one around its module, else the first; the top package,
    which points to the others, where it alone does.
    """
    offers: dict[str, list[str]] = {}
    for package in packages:
        for name in package.__all__:
            home = identifier(getattr(package, name), name, package.__name__)
            offers.setdefault(home, []).append(package.__name__)
    return {
        home: min(
            names[1:] if names[0] == "keras_hkd" and len(names) > 1 else names,
            key=lambda name: (not home.startswith(f"{name}."), len(name)),
        )
        for home, names in offers.items()
        if home is not None
    }


def package_page(package: ModuleType, owners: dict[str, str]) -> str:
    """Text of one package's page: its public names in a table, then in full what it owns."""
    rows, sections = [], []
    for name in package.__all__:
        value = getattr(package, name)
        home = identifier(value, name, package.__name__)
        if inspect.ismodule(value) and hasattr(value, "__path__"):
            rows.append(f"| [`{name}`]({value.__name__}.md) | {summary(value)} |")
        elif home is None:
            rows.append(f"| `{name}` | of `{value.__module__.split('.')[0]}` |")
        else:
            rows.append(f"| [`{name}`][{home}] | {summary(value)} |")
            if owners.get(home) == package.__name__:
                anchor = f"[](){{#{package.__name__}.{name}}}"
                sections.append(f"{anchor}\n\n::: {home}\n{OPTIONS.format(name)}")
    head = [f"# {package.__name__}", "", inspect.getdoc(package) or "", ""]
    return "\n".join([*head, "| name | what it does |", "|:--|:--|", *rows, "", *sections])


def identifier(value: object, name: str, package: str) -> str | None:
    """Dotted path of what defines a value, or None where another library does.

    Constants do not know where they were defined: the module of the package that holds the very
    object is found.
    """
    if inspect.ismodule(value):
        return value.__name__
    if inspect.isclass(value) or inspect.isroutine(value):
        path = f"{value.__module__}.{value.__qualname__}"
        return path if path.startswith("keras_hkd.") else None
    inside = (module for module in list(sys.modules) if module.startswith(f"{package}."))
    home = next(module for module in inside if vars(sys.modules[module]).get(name) is value)
    return f"{home}.{name}"


def summary(value: object) -> str:
    """Give the first paragraph of a docstring on one line of a table."""
    if not (inspect.ismodule(value) or inspect.isclass(value) or inspect.isroutine(value)):
        return ""
    first = (inspect.getdoc(value) or "").split("\n\n")[0]
    return " ".join(first.split()).replace("|", "\\|")


def command_pages() -> dict[str, str]:
    """Path of a page -> its text, for every command, and the page that lists them."""
    from typer.cli import get_docs_for_click

    from keras_hkd.cli.main import COMMANDS, EPILOG, load_command

    pages = {}
    for name in COMMANDS:
        command = load_command(name)
        context = command.make_context(name, [], resilient_parsing=True)
        title = f"keras-hkd {name}"
        pages[f"commands/{name}.md"] = get_docs_for_click(
            obj=command, ctx=context, name=title, title=title
        )
    rows = [f"| [`keras-hkd {name}`]({name}.md) | {line} |" for name, line in COMMANDS.items()]
    pages["commands/index.md"] = "\n".join(
        ["# Commands", "", "What `--help` shows, written from the program itself.", ""]
        + ["| command | what it does |", "|:--|:--|", *rows, "", EPILOG, ""]
    )
    return pages
