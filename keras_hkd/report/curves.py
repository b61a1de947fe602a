"""Draws learning curves of one or several runs as a PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keras_hkd.errors import InvalidValueError

_ASIDE = ("learning_rate", "seconds")
_SHARE = "_gradient_share"
_LINES = ("-", "--", ":", "-.")


def save_curves(
    histories: Mapping[str, Mapping[str, Sequence[float | None]]],
    path: str | Path,
    title: str = "",
) -> Path:
    """Draw losses, validation figures and learning rate over the epochs.

    One panel per kind of figure, one line style per run, one colour per figure. Losses are on a
    logarithmic axis where they are positive, since terms differ by orders of magnitude.

    Args:
        histories: name of a run -> its history: dict of lists with one entry per epoch, None where
            an epoch has no such figure. Names that start with `val_` are validation figures.
        path: the PNG to write; its folder is made if need be.
        title: text above the panels.

    Returns:
        The path.

    Raises:
        ValueError: if there is nothing to draw.

    Example:

    >>> import tempfile
    >>> history = {"loss": [3.0, 2.0], "val_AP": [None, 0.1], "learning_rate": [1e-3, 1e-4]}
    >>> save_curves({"student": history}, Path(tempfile.mkdtemp()) / "curves.png").name
    'curves.png'
    """
    panels = _panels(histories)
    if not panels:
        raise InvalidValueError(
            "Expected at least one history with figures, as {'student': {'loss': [3.0, 2.0]}}. "
            f"Received: histories={dict(histories)}"
        )
    figure = Figure(figsize=(5.2 * len(panels), 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title)
    for place, (heading, names) in enumerate(panels.items(), start=1):
        _draw(figure.add_subplot(1, len(panels), place), heading, names, histories)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    return path


def _panels(histories: Mapping[str, Mapping[str, Sequence[float | None]]]) -> dict[str, list[str]]:
    """Group the figures by panel; panels without figures are left out."""
    present = {}
    for history in histories.values():
        present.update({name: None for name, row in history.items() if _has_points(row)})
    shares = [name for name in present if name.endswith(_SHARE)]
    others = (*shares, *_ASIDE)
    losses = [name for name in present if not name.startswith("val_") and name not in others]
    measured = [name for name in present if name.startswith("val_")]
    rate = [name for name in present if name == "learning_rate"]
    panels = {"training loss": losses, "validation": measured}
    panels |= {"share of the gradient": shares, "learning rate": rate}
    return {heading: names for heading, names in panels.items() if names}


def _has_points(row: Sequence[float | None]) -> bool:
    return any(value is not None for value in row)


def _draw(
    axes: Any,
    heading: str,
    names: Sequence[str],
    histories: Mapping[str, Mapping[str, Sequence[float | None]]],
) -> None:
    values = []
    for number, (run, history) in enumerate(histories.items()):
        for colour, name in enumerate(names):
            points = [(e, v) for e, v in enumerate(history.get(name, ()), 1) if v is not None]
            if points:
                axes.plot(
                    *zip(*points, strict=True),
                    color=f"C{colour}",
                    linestyle=_LINES[number % len(_LINES)],
                    marker="." if len(points) < 30 else None,
                    label=_label(run, name, len(histories), len(names)),
                )
                values += [value for _, value in points]
    if heading == "training loss" and min(values) > 0:
        axes.set_yscale("log")
    axes.set_title(heading)
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    # Below the panel, where it hides no line.
    axes.legend(fontsize="small", ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.15))


def _label(run: str, name: str, num_runs: int, num_names: int) -> str:
    name = name.removeprefix("val_").removesuffix(_SHARE).replace("_", " ")
    if num_runs == 1:
        return name
    return run if num_names == 1 else f"{run}: {name}"
