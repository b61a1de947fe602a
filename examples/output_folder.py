"""Where an example writes: a folder of its own, emptied when it is run again."""

import shutil
import sys

MARK = ".written_by_an_example"


def emptied(folder):
    """Remove what an earlier run of an example left; end the program at any other folder.

    An example marks its folder, so that no other is ever taken for one.

    Args:
        folder: path that the example is to write to.
    """
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).exists():
            sys.exit(
                f"{folder} holds something that no example wrote, and it would be removed. "
                "Choose another folder with --out."
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
