"""Where an example writes: a folder of its own, emptied when it is run again."""

import shutil
import sys


def emptied(folder):
    """Removes what an earlier run of an example left; ends the program at any other folder.

    Args:
        folder: path that the example is to write to.
    """
    if folder.exists() and any(folder.iterdir()):
        if not any(folder.glob("*/run.json")):
            sys.exit(
                f"{folder} holds something that no example wrote, and it would be removed. "
                "Choose another folder with --out."
            )
        shutil.rmtree(folder)
