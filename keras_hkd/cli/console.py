"""The two streams of every command: results on standard output, messages on the error stream.

Both leave `:train:` in a path alone, which rich would turn into a picture.

With `--json`, standard output holds one JSON object and nothing else, for other programs to read.
"""

from collections.abc import Mapping

import rich.console

from keras_hkd.json_files import as_json
from keras_hkd.progress import error_console


def messages() -> rich.console.Console:
    """Give the console of progress, warnings and errors: the error stream, as it is at this moment.

    Example:

    >>> messages().stderr
    True
    """
    return error_console()


def figures() -> rich.console.Console:
    """Give the console of results for people (tables): standard output, as it is at this moment.

    Example:

    >>> figures().stderr
    False
    """
    return rich.console.Console(emoji=False)


def remark(text: str) -> None:
    """Tell the user something that is no error, on the error stream; of several workers one does.

    Args:
        text: what is said, shown as it is.
    """
    from keras_hkd.training.workers import current_workers

    if not current_workers().is_first:
        return
    messages().print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)


def print_json(values: Mapping[str, object]) -> None:
    """Write results for programs: one JSON object on standard output.

    Numbers that are not finite become null, since JSON has no word for them. NumPy scalars and
    arrays become numbers and lists.

    Args:
        values: names to numbers, texts, lists or further mappings.

    Example:

    >>> print_json({"AP": 0.25, "MR2": float("nan")})
    {
      "AP": 0.25,
      "MR2": null
    }
    """
    print(as_json(values), flush=True)
