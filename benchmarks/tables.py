"""Tables of the pages under docs/: written by the command that measures, never by hand."""

from proof_runs import ROOT, summary

from keras_hkd.atomic_write import write_text

COLUMNS = {
    "AP": "AP",
    "AP50": "AP50",
    "AP_medium": "AP, medium",
    "AP_large": "AP, large",
    "MR2": "MR-2",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
}


def compare(results, groups, tests, shown):
    """Means and deviations over seeds, and gains over the first group, seed by seed.

    Args:
        results: name of a run -> its result file.
        groups: name of a group -> names of its runs, seed by seed; the first is compared with.
        tests: names of test sets.
        shown: names of figures.

    Returns:
        Group -> test set -> `{"scores": figure -> mean, std and runs, "gains": figure -> list}`;
        without groups that lack a run.
    """
    first = next(iter(groups.values()))
    finished = {
        name: runs for name, runs in groups.items() if set(runs) | set(first) <= set(results)
    }
    return {
        name: {test: _compare_runs(results, runs, first, test, shown) for test in tests}
        for name, runs in finished.items()
    }


def _compare_runs(results, runs, first, test, shown):
    of, against = ([results[run]["test"][test] for run in names] for names in (runs, first))
    pairs = list(zip(of, against, strict=True))
    scores = {key: value for key, value in summary(of).items() if key in shown}
    return {"scores": scores, "gains": {key: [a[key] - b[key] for a, b in pairs] for key in scores}}


def table(compared, labels, teacher=None):
    """Lines of a Markdown table, a block of rows for each test set.

    Args:
        compared: what `compare` found.
        labels: name of a group -> what its row is called; others are left out.
        teacher: test set -> figures of the teacher, for a row of its own; or None.
    """
    first, *_ = compared.values()
    shown = list(next(iter(first.values()))["scores"])
    lines = [
        "| test list | | " + " | ".join(COLUMNS[key] for key in shown) + f" | gain in {shown[0]} |",
        "|:--|:--|" + "--:|" * len(shown) + ":--|",
    ]
    for test in first:
        rows = [] if teacher is None else [["teacher", *_figures(teacher[test], shown), ""]]
        for name in [name for name in labels if name in compared]:
            found = compared[name][test]
            gains = "" if found is first[test] else _gains(found["gains"][shown[0]])
            rows.append([labels[name], *_figures(found["scores"], shown), gains])
        for number, cells in enumerate(rows):
            lines.append("| " + " | ".join(["" if number else test, *cells]) + " |")
    return lines


def _figures(scores, shown):
    return [figure(scores[key]) if key in scores else "" for key in shown]


def figure(value):
    """Say a number, or a mean and its deviation."""
    if not isinstance(value, dict):
        return f"{value:.3f}"
    if value["std"] is None:
        return f"{value['mean']:.3f}"
    return f"{value['mean']:.3f} ± {value['std']:.3f}"


def _gains(values):
    return ", ".join(f"{value:+.3f}" for value in values)


def write_table(page, name, lines):
    """Puts a table where a page of docs/ has its markers.

    The markers are `<!-- table: NAME -->` and `<!-- end of table -->`, each on a line of its own.

    Raises:
        ValueError: if the page has no such markers.
    """
    path = ROOT / "docs" / page
    text = path.read_text(encoding="utf-8")
    begin, end = f"<!-- table: {name} -->\n", "<!-- end of table -->"
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise ValueError(
            f"Expected the lines {begin.strip()} and {end} in {path}. Received: a page without "
            "them. Write them where the table belongs."
        )
    write_text(
        path, before + begin + "\n" + "".join(f"{line}\n" for line in lines) + "\n" + end + after
    )
