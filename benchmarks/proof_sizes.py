"""Whom the smallest student of `make proof` finds better, and whom worse: `make proof-sizes`.

AP by the size of people, as COCO measures it (medium: from 32 x 32 to 96 x 96 pixels of the
photograph; large: above), of the students of an eighth, three seeds: alone, by the default, and by
it with shares measured anew every two epochs. Models that `make proof` left here are taken; others
are trained, five minutes each.
Figures: `results/proof_sizes.json`, one file a run in `results/proof_sizes/`.
"""

from figures import made_with
from proof import DATA, RESULTS, SEEDS, SIDE, cut, imported, words
from proof_runs import Runner, arguments
from tables import compare, table, write_table

from keras_hkd import metrics
from keras_hkd.json_files import write_json

TIMES = 8
WAYS = {
    "alone": None,
    "auto": {"method": "auto"},
    "rebalanced": {"method": "auto", "rebalance_after": "2,4,6"},
}
LABELS = {
    "alone": "student alone",
    "auto": "by the default",
    "rebalanced": "by the default, shares measured anew after 2, 4 and 6 epochs",
}
SHOWN = ("AP", "AP_medium", "AP_large")
# No run of the proof has seen any photograph of pennfudan.
LISTS = {
    name: f"{DATA / name}" for name in ("coco_person:test", "pennfudan:test", "pennfudan:train")
}


def main(runs, only=None):
    """Measures what is not measured yet; the table holds what is."""
    run = Runner(runs / "proof", RESULTS / "proof_sizes", only, measure=by_size)
    teacher = imported(runs / "proof")
    for way, how in WAYS.items():
        for seed in SEEDS:
            name = f"{way}_{TIMES}x_{seed}"
            if run.wants(name):
                run(name, words(teacher, cut(teacher, TIMES), how, seed), LISTS)
    write_results(run)


def by_size(file, source):
    """AP of a saved detector on one list, of all people, medium and large ones."""
    from keras_hkd.data import load_dataset
    from keras_hkd.detectors import load_detector
    from keras_hkd.evaluation import predict_dataset

    dataset = load_dataset(source)
    truth = metrics.as_ground_truth(dataset)
    found = predict_dataset(load_detector(file), dataset, (SIDE, SIDE))
    scores = metrics.coco_average_precision(truth, metrics.as_detections(found, truth))
    return {key: scores[key] for key in SHOWN}


def write_results(run):
    """Means, deviations and gains over three seeds; the page's table."""
    groups = {way: [f"{way}_{TIMES}x_{seed}" for seed in SEEDS] for way in WAYS}
    if found := compare(run.results(), groups, LISTS, SHOWN):
        facts = {"command": "make proof-sizes", "made_with": made_with(), "students": found}
        write_json(RESULTS / "proof_sizes.json", facts)
        write_table("results/proof.md", "sizes of people", table(found, LABELS))


if __name__ == "__main__":
    given = arguments(__doc__)
    main(given.runs, given.only)
