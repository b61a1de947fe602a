"""Says which committed figures are older than the code that they are figures of: `make figures`.

`figures.toml` names the files, the command that makes them and the code. A file is as old as the
commit that it names (`made_with.commit`), or as the commit that changed it last. Nothing is
measured.
"""

import json
import pathlib
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "benchmarks" / "figures.toml"


def main():
    """Prints a line for each figure, and what has changed since for those that are older."""
    if git("rev-parse", "--is-shallow-repository") != "false":
        sys.exit("The age of figures is read from git, and there is no whole repository here.")
    for name, entry in figures().items():
        files = [(TABLE.parent / file).resolve() for file in entry["files"]]
        there = [file for file in files if file.exists()]
        if not there:
            print(f"missing  {name}: {entry['command']} makes it")
            continue
        commit = commit_of(there)
        changes = git("log", "--format=%h %cs %s", f"{commit}..HEAD", "--", *entry["code"])
        changes = changes.splitlines()
        state = "older   " if changes else "current "
        print(f"{state} {name}: {commit[:9]}, {entry['command']}")
        for line in changes[:5]:
            print(f"             since then {line}")
        if len(changes) > 5:
            print(f"             and {len(changes) - 5} more commits")


def figures():
    """The table: name -> files, command, code."""
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))


def commit_of(files):
    """The commit at which figures were made."""
    for file in files:
        if file.suffix == ".json":
            made = json.loads(file.read_text(encoding="utf-8")).get("made_with", {}).get("commit")
            if made and git("cat-file", "-t", made.removesuffix("+")) == "commit":
                return made.removesuffix("+")
    return git("log", "-1", "--format=%H", "--", *map(str, files))


def made_with(**datasets):
    """What a figure keeps of its making: the commit, with a + where files had changed, and inputs.

    Args:
        **datasets: the data by name.
    """
    commit = git("rev-parse", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no")
    return {
        "commit": f"{commit}+" if commit and changed else commit or None,
        "inputs": {name: dataset.content_hash for name, dataset in datasets.items()},
    }


def git(*words):
    """What git says, or an empty text."""
    said = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return said.stdout.strip()


if __name__ == "__main__":
    main()
