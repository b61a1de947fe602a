"""Gives the int8 files of the presets the decoding and suppression of today's exports.

    python benchmarks/zoo_decoding.py person_femto

The network in the file stays what training with rounding left, bit for bit; what follows its raw
heads is cut off and made anew, so that a change of the export needs no training. The file is then
measured again, and the card written.
"""

import argparse

import numpy as np
from zoo_build import PRESETS, TESTS, latency, score

from keras_hkd.checked_folder import replacing_folder
from keras_hkd.export import tflite_file
from keras_hkd.export.raw_heads import grid_of
from keras_hkd.export.representative import sample_images
from keras_hkd.export.tflite import finish
from keras_hkd.export.tflite_metadata import ModelCard
from keras_hkd.inference import TFLiteDetector, read_metadata
from keras_hkd.inference.post_processing import Suppression
from keras_hkd.inference.tflite_runner import TFLiteRunner
from keras_hkd.zoo import from_preset, read_card, write_card
from keras_hkd.zoo.loading import TWIN

AFTER_NETWORK = b"post/"  # begins the names of what `tflite_file.join_models` adds


def main(name):
    """Renews the int8 file of one preset, its figures and its card."""
    folder = PRESETS / name
    detector, about = from_preset(folder), read_metadata(folder / TWIN)
    size = tuple(about["image_size"])
    grid = grid_of(detector, size)
    network = network_of(tflite_file.read_model(folder / TWIN))
    widths = (detector.num_classes, grid.coding.num_values)
    shapes = [(1, grid.num_anchors, width) for width in widths]
    images = sample_images(size)
    heads = [TFLiteRunner(network).run(image) for image in images]
    if [value.shape for value in heads[0]] != shapes:
        raise SystemExit(f"{name}: heads of shapes {shapes} were expected in {TWIN}.")
    suppression, card = Suppression(**about["suppression"]), ModelCard(**about["card"])
    content = finish(detector, network, grid, suppression, True, about["quantization"], card)
    kept = network_of(tflite_file.read_model(content))
    for before, image in zip(heads, images, strict=True):
        for one, other in zip(before, TFLiteRunner(kept).run(image), strict=True):
            np.testing.assert_array_equal(one, other)
    with replacing_folder(folder, keep=True) as partial:
        (partial / TWIN).write_bytes(content)
    facts, measured = (read_card(folder)[key] for key in ("facts", "measured"))
    twin = TFLiteDetector(folder / TWIN, num_threads=2)
    renewed = {test: score(twin, "int8", test, size) for test in TESTS}
    measured["scores"] = [
        renewed[row["photographs"].partition(":")[0]] if row["file"] == "int8" else row
        for row in measured["scores"]
    ]
    measured["bytes"][TWIN] = len(content)
    write_card(folder, facts, {**measured, **latency(folder, detector, size)})


def network_of(model):
    """Cuts off what follows the raw heads, in place; gives the bytes, heads in order."""
    graph = model.subgraphs[0]
    ends = {int(i) for i in graph.outputs}
    network, added = [], []
    for operator in graph.operators:
        made = [int(i) for i in operator.outputs]
        after = any(graph.tensors[i].name.startswith(AFTER_NETWORK) or i in ends for i in made)
        (added if after else network).append(operator)
    made = {int(i) for operator in network for i in operator.outputs}
    graph.operators = network
    # Heads of whole numbers are dequantised first, in order.
    graph.outputs = [int(i) for operator in added for i in operator.inputs if int(i) in made]
    graph.outputs = list(dict.fromkeys(graph.outputs))
    model.signatureDefs = []
    drop_unused(model)
    return tflite_file.pack_model(model)


def drop_unused(model):
    """Drops tensors, values and operator codes that no operator of a model refers to."""
    graph = model.subgraphs[0]
    used = {int(i) for one in graph.operators for i in (*one.inputs, *one.outputs) if i >= 0}
    used = sorted(used | {int(i) for i in (*graph.inputs, *graph.outputs)})
    place = {old: new for new, old in enumerate(used)}
    graph.tensors = [graph.tensors[i] for i in used]
    graph.inputs, graph.outputs = (
        [place[int(i)] for i in of] for of in (graph.inputs, graph.outputs)
    )
    codes = sorted({one.opcodeIndex for one in graph.operators})
    for operator in graph.operators:
        operator.inputs = [place[int(i)] if i >= 0 else -1 for i in operator.inputs]
        operator.outputs = [place[int(i)] for i in operator.outputs]
        operator.opcodeIndex = codes.index(operator.opcodeIndex)
    model.operatorCodes = [model.operatorCodes[i] for i in codes]
    buffers = {one.buffer for one in graph.tensors}
    for index, buffer in enumerate(model.buffers):
        if index not in buffers:
            buffer.data = None
    model.metadata = []
    tflite_file.drop_empty_buffers(model)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", metavar="PRESET")
    for preset in parser.parse_args().names:
        main(preset)
