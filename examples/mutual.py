"""Mutual learning on drawn street scenes: two students teach each other, one is kept.

    python examples/mutual.py

Time: about 5 minutes on two idle CPU cores (estimated from examples/sad.py, 300 steps each).
Figure: not measured yet. One seed would show that it runs, not how much it gains.
"""

from comparison import Comparison, arguments

from keras_hkd.methods import mutual


def main(given):
    example = Comparison(given)
    example.train("student_alone", example.build_student())
    peer = example.build_student(seed=given.seed + 1000)
    example.train("student_mutual", mutual(peer, example.build_student()))
    example.report(peer=peer)


if __name__ == "__main__":
    main(arguments(__doc__, images=240, epochs=10))
