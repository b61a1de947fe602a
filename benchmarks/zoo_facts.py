"""What the card of a preset says about it that no measurement finds: made from its recipe.

python benchmarks/zoo_facts.py person_femto > facts.json
"""

from __future__ import annotations

import argparse
import json
import pathlib

RECIPES = pathlib.Path(__file__).resolve().parent / "recipes"

START = {
    "name": "RTMDet-nano, one class (person), 0.99 M parameters",
    "origin": "mmpose, `rtmdet_nano_8xb32-100e_coco-obj365-person`, as ONNX",
    "licence": "Apache-2.0 (code and checkpoints of mmpose)",
    "trained_on": "persons of COCO train2017 and of Objects365, whose photographs have terms of "
    "their own",
}
PHOTOGRAPHS = {
    "coco_person": {
        "name": "coco_person: photographs of COCO val2017, its training list",
        "number": 519,
        "licence": "CC BY 2.0, CC BY-SA 2.0 or no known copyright restrictions, photo by photo; "
        "annotations CC BY 4.0",
    },
    "coco_person_nc": {
        "name": "coco_person_nc: photographs of COCO val2017",
        "number": 609,
        "licence": "CC BY-NC 2.0 or CC BY-NC-SA 2.0; annotations CC BY 4.0",
    },
    "coco_person_extra": {
        "name": "coco_person_extra: photographs of COCO train2017 (92) and val2017 (248)",
        "number": 340,
        "licence": "CC BY 2.0, CC BY-SA 2.0, no known copyright restrictions (train2017), CC BY-NC "
        "2.0 or CC BY-NC-SA 2.0 (val2017); annotations CC BY 4.0",
    },
}
LIMITS = [
    "People lower than about 20 pixels in the image that the detector sees are mostly missed: look "
    "at a crowd from far away.",
    "People who hide each other by half or more: of a dense queue some are missing.",
    "People seen from straight above, and people lying down, were rare in training.",
    "Not measured, and to be expected of such a detector: statues, mannequins, posters and mirror "
    "images of people are found as people.",
    "Never measured: night, rain, fisheye and thermal images.",
]


def facts_of(name: str) -> dict:
    """Facts of a preset for `keras_hkd.zoo.write_card`.

    Args:
        name: of the recipe.
    """
    recipe = json.loads((RECIPES / f"{name}.json").read_text())
    return {
        "summary": recipe["summary"],
        "intended_use": "Finding people in photographs and video frames, and a start for detectors "
        "of one's own. Not for decisions about single people, for recognising who somebody is, or "
        "where a missed person is a danger.",
        "licence": "Apache-2.0. Some of the photographs that it was trained on may not be used "
        "commercially; whether that binds weights is for the user to judge.",
        "start": [START],
        "photographs": [PHOTOGRAPHS[one] for one in recipe["data"]],
        "recipe": list(steps(recipe)),
        "seeds": [recipe["seed"]],
        "limits": LIMITS,
    }


def steps(recipe):
    """What was done, line by line."""
    size, training = recipe["image_size"], recipe["training"]
    yield f"`python benchmarks/zoo_train.py {recipe['preset']}` (`make zoo`), one seed"
    start = "RTMDet-nano" if recipe["start"] == "rtmdet_nano" else recipe["start"]
    if "pruning" in recipe:
        rounds = recipe["pruning"]
        yield (
            f"channels of {start} removed in rounds of {rounds['amount']:.0%}, those that the loss "
            f"needs least for their weights, down to {rounds['target_parameters']:,} parameters, "
            f"{rounds['epochs_per_round']:g} epochs of training after each"
        )
    else:
        yield f"start: {start}"
    yield (
        f"{training['epochs']} epochs at {size} x {size}, AdamW {training['learning_rate']:g}, "
        "under RTMDet-nano as teacher: class scores (quality focal), boxes (GIoU, weighed by the "
        "teacher's scores) and pyramid maps (Pearson correlation) beside the labels; weights "
        "averaged"
    )
    int8 = recipe["int8"]
    stages = " and ".join(f"{one['epochs']} at {one['learning_rate']:g}" for one in int8["stages"])
    yield (
        f"int8 twin: ReLU instead of SiLU in the layers {', '.join(int8['relu'])} with "
        f"{int8['float']['epochs']} epochs to get used to it, ranges of the activations with the "
        f"least squared error, then training with rounding, epochs: {stages}; all under the float "
        "preset, AdamW"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("preset")
    print(json.dumps(facts_of(parser.parse_args().preset), indent=1))
